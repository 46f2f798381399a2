"""A service that makes reports, each some time after it was asked for. It is part of the demo.

python demos/reports/server.py [SECONDS]: how long a report takes; a free port is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from typing import Any

from aiohttp import web


class Service:
    """Holds the reports that were asked for, until they are fetched.

    Every hundredth report fails at first. A report is never ready at the first question.

    Args:
        seconds: how long a report takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: Counter[str] = Counter()
        self._reports: dict[str, tuple[int, float]] = {}
        self._asked: set[str] = set()
        self._failed: set[int] = set()
        self._most = 0
        self._spend = 0.0

    def app(self) -> web.Application:
        """Return what answers requests."""
        app = web.Application()
        app.router.add_post("/reports", self._request)
        app.router.add_get("/reports/{report}", self._status)
        app.router.add_get("/reports/{report}/rows", self._rows)
        app.router.add_post("/rows", self._upload)
        app.router.add_get("/counts", self._counts)
        return app

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _request(self, request: web.Request) -> web.Response:
        self._calls["requests"] += 1
        name = f"r{self._calls['requests']}"
        account = (await request.json())["account"]
        self._reports[name] = (account, self._now() + self._seconds)
        self._most = max(self._most, len(self._reports))
        return web.json_response({"report": name})

    async def _status(self, request: web.Request) -> web.Response:
        self._calls["polls"] += 1
        name = request.match_info["report"]
        account, ready = self._reports[name]
        left = ready - self._now()
        if left > 0 or name not in self._asked:
            self._asked.add(name)
            return web.json_response({"status": "pending", "retry_after": max(left, 0.0)})
        self._asked.discard(name)
        if account % 100 == 99 and account not in self._failed:
            self._failed.add(account)
            del self._reports[name]
            return web.json_response({"status": "failed"})
        return web.json_response({"status": "ready"})

    async def _rows(self, request: web.Request) -> web.Response:
        self._calls["downloads"] += 1
        account, _ = self._reports.pop(request.match_info["report"])
        return web.json_response(rows_of(account))

    async def _upload(self, request: web.Request) -> web.Response:
        self._calls["uploads"] += 1
        rows: list[dict[str, Any]] = await request.json()
        self._spend += sum(row["acos"] * row["sales"] for row in rows)
        return web.json_response({"rows": len(rows)})

    async def _counts(self, request: web.Request) -> web.Response:
        most = {"at once": self._most, "spend": round(self._spend)}
        return web.json_response({**self._calls, "calls": self._calls.total(), **most})


def rows_of(account: int) -> list[dict[str, Any]]:
    """Return the rows of an account's report: one for each of five campaigns."""
    return [
        {
            "account": account,
            "campaign": campaign,
            "sales": float(account % 7 * campaign),
            "spend": float(campaign),
        }
        for campaign in range(5)
    ]


async def serve(seconds: float) -> None:
    """Serve on a free port of this machine until the process is ended."""
    runner = web.AppRunner(Service(seconds).app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
