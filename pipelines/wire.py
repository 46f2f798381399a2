"""Whole messages over a pair of sockets: one end asks from an event loop, the other one answers.

Each message is a length and so many bytes. At most one is under way, as only one end asks, and it
waits for the answer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import BinaryIO

__all__ = ["Client", "Server"]

_LENGTH = struct.Struct("!Q")


class Client(asyncio.BufferedProtocol):
    """The end that asks.

    A protocol of its own, as a question over asyncio's streams costs 40 µs more: they take a new
    quarter of a megabyte for each read.
    """

    #: Bytes kept for answers; a longer one gets a buffer of its own.
    ROOM = 2**16

    _transport: asyncio.Transport

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray(self.ROOM)
        self._filled = 0
        self._answer: asyncio.Future[bytes] | None = None  # that is waited for
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def over(cls, end: socket.socket) -> Client:
        """Return the client over one of a pair of stream sockets, which it takes over."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(end), sock=end)
        return client

    async def ask(self, message: bytes) -> bytes:
        """Send a message and return the answer.

        A call that is cancelled leaves an answer under way: nothing can be asked any more.

        Raises:
            EOFError: the other end is closed.
        """
        if self._transport.is_closing():
            raise EOFError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines((_LENGTH.pack(len(message)), message))
        return await self._answer

    def finish(self) -> None:
        """Take what has been sent, and be lost then: nothing more is, whoever holds the other end.

        A fork of the process that answered may do so.
        """
        try:
            more = self._end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self._transport.abort()
        except OSError:
            return  # it is closed
        else:
            if more:  # or it is closed, and the transport says so itself
                asyncio.get_running_loop().call_soon(self.finish)

    async def close(self) -> None:
        """Close this end at once, and wait until it is."""
        self._transport.abort()
        await asyncio.shield(self._lost)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told what to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Be told of bytes; hand the answer over once it is whole."""
        self._filled += nbytes
        if self._filled < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + size
        if self._filled == end:
            self._hand_over(bytes(memoryview(self._buffer)[_LENGTH.size : end]))
        elif end > len(self._buffer):
            self._buffer = self._buffer[: self._filled] + bytes(end - self._filled)

    def _hand_over(self, answer: bytes) -> None:
        self._filled = 0
        if len(self._buffer) > self.ROOM:
            self._buffer = bytearray(self.ROOM)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Be told that one of the ends was closed."""
        self._lost.set_result(None)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(EOFError())


class Server:
    """The end that answers; it blocks.

    Args:
        end: one of a pair of stream sockets, which it takes over.
    """

    def __init__(self, end: socket.socket) -> None:
        with end:
            self._reads: BinaryIO = end.makefile("rb")
            self._writes: BinaryIO = end.makefile("wb")

    def receive(self) -> bytes:
        """Return the next message.

        Raises:
            EOFError: the other end is closed.
        """
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._reads.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def send(self, message: bytes) -> None:
        """Send an answer.

        Raises:
            ConnectionError: the other end is closed.
        """
        self._writes.write(_LENGTH.pack(len(message)))
        self._writes.write(message)
        self._writes.flush()
