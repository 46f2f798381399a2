"""Messages between the program and a worker arrive whole, whatever their size and their pieces."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wire import Client, Server

ROOM = Client.ROOM

SIZES = st.one_of(
    st.integers(0, 40), st.integers(ROOM - 20, ROOM + 20), st.integers(3 * ROOM, 5 * ROOM)
)


def echo(end: socket.socket) -> None:
    """Answer each message with itself until the other end is closed."""
    server = Server(end)
    while True:
        try:
            server.send(server.receive())
        except (EOFError, ConnectionError):
            return


@given(st.lists(SIZES, max_size=6))
def test_messages_of_any_size(sizes: list[int]) -> None:
    """Short ones, long ones, and those about as long as the buffer, in any order."""

    async def main() -> None:
        end, other = socket.socketpair()
        thread = threading.Thread(target=echo, args=(other,))
        thread.start()
        client = await Client.over(end)
        for number, size in enumerate(sizes):
            message = bytes([number]) * size
            assert await client.ask(message) == message
        await client.close()
        thread.join()

    asyncio.run(main())


def feed(client: Client, data: bytes) -> None:
    """Give a client bytes as its transport would: as many at a time as its buffer takes."""
    while data:
        buffer = client.get_buffer(-1)
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        client.buffer_updated(count)
        data = data[count:]


@given(SIZES, st.sets(st.integers(1, 5 * ROOM)) | st.sets(st.integers(1, 60)))
def test_answers_in_pieces(size: int, cuts: set[int]) -> None:
    """Wherever an answer is cut, in its length too."""

    async def main() -> None:
        end, other = socket.socketpair()
        client = await Client.over(end)
        with other:
            for answer in (bytes(range(256)) * (size // 256 + 1), b"short"):
                asked = asyncio.ensure_future(client.ask(b"?"))
                await asyncio.sleep(0)
                whole = struct.pack("!Q", len(answer)) + answer
                edges = [0, *sorted({cut for cut in cuts if cut < len(whole)}), len(whole)]
                for start, stop in itertools.pairwise(edges):
                    feed(client, whole[start:stop])
                assert await asked == answer
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("said", [b"", b"\0\0", struct.pack("!Q", 9) + b"half"])
def test_an_end_that_goes_in_the_middle(said: bytes) -> None:
    """Whoever waits for the answer, and whoever asks afterwards, is told."""

    async def main() -> None:
        end, other = socket.socketpair()
        client = await Client.over(end)
        asked = asyncio.ensure_future(client.ask(b"?"))
        await asyncio.sleep(0)
        with other:
            other.sendall(said)
        for question in (asked, client.ask(b"?")):
            with pytest.raises(EOFError):
                await question
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(4))
def test_an_end_that_has_gone(turns: int) -> None:
    """Whoever asks is told, however much the event loop knows of it."""

    async def main() -> None:
        end, other = socket.socketpair()
        client = await Client.over(end)
        other.close()
        for _ in range(turns):
            await asyncio.sleep(0)
        with pytest.raises(EOFError):
            await client.ask(b"?")
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("size", [10, 2 * ROOM])
def test_an_end_that_somebody_else_holds_too(size: int) -> None:
    """What was sent arrives, and then the line is known to be lost."""

    async def main() -> None:
        end, other = socket.socketpair()
        client = await Client.over(end)
        with other.dup(), other:
            asked = asyncio.ensure_future(client.ask(b"?"))
            await asyncio.sleep(0)
            other.sendall(struct.pack("!Q", size) + bytes(size))
            client.finish()
            assert await asked == bytes(size)
            with pytest.raises(EOFError):
                await client.ask(b"?")
        await client.close()
        client.finish()

    asyncio.run(main())


def test_a_server_whose_client_goes() -> None:
    """It is told, between messages and within one."""
    for said in (b"", b"\0", struct.pack("!Q", 9) + b"half"):
        end, other = socket.socketpair()
        server = Server(other)
        with end:
            end.sendall(said)
        with pytest.raises(EOFError):
            server.receive()
