"""What socket.io lets through: text, of packets that are what they seem, to readers that read.

python-socketio keeps an unbounded queue for each client, takes any number of binary attachments,
lets a client stay for ever that never finishes connecting, and passes on events that have the names
of its own. All that is private to it is met here, by overriding, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, cast

import engineio
import socketio
from engineio.async_drivers import aiohttp as driver
from socketio import packet

from pipelines.server.limits import Limits

__all__ = ["Transport"]

_RESERVED = ("connect", "disconnect", "connect_error")
_HIGH_WATER = {"websocket": 64, "polling": 8}  # packets; a poll must not get more than 16 at once

# Its errors are what clients did: they are answered or hung up on, not logged.
_log = logging.getLogger(f"{__name__}.library")
_log.setLevel(logging.CRITICAL)


class StrictJson:
    """JSON without the numbers that it does not have: browsers disconnect when they get one."""

    @staticmethod
    def loads(text: str) -> Any:
        """Return what a text says.

        Raises:
            ValueError: it is no JSON, or holds a number that is none.
        """
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """Return the text of a value."""
        return json.dumps(value, allow_nan=False, **options)


def _refuse_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


class TextPacket(packet.Packet):  # type: ignore[misc]
    """A packet without binary parts; an event that makes no sense arrives as one without a name."""

    json = StrictJson
    uses_binary_events = False

    def decode(self, encoded_packet: Any) -> int:
        """Take a packet apart.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(encoded_packet, str):
            raise ValueError("binary packets are not taken")
        try:
            super().decode(encoded_packet)
        except (ValueError, RecursionError):
            if self.packet_type != packet.EVENT:
                raise ValueError("this packet can't be read") from None
            self.data = None
        if self.packet_type in (packet.BINARY_EVENT, packet.BINARY_ACK):
            raise ValueError("binary packets are not taken")
        if self.packet_type == packet.EVENT and not _is_event(self.data):
            self.data = [""]
        return 0


def _is_event(data: Any) -> bool:
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        return False
    return data[0] not in _RESERVED


class TextWebSocket(driver.WebSocket):  # type: ignore[misc]
    """A websocket that carries text only, and not to a reader that does not read."""

    async def __call__(self, environ: Any) -> Any:
        self._transport = environ["aiohttp.request"].transport
        return await super().__call__(environ)

    async def wait(self) -> str:
        """Return the next message.

        Raises:
            OSError: the other side has closed, or sends what is no text of ours.
        """
        message = await super().wait()
        if not isinstance(message, str) or not _is_frame(message):
            raise OSError("no text of ours")
        return message

    async def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            TimeoutError: the other side has read nothing for too long; the connection is cut.
        """
        try:
            async with asyncio.timeout(self.server.limits.stall):
                await super().send(message)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()
            raise


def _is_frame(message: str) -> bool:
    """Tell whether a text has the form of a frame; only messages may be long.

    The library reads any other as JSON, and does not survive one that is nested too deeply.
    """
    kind, rest = message[:1], message[1:]
    return rest[:1] in tuple("01234") if kind == "4" else kind in tuple("01235") and len(rest) < 8


class TextEngine(engineio.AsyncServer):  # type: ignore[misc]
    """The layer below: it knows its own tasks."""

    _async: dict[str, Any]

    def __init__(self, *, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.tasks: set[asyncio.Task[Any]] = set()
        self._async = {**self._async, "websocket": TextWebSocket}

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Start a task, and keep it until it ends."""
        task = cast("asyncio.Task[Any]", super().start_background_task(target, *args, **kwargs))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Transport(socketio.AsyncServer):  # type: ignore[misc]
    """The socket.io server, and what one may do to its connections.

    Events of one client are handled one after the other, so a client that sends faster than it is
    answered is slowed down by its own socket.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            async_mode="aiohttp",
            async_handlers=False,
            serializer=TextPacket,
            cors_allowed_origins=[],  # `web` refuses foreign origins, of pages too
            max_http_buffer_size=limits.message_bytes,
            ping_interval=15,
            ping_timeout=10,
            logger=_log,
            engineio_logger=_log,
            limits=limits,
        )
        self.limits = limits
        self._waiting: dict[str, float] = {}  # connections without a namespace, and since when

    def _engineio_server_class(self) -> type[TextEngine]:
        return TextEngine

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        if (socket := self.eio.sockets.get(eio_sid)) is not None:
            # Ends the writer, which closes the websocket; or the poll that waits for something.
            socket.queue.put_nowait(None)

    def connection_of(self, sid: str, namespace: str) -> str:
        """Return the name of the connection that carries a client of a namespace."""
        return str(self.manager.eio_sid_from_sid(sid, namespace))

    def __len__(self) -> int:
        """Return how many connections there are."""
        return sum(not socket.closed for socket in self.eio.sockets.values())

    def unread(self, connection: str) -> int:
        """Return how many packets lie there that a client has not read."""
        socket = self.eio.sockets.get(connection)
        return 0 if socket is None else int(socket.queue.qsize())

    async def has_room(self, connection: str) -> None:
        """Wait until a client has read most of what lies there for it.

        Raises:
            TimeoutError: it has read nothing for too long.
        """
        socket = self.eio.sockets.get(connection)
        if socket is None or socket.closed:
            return
        mark = _HIGH_WATER["websocket" if socket.upgraded else "polling"]
        if socket.queue.qsize() >= mark:
            async with asyncio.timeout(self.limits.stall):
                await socket.queue.join()

    async def hang_up(self, connection: str) -> None:
        """End a connection behind what lies there for it, without waiting for the other side."""
        socket = self.eio.sockets.get(connection)
        if socket is not None and not socket.closed:
            await socket.close(wait=False, abort=True)

    def hang_up_soon(self, connection: str) -> None:
        """End a connection behind the answer that is being made."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.start_background_task, self.hang_up, connection)

    async def sweep(self, now: float) -> None:
        """Hang up on those that have not finished connecting in time."""
        waiting = {name for name in self.eio.sockets if not self._is_connected(name)}
        self._waiting = {name: self._waiting.get(name, now) for name in waiting}
        for name, since in self._waiting.items():
            if now - since >= self.limits.handshake:
                await self.hang_up(name)

    def _is_connected(self, connection: str) -> bool:
        return any(
            self.manager.sid_from_eio_sid(connection, namespace)
            for namespace in self.namespace_handlers
        )

    async def end(self) -> None:
        """End all connections, and all that goes on for them."""
        for connection in list(self.eio.sockets):
            await self.hang_up(connection)
        await self.shutdown()
        tasks = list(self.eio.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
