"""A service of the shape of AWS's service reference: a list of 300 services, and 300 details.

Its delays are uneven, and yet the same on every run: it holds answers back until as many details
are asked for at once as the crawler may ask for, and then gives any one of them, drawn by a seed.
"""

from __future__ import annotations

import random
from asyncio import Event
from types import TracebackType
from typing import Self

from aiohttp import web

#: The service that this one stands in for.
REAL = "https://servicereference.us-east-1.amazonaws.com"

SERVICES = 300
AT_ONCE = 5


def actions_of(number: int) -> list[str]:
    """Return the names of a service's actions, from none to fifty."""
    return [f"Action{index}" for index in range(number * 7 % 51)]


class Site:
    """The service, on a free port of this machine, as long as it is entered.

    Attributes:
        url: where it can be reached.
        requests: how many it got.
        most: how many of details were open at once.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests = self.most = 0
        self._answered = 0
        self._held: list[Event] = []
        self._random = random.Random(300)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/service-list.json", self._list)
        app.router.add_get("/v1/service{number:[0-9]+}/service{_:[0-9]+}.json", self._details)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        _, port = self._runner.addresses[0]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        self.requests += 1
        names = [f"service{number}" for number in range(SERVICES)]
        url = f"{self.url}/v1"
        return web.json_response([{"service": n, "url": f"{url}/{n}/{n}.json"} for n in names])

    async def _details(self, request: web.Request) -> web.Response:
        self.requests += 1
        await self._turn()
        number = int(request.match_info["number"])
        actions = [{"Name": name} for name in actions_of(number)]
        return web.json_response({"Name": f"service{number}", "Actions": actions})

    async def _turn(self) -> None:
        """Wait until this answer is drawn."""
        answer = Event()
        self._held.append(answer)
        self.most = max(self.most, len(self._held))
        self._draw()
        await answer.wait()
        self._draw()

    def _draw(self) -> None:
        if self._held and len(self._held) >= min(AT_ONCE, SERVICES - self._answered):
            self._answered += 1
            self._held.pop(self._random.randrange(len(self._held))).set()
