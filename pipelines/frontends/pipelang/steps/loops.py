"""Where a graph starts, and its loops."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter as clock
from types import TracebackType
from typing import Any, Self

from pipelines.frontends.pipelang.steps.desk import WORKERS, Desk
from pipelines.frontends.pipelang.steps.envelope import Envelope, merged
from pipelines.pace import Pace

__all__ = ["Each", "start"]


def start() -> Iterator[Envelope]:
    """Yield the one envelope that every call at the left margin starts with."""
    yield {}


@dataclass(kw_only=True, eq=False)
class Each:
    """Send on each value that a loop goes over, as a variable.

    Values come from anything that can be iterated over. An iterator, such as that of a generator,
    is asked for more only as there is room, and in a thread, as it may block; an async one in the
    event loop.

    Args:
        name: the variable.
        over: the variable whose value is gone over; by default the result of the step before.
        keep: the variables that go on beside it.
        limit: values after which each loop stops.
        workers: as for the other steps of the run; see `desk.Desk`.

    Raises:
        TypeError: the value can't be gone over; nor can text, of which no one means each letter.
    """

    name: str
    over: str | None = None
    keep: Collection[str] = ()
    limit: int | None = None
    workers: int = WORKERS

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        self._desk = await self._stack.enter_async_context(Desk.joined(self.workers))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def __call__(self, *envelopes: Envelope | None) -> AsyncGenerator[Envelope]:
        """Yield an envelope for each value."""
        envelope = merged(envelopes)
        variables = envelope.get("variables", {})
        kept = {name: variables.get(name) for name in self.keep}
        values = envelope.get("value") if self.over is None else variables.get(self.over)
        count = 0
        async with contextlib.aclosing(self._values(values)) as each:
            async for value in each:
                yield {"variables": {**kept, self.name: value}}
                count += 1
                if count == self.limit:
                    return

    async def _values(self, values: Any) -> AsyncGenerator[Any]:
        if isinstance(values, AsyncIterable):
            async for value in values:
                yield value
            return
        if isinstance(values, str | bytes | bytearray) or not isinstance(values, Iterable):
            what = "it was given None" if values is None else f"not over {type(values).__name__}"
            raise TypeError(f"`for {self.name} in …` goes over a list or a generator; {what}")
        if isinstance(values, Collection):
            for value in values:
                yield value
            return
        async with contextlib.aclosing(self._pulled(iter(values))) as pulled:
            async for value in pulled:
                yield value

    async def _pulled(self, iterator: Iterator[Any]) -> AsyncGenerator[Any]:
        """Yield the values of an iterator, about 10 ms of its work at a time."""
        pace = Pace(target=0.01)
        try:
            while True:
                began = clock()
                values, error = await self._desk.call(
                    functools.partial(_pull, iterator, pace.limit)
                )
                for value in values:
                    yield value
                if error is not None:
                    raise error
                if len(values) < pace.limit:
                    return
                pace.adapt(len(values), clock() - began)
        finally:
            if hasattr(iterator, "close"):
                await self._desk.call(iterator.close)


def _pull(iterator: Iterator[Any], count: int) -> tuple[list[Any], Exception | None]:
    """Take up to `count` values, and what was raised instead of the next."""
    values: list[Any] = []
    try:
        values.extend(itertools.islice(iterator, count))
    except Exception as error:
        return values, error
    return values, None
