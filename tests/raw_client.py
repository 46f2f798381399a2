"""A client of the live server that says exactly what a test wants it to, over a real websocket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

#: Seconds that a test waits for what must come; never for something that must not.
PATIENCE = 10


class RawClient:
    """One websocket that speaks Engine.IO and Socket.IO.

    Attributes:
        events: every event that came, as (namespace, name, data), oldest first.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: asyncio.Queue[tuple[str, str, Any]] = asyncio.Queue()
        self.sids: dict[str, str] = {}
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._opened: dict[str, asyncio.Future[Any]] = {}
        self._ids = itertools.count()
        self._kept: list[tuple[str, str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._take(message.data)
        for future in (*self._acks.values(), *self._opened.values()):
            if not future.done():
                future.set_result(None)

    async def _take(self, text: str) -> None:
        if text == "2":
            await self.socket.send_str("3")
        elif text.startswith("4"):
            kind, namespace, number, data = _split(text[1:])
            if kind in "04" and namespace in self._opened:
                self._opened[namespace].set_result((kind == "0", data))
            elif kind == "2":
                self.events.put_nowait((namespace, data[0], data[1:]))
            elif kind == "3":
                self._acks.pop(number).set_result(data)

    async def connect(self, namespace: str = "/v1", auth: Any = None) -> tuple[bool, Any]:
        """Connect to a namespace; return whether that was granted, and what was said."""
        self._opened[namespace] = asyncio.get_running_loop().create_future()
        shown = "" if auth is None else json.dumps(auth)
        await self.send(f"40{_prefix(namespace)}{shown}")
        answer = await asyncio.wait_for(self._opened[namespace], PATIENCE)
        del self._opened[namespace]
        assert answer is not None, "the connection was closed"
        granted, data = answer
        if granted:
            self.sids[namespace] = data["sid"]
        return granted, data

    async def send(self, text: str) -> None:
        """Send a text frame."""
        await self.socket.send_str(text)

    async def ask_raw(self, data: str, namespace: str = "/v1") -> Any:
        """Send an event whose data is this text, and return what is acknowledged."""
        number = next(self._ids)
        self._acks[number] = answer = asyncio.get_running_loop().create_future()
        await self.send(f"42{_prefix(namespace)}{number}{data}")
        acked = await asyncio.wait_for(answer, PATIENCE)
        assert acked is not None, "the connection was closed"
        (ack,) = acked
        return ack

    async def ask(self, event: str, data: Any = None, namespace: str = "/v1") -> Any:
        """Send an event and return what is acknowledged."""
        return await self.ask_raw(json.dumps([event, {} if data is None else data]), namespace)

    async def emit(self, event: str, data: Any, namespace: str = "/v1") -> None:
        """Send an event that asks for no acknowledgement."""
        await self.send(f"42{_prefix(namespace)}{json.dumps([event, data])}")

    async def next(self, *names: str) -> Any:
        """Return the data of the next event that has one of the names; others are passed over."""
        while True:
            _, name, data = await asyncio.wait_for(self.events.get(), PATIENCE)
            if name in names:
                return data[0] if data else None

    async def closed(self) -> None:
        """Wait until the server has closed the connection."""
        await asyncio.wait_for(asyncio.wait([self._reading]), PATIENCE)

    async def close(self) -> None:
        """Close the connection."""
        await self.socket.close()
        await self._reading


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


def _split(text: str) -> tuple[str, str, int | None, Any]:
    """Return kind, namespace, number and data of a packet."""
    kind, rest, namespace = text[0], text[1:], "/"
    if rest.startswith("/"):
        namespace, _, rest = rest.partition(",")
    digits = "".join(itertools.takewhile(str.isdigit, rest))
    rest = rest[len(digits) :]
    return kind, namespace, int(digits) if digits else None, json.loads(rest) if rest else None


@contextlib.asynccontextmanager
async def raw_client(url: str, **headers: str) -> AsyncIterator[RawClient]:
    """Open a websocket to a server, and close it afterwards."""
    async with aiohttp.ClientSession() as session:
        address = f"{url}/socket.io/?EIO=4&transport=websocket"
        socket = await session.ws_connect(address, headers=headers)
        opened = await socket.receive_str()
        assert opened.startswith("0")
        client = RawClient(socket)
        try:
            yield client
        finally:
            await client.close()
