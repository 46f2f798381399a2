"""A Redis server for tests, in a folder of its own, and a line to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Line", "line_to", "missing", "served"]

_PROGRAMS = ("redis-server", "valkey-server")


def missing() -> str:
    """Return what keeps a server from running here; empty where nothing does."""
    return "" if _program() else "Redis is not installed (on Debian: apt-get install redis-server)"


def _program() -> str:
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), "")


@contextlib.contextmanager
def served(*options: str) -> Iterator[str]:
    """Run a server; yield its URL.

    Args:
        options: more of its own, such as ``--requirepass secret``.
    """
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    try:
        with _running(folder, options) as port:
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _running(folder: Path, options: tuple[str, ...]) -> Iterator[int]:
    port = _free_port()
    command = [_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--daemonize", "no", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            _await_ready(server)
            yield port
        finally:
            server.terminate()
            server.communicate()


def _await_ready(server: subprocess.Popen[str]) -> None:
    said: list[str] = []
    for line in server.stdout or ():
        said.append(line)
        if "ready to accept connections" in line.lower():
            return
    raise RuntimeError(f"Redis does not start: {''.join(said)}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Line:
    """A line to a server that can be cut, at once or in the middle of an answer.

    Attributes:
        url: the server's, by this line.
        is_cut: nobody gets through.
        answers_lost: of so many commands to come the answer is lost, and the line breaks there.
    """

    url: str = ""
    is_cut: bool = False
    answers_lost: int = 0
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self.is_cut = True
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self.is_cut = False

    async def carry(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection, until either side or the line ends it."""
        if self.is_cut:
            writer.transport.abort()
            return
        answers, server = await asyncio.open_connection("127.0.0.1", port)
        ends = {writer, server}
        self._ends |= ends
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass_on(reader, server, ends))
            both.create_task(self._pass_on(answers, writer, ends, may_lose=True))
        self._ends -= ends

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
        may_lose: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65_536):
                if may_lose and self.answers_lost:
                    self.answers_lost -= 1
                    break
                target.write(chunk)
                await target.drain()
        for end in ends:
            end.transport.abort()


@contextlib.asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """Yield a line to the server at a URL."""
    line = Line()
    port = int(url.rpartition(":")[2].partition("/")[0])
    carried: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried.add(asyncio.create_task(line.carry(port, reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    line.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield line
    finally:
        server.close()
        line.cut()
        if carried:
            await asyncio.wait(carried)
        await server.wait_closed()
