"""Steps that fetch pages from a small site and count their words; the site is part of the demo."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from aiohttp import web

from pipelines.steps.http import http_get

FLAKY = "/page/7"
WORDS = ("batch", "edge", "graph", "item", "join", "node", "order", "queue", "sink", "step")


def paths(count: int) -> Iterator[str]:
    """Yield the paths of the site's pages, from ``/page/1`` on.

    Args:
        count: how many.
    """
    return (f"/page/{number}" for number in range(1, count + 1))


class fetch(http_get):  # noqa: N801  # named as the step that it stands in for
    """Fetch a page of a site that runs on this machine, on a free port, as long as this node.

    For pages of the real web write ``func: http_get``: this is the same step, and a server.

    Args:
        timeout: seconds that one page may take.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        super().__init__(timeout=timeout)
        self._site = Site()

    async def __aenter__(self) -> Self:
        await self._site.start()
        return await super().__aenter__()

    async def __call__(self, path: str) -> str:
        """Fetch the page at a path of the site."""
        page: str = await super().__call__(self._site.url + path)
        return page

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, traceback)
        await self._site.stop()


def count_words(page: str) -> int:
    """Count the words of a page, its markup left out."""
    return len(re.sub(r"<[^>]*>", " ", page).split())


class Table:
    """Print the pages with the most words once all are known.

    Args:
        top: how many pages.
    """

    def __init__(self, top: int = 10) -> None:
        self._top = top
        self._words: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __call__(self, path: str, words: int) -> None:
        """Count one page in: its path from one edge, its words from the other."""
        self._words[path] = words

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        longest = sorted(self._words.items(), key=lambda page: -page[1])[: self._top]
        rows = [("page", "words"), *longest]
        rows += [(f"all {len(self._words)} pages", sum(self._words.values()))]
        print("\n".join(f"{name:<20}{value:>8}" for name, value in rows))


class Site:
    """A server of pages of random words, the same on every run; one of them fails at first.

    Attributes:
        url: where it can be reached once it has started.
    """

    def __init__(self) -> None:
        self.url = ""
        self._requests = self._now = self._most = 0
        self._failed = False

    async def start(self) -> None:
        """Serve on a free port of this machine."""
        app = web.Application()
        app.router.add_get("/page/{number:[0-9]+}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        _, port = self._runner.addresses[0]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Serve no longer, and say on stderr what was asked for."""
        await self._runner.cleanup()
        print(f"served {self._requests} requests, up to {self._most} at once", file=sys.stderr)

    async def _answer(self, request: web.Request) -> web.Response:
        self._requests += 1
        self._now += 1
        self._most = max(self._most, self._now)
        try:
            await asyncio.sleep(0.05)  # the way to a real server
            return self._page(request)
        finally:
            self._now -= 1

    def _page(self, request: web.Request) -> web.Response:
        if request.path == FLAKY and not self._failed:
            self._failed = True
            return web.Response(status=503)
        page = f"<html><h1>{text_of(int(request.match_info['number']))}</h1></html>"
        return web.Response(text=page, content_type="text/html")


def text_of(number: int) -> str:
    """Return the words of a page."""
    rng = random.Random(number)
    return " ".join(rng.choices(WORDS, k=rng.randint(50, 500)))
