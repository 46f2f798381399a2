"""The live server, from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pipelines.errors import ServerError

try:
    from aiohttp import web

    from pipelines.server import seed, v1
    from pipelines.server.transport import Transport
    from pipelines.server.web import (
        SOCKET_PATH,
        Hosts,
        add_headers,
        guard,
        is_loopback,
        is_wildcard,
        page_routes,
        static_folder,
    )
except ModuleNotFoundError as error:
    if error.name not in ("aiohttp", "socketio", "engineio"):
        raise
    raise ServerError(
        "the live server needs aiohttp and python-socketio: pip install 'pipelines[server]'"
    ) from error

from pipelines.server.examples import EXAMPLES
from pipelines.server.limits import Limits, flag_of
from pipelines.server.offer import Offer
from pipelines.server.runs import Runs
from pipelines.server.tokens import Door, check_exposure, new_token
from pipelines.signals import SIGNALS

__all__ = ["Server"]

logger = logging.getLogger(__name__)

_FRAME = 0.2  # seconds between two frames
_SWEEPS = 8  # looks at unfinished connections, in the time that they have


class Server:
    """Serves the editor, and programs, until it is stopped.

    Use it with ``async with``, or call `start` and `stop`.

    Args:
        offer: the steps that graphs may name; by default some that do no harm.
        host: the address to listen on.
        port: 0 takes any that is free.
        token: what clients must show; by default a new one, and with ``""`` they need none.
        open_seed: whether programs on ``/`` need show none.
        limits: how much of everything there may be.
        examples: graphs to begin with, as in `pipelines.server.examples`; those that name steps
            which are not offered are left out.
        names: other names by which the server may be addressed, such as that of a proxy.
        static: the folder of the built page.
        interval: seconds between two frames of a run, at the least.

    Raises:
        ServerError: others than this machine could reach it, and would need no good token.
    """

    def __init__(
        self,
        offer: Offer | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
        open_seed: bool = False,
        limits: Limits | None = None,
        examples: list[dict[str, Any]] = EXAMPLES,
        names: tuple[str, ...] = (),
        static: Path | None = None,
        interval: float = _FRAME,
    ) -> None:
        self.host = host
        self.port = port
        self.token = new_token() if token is None else token or None
        self.limits = limits or Limits()
        self.runs = Runs(self.limits)
        check_exposure(host, is_loopback(host), self.token, open_seed)
        offer = Offer.allowing() if offer is None else offer
        door = Door(self.token)
        seed_door = Door(None) if open_seed else door
        self._transport = Transport(self.limits)
        common = (self.limits, self._transport, offer, self.runs, interval)
        self._transport.register_namespace(v1.Editor(door, *common, examples))
        self._transport.register_namespace(seed.Programs(seed_door, *common))
        self._hosts = Hosts(host, names)
        self._static = static or static_folder()
        self._stack = contextlib.AsyncExitStack()
        self._silent: dict[web.RequestHandler, float] = {}  # connected, nothing asked yet

    @property
    def link(self) -> str:
        """The address for a browser; the token is in the part that no browser sends."""
        host = socket.gethostname() if is_wildcard(self.host) else self.host
        address = f"[{host}]" if ":" in host else host
        fragment = f"#token={quote(self.token, safe='')}" if self.token else ""
        return f"http://{address}:{self.port}/{fragment}"

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            ServerError: the address can't be listened on.
        """
        runner = web.AppRunner(
            self._app(), access_log=None, keepalive_timeout=15, shutdown_timeout=1
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.push_async_callback(self._transport.end)
        self._stack.push_async_callback(self.runs.close)
        try:
            await self._listen(runner)
        except BaseException:
            await self.stop()
            raise
        sweeping = asyncio.create_task(self._sweep(), name="pipelines: looks at connections")
        self._stack.callback(sweeping.cancel)

    async def stop(self) -> None:
        """Stop listening, end all runs and connections, and wait until nothing of them is left."""
        await self._stack.aclose()

    async def serve(self, started: Callable[[Server], None]) -> None:
        """Serve until SIGINT or SIGTERM; a second one ends the program as it would any other.

        Args:
            started: is called once clients can connect.

        Raises:
            ServerError: the address can't be listened on.
        """
        with _asked_to_stop() as asked:
            async with self:
                started(self)
                await asked.wait()

    async def _listen(self, runner: web.AppRunner) -> None:
        def accept() -> asyncio.Protocol:
            assert runner.server is not None
            if len(runner.server.connections) >= 2 * self.limits.sockets:
                return _Closed()
            handler = runner.server()
            self._silent[handler] = asyncio.get_running_loop().time()
            return handler

        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(accept, self.host, self.port)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ServerError(f"can't listen on {self.host}:{self.port}: {why}") from error
        self._stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._heard, guard(self._hosts, self._room)])
        app.on_response_prepare.append(add_headers)
        self._transport.attach(app, SOCKET_PATH.strip("/"))
        app.add_routes(page_routes(self._static))
        return app

    @web.middleware
    async def _heard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._silent.pop(request.protocol, None)
        response: web.StreamResponse = await handler(request)
        return response

    def _room(self) -> str:
        if len(self._transport) < self.limits.sockets:
            return ""
        return f"There are {self.limits.sockets} clients already ({flag_of('sockets')})."

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.handshake / _SWEEPS)
            now = loop.time()
            for handler, since in list(self._silent.items()):
                if now - since >= self.limits.handshake:
                    handler.force_close()
                    del self._silent[handler]
            await self._transport.sweep(now)


class _Closed(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[asyncio.Event]:
    """Give an event that the first SIGINT or SIGTERM sets."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def ask() -> None:
        asked.set()
        forget()

    def forget() -> None:
        for each in SIGNALS:
            loop.remove_signal_handler(each)

    for each in SIGNALS:
        loop.add_signal_handler(each, ask)
    try:
        yield asked
    finally:
        forget()
