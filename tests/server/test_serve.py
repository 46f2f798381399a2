"""``plumber serve``: the real program, its link, its flags, its exit codes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from raw_client import raw_client

from pipelines.cli.app import plumber
from pipelines.server.limits import Limits, flag_of

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pipelines", "serve", "--port", "0"]

Start = Callable[..., AbstractAsyncContextManager[tuple[asyncio.subprocess.Process, str]]]


@pytest.fixture
def start(tmp_path: Path, no_task_left: None) -> Start:
    """Return what runs the program in an empty folder, until the end of the block."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBER_")}
    env |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}

    @asynccontextmanager
    async def run(*flags: str, **variables: str) -> AsyncIterator[Any]:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *flags, cwd=tmp_path, env={**env, **variables}, stdout=-1, stderr=-1
        )
        assert process.stdout
        try:
            link = re.fullmatch(
                r"plumber: the editor is at (http://\S+)\n",
                (await process.stdout.readline()).decode(),
            )
            yield process, link[1] if link else ""
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()

    return run


async def hello(link: str) -> Any:
    """Connect by the link that was printed, and return what is offered."""
    url, _, token = link.partition("/#token=")
    async with raw_client(url) as client:
        granted, said = await client.connect("/v1", {"token": unquote(token)} if token else None)
        assert granted, said
        return await client.ask("hello", {"proto": 1})


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_it_prints_one_line_and_ends_cleanly(start: Start, signum: signal.Signals) -> None:
    """The link works; a signal ends runs and connections, and the exit code is 0."""
    async with start() as (process, link):
        url, _, token = link.partition("/#token=")
        assert len(token) >= 32
        async with raw_client(url) as client:
            await client.connect("/v1", {"token": token})
            await client.ask("run", {"graph": {"nodes": {"a": {"func": "ticks"}}}})
            process.send_signal(signum)
            await client.closed()
        out, err = await asyncio.wait_for(process.communicate(), 10)
        assert (process.returncode, out, err) == (0, b"", b"")


async def test_flags_and_their_twins_are_heard(start: Start, tmp_path: Path) -> None:
    """The offer, the limits and the token, from the command line and from the environment."""
    (tmp_path / "mine.py").write_text("def clean(item: str) -> str:\n    return item.strip()\n")
    flags = ("--allow", "mine:*", "--allow", "count", "--limit-nodes", "3", "--open")
    variables = {"PLUMBER_SERVE_TOKEN": "from the environment", "PLUMBER_SERVE_LIMIT_SECONDS": "7"}
    async with start(*flags, **variables) as (_, link):
        assert link.endswith("/#token=from%20the%20environment")
        ack = await hello(link)
        assert [step["name"] for step in ack["steps"]] == ["mine:clean", "count"]
        assert (ack["limits"]["nodes"], ack["limits"]["seconds"]) == (3, 7.0)
        assert ack["examples"] == []
        async with raw_client(link.partition("/#")[0]) as client:
            assert (await client.connect("/"))[0]


async def test_no_token_asks_nobody(start: Start) -> None:
    """On this machine, for who says so."""
    async with start("--no-token") as (_, link):
        assert link.endswith("/")
        assert (await hello(link.rstrip("/")))["ok"]


def refused(*flags: str) -> tuple[int, str]:
    """Return the exit code and the words of a program that does not come to listen."""
    command = [sys.executable, "-m", "pipelines", "serve", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30)
    return done.returncode, done.stderr


def test_a_port_in_use_is_an_error() -> None:
    """It names the address, and there is no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = refused("--port", port)
    assert code == 1
    assert said.startswith(f"plumber: can't listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--host", "0.0.0.0", "--no-token"], "can be reached from outside"),
        (["--host", "0.0.0.0", "--open"], "can be reached from outside"),
        (["--host", "0.0.0.0", "--token", "short"], "16 characters"),
        (["--token", ""], "an empty --token is none"),
        (["--token", "x", "--no-token"], "exclude each other"),
        (["--allow", "cuont"], "Did you mean 'count'?"),
        (["--allow", "os:system"], "is really posix:system"),
        (["--limit-nodes", "0"], "--limit-nodes"),
        (["--port", "70000"], "--port"),
    ],
    ids=" ".join,
)
def test_what_can_not_be_had_is_wrong_usage(flags: list[str], said: str) -> None:
    """The exit code is 2."""
    done = CliRunner().invoke(plumber, ["serve", *flags])
    assert done.exit_code == 2
    assert said in done.output


def test_an_address_of_others_is_an_error() -> None:
    """As is one that does not exist."""
    code, said = refused("--host", "192.0.2.1")
    assert code == 1
    assert "can't listen on 192.0.2.1" in said


def test_every_limit_is_a_flag() -> None:
    """With its default in the help, and a twin in the environment."""
    shown = " ".join(CliRunner().invoke(plumber, ["serve", "--help"]).output.split())
    for each, _ in Limits().described():
        assert flag_of(each.name) in shown
        assert f"PLUMBER_SERVE_LIMIT_{each.name.upper()}; default: {each.default}" in shown


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """The names of the packages, and of the extra."""
    code = "import sys; sys.modules['socketio'] = None; from pipelines.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
    )
    assert done.returncode == 1
    assert "pip install 'pipelines[server]'" in done.stderr


def test_help_imports_no_server() -> None:
    """Neither the list of verbs nor this one's help."""
    code = (
        "import sys; from click.testing import CliRunner; from pipelines.cli.app import plumber; "
        "CliRunner().invoke(plumber, ['serve', '--help']); "
        "print([m for m in ('aiohttp', 'socketio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n"
