"""The step that fetches pages, against a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pipelines.steps.http import HttpError, HttpStatusError, HttpTemporaryError, http_get


class Site:
    """A server on a free port that keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.clients: set[Any] = set()
        self.release = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the path says."""
        self.requests.append(request)
        assert request.transport is not None
        self.clients.add(request.transport.get_extra_info("peername"))
        match request.path.split("/")[1:]:
            case ["status", code]:
                return web.Response(status=int(code))
            case ["latin"]:
                return web.Response(
                    body=b"gr\xfcn", headers={"Content-Type": "text/plain; charset=latin-1"}
                )
            case ["odd"]:
                return web.Response(
                    body=b"gr\xfcn", headers={"Content-Type": "text/plain; charset=x-no"}
                )
            case ["json"]:
                return web.json_response({"a": [1]})
            case ["big"]:
                return web.Response(body=b"x" * 300_000)
            case ["moved"]:
                raise web.HTTPFound("/to/here")
            case ["never"]:
                await self.release.wait()
        return web.Response(text=f"page {request.path_qs}")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Serve a `Site` while the test runs."""
    site = Site()
    server = web.Server(site.answer)  # type: ignore[arg-type]
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    site.release.set()
    await runner.cleanup()


async def fetch(item: Any, **args: Any) -> Any:
    """Fetch one item with a step of its own."""
    async with http_get(**args) as step:
        return await step(item)


async def test_an_item_is_a_url_and_its_text_is_passed_on(site: Site) -> None:
    """By default the body comes as text."""
    assert await fetch(f"{site.url}/a?b=c") == "page /a?b=c"
    assert await fetch(f"{site.url}/moved") == "page /to/here"


async def test_a_template_takes_items_quoted(site: Site) -> None:
    """What is filled in can't leave its place in the URL."""
    assert await fetch("a/b?c", url=site.url + "/x/{item}") == "page /x/a%2Fb%3Fc"
    assert await fetch({"id": 7, "q": "ü"}, url=site.url + "/{id}?q={q}") == "page /7?q=%C3%BC"


async def test_a_template_that_wants_what_an_item_lacks_is_an_error(site: Site) -> None:
    """The error says what is wanted and what there is."""
    with pytest.raises(HttpError, match=r"wants 'name', an item has \['id'\]"):
        await fetch({"id": 7}, url=site.url + "/{name}")


async def test_the_body_is_parsed_as_asked_for(site: Site) -> None:
    """Text in the charset that the server says, JSON, or the bytes."""
    assert await fetch(f"{site.url}/latin") == "grün"
    assert await fetch(f"{site.url}/odd") == "gr\ufffdn"
    assert await fetch(f"{site.url}/latin", parse="bytes") == b"gr\xfcn"
    assert await fetch(f"{site.url}/json", parse="json") == {"a": [1]}
    with pytest.raises(HttpError, match=rf"GET {site.url}/page: the body is no JSON"):
        await fetch(f"{site.url}/page", parse="json")
    with pytest.raises(ValueError, match="parse is 'text', 'json' or 'bytes', not 'xml'"):
        http_get(parse="xml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, HttpStatusError), (429, HttpTemporaryError), (503, HttpTemporaryError)],
)
async def test_a_bad_status_is_an_error_that_says_whether_it_may_pass(
    site: Site, status: int, kind: type[HttpStatusError]
) -> None:
    """Its class can be named in `retry.on`; its message names the URL and the status."""
    with pytest.raises(
        HttpStatusError, match=rf"GET {site.url}/status/{status} answered {status} "
    ) as caught:
        await fetch(f"{site.url}/status/{status}")
    assert type(caught.value) is kind
    assert (caught.value.url, caught.value.status) == (f"{site.url}/status/{status}", status)


async def test_a_large_body_is_refused(site: Site) -> None:
    """`max_bytes` is the largest that is accepted."""
    assert len(await fetch(f"{site.url}/big", max_bytes=300_000)) == 300_000
    with pytest.raises(HttpError, match=r"larger than max_bytes \(299999\)"):
        await fetch(f"{site.url}/big", max_bytes=299_999)


async def test_a_page_that_takes_too_long_is_named(site: Site) -> None:
    """`timeout` counts for one page in all."""
    with pytest.raises(TimeoutError, match=rf"GET {site.url}/never took longer than 0.05 s"):
        await fetch(f"{site.url}/never", timeout=0.05)
    site.release.set()


async def test_a_server_that_is_not_there_is_aiohttps_error(unused_tcp_port: int) -> None:
    """It can be tried again by the name of its class."""
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(f"http://127.0.0.1:{unused_tcp_port}/")


async def test_one_session_serves_the_whole_run(site: Site) -> None:
    """Calls one after the other share a connection, and all of them the headers."""
    async with http_get(headers={"X-Key": "secret"}) as step:
        for number in range(5):
            await step(f"{site.url}/{number}")
    assert len(site.clients) == 1
    assert {request.headers["X-Key"] for request in site.requests} == {"secret"}


def test_aiohttp_is_imported_only_by_those_who_fetch() -> None:
    """Importing all batteries is cheap, and a missing aiohttp is said with its cure."""
    code = (
        "import sys; from pipelines.registry import steps; step = steps.get('http_get')\n"
        "assert not {'aiohttp', 'yaml', 'rich', 'jsonschema', 'networkx'} & sys.modules.keys()\n"
        "sys.modules['aiohttp'] = None\n"
        "try: step()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "http_get needs aiohttp: pip install aiohttp\n"
