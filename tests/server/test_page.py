"""The page: files that are there and nothing else, and what to do where it is not built."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipelines.server.web import Hosts, is_loopback, static_folder


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """Write a page like the one that is built."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<p>the editor")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets/app-1a2b.js").write_text("start()")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
async def session(no_task_left: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("path", "kind", "text", "cache"),
    [
        ("/", "text/html", "<p>the editor", "no-cache"),
        ("/index.html", "text/html", "<p>the editor", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "<svg/>", "no-cache"),
        ("/assets/app-1a2b.js", "javascript", "start()", "immutable"),
    ],
)
async def test_the_page_is_served(
    serve: Any,
    session: aiohttp.ClientSession,
    static: Path,
    path: str,
    kind: str,
    text: str,
    cache: str,
) -> None:
    """With its type; what has its hash in its name may be kept for ever."""
    async with (
        serve(static=static) as server,
        session.get(f"http://127.0.0.1:{server.port}{path}") as answer,
    ):
        assert (answer.status, await answer.text()) == (200, text)
        assert kind in answer.headers["Content-Type"]
        assert cache in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets",
        "//etc/passwd",
        "/x",
    ],
)
async def test_nothing_else_is_served(
    serve: Any, session: aiohttp.ClientSession, static: Path, path: str
) -> None:
    """However it is asked for."""
    from yarl import URL

    async with (
        serve(static=static) as server,
        session.get(URL(f"http://127.0.0.1:{server.port}{path}", encoded=True)) as answer,
    ):
        assert answer.status == 404
        assert "secret" not in await answer.text()


async def test_without_a_page_it_says_what_to_run(
    serve: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Programs are answered all the same."""
    async with (
        serve(static=tmp_path / "none") as server,
        session.get(f"http://127.0.0.1:{server.port}/") as answer,
    ):
        assert "make editor" in await answer.text()
        assert answer.headers["Content-Type"].startswith("text/html")


async def test_the_page_takes_no_posts(serve: Any, session: aiohttp.ClientSession) -> None:
    """It is only read."""
    async with serve() as server, session.post(f"http://127.0.0.1:{server.port}/") as answer:
        assert answer.status == 405


def test_the_page_is_looked_for_in_the_package() -> None:
    """Where the build puts it, and the wheel."""
    assert static_folder().parts[-3:] == ("pipelines", "server", "static")


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "LocalHost", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "192.168.0.2", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "localhost:x", False),
        ("127.0.0.1", "[::1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("192.168.0.2", "192.168.0.2:80", True),
        ("192.168.0.2", "192.168.0.3", False),
        ("0.0.0.0", "10.1.2.3:80", True),
        ("0.0.0.0", "evil.example", False),
        ("::", "[fe80::1]", True),
        ("127.0.0.1", "pipes.example", True),
    ],
)
def test_a_host_is_known_or_not(bound: str, host: str | None, known: bool) -> None:
    """By its name; the port may be that of a tunnel."""
    assert Hosts(bound, ["Pipes.example"]).know(host) is known


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.0.2", False),
        ("no such host", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    """A name is looked up; one that leads nowhere is no loopback."""
    assert is_loopback(host) is loopback
