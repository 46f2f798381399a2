"""Steps that ask a service for reports, wait until they are made, and send on what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import aiohttp

from pipelines.frontends.pipelang import Result, pending, reset


def accounts() -> Iterator[int]:
    """Yield the numbers of the accounts: as many as `REPORTS` says."""
    yield from range(int(os.environ.get("REPORTS", "300")))


class Api:
    """A session with the service at `REPORTS_URL`; each step has one, for all its calls."""

    async def __aenter__(self) -> Self:
        url = os.environ.get("REPORTS_URL", "http://127.0.0.1:8080")
        self.session = aiohttp.ClientSession(url, raise_for_status=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer to one request."""
        async with self.session.request(method, path, json=body) as response:
            return await response.json()


class Request(Api):
    """Ask for a report on an account."""

    async def __call__(self, account: int) -> str:
        """Return the report's name."""
        answer = await self.ask("POST", "/reports", {"account": account})
        name: str = answer["report"]
        return name


class Status(Api):
    """See whether a report is made; one that has failed is asked for anew."""

    async def __call__(self, report: str) -> str | Result:
        """Return its name once it is there."""
        answer = await self.ask("GET", f"/reports/{report}")
        if answer["status"] == "failed":
            return Result(status=reset, delay=0)
        if answer["status"] == "pending":
            return Result(status=pending, delay=answer["retry_after"])
        return report


class Download(Api):
    """Fetch the rows of a report."""

    async def __call__(self, report: str) -> list[dict[str, Any]]:
        """Return them."""
        rows: list[dict[str, Any]] = await self.ask("GET", f"/reports/{report}/rows")
        return rows


class Upload(Api):
    """Send rows to where they are kept."""

    async def __call__(self, rows: list[dict[str, Any]]) -> int:
        """Return how many were taken."""
        answer = await self.ask("POST", "/rows", rows)
        count: int = answer["rows"]
        return count
