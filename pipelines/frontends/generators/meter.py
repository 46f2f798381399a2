"""Time and resources put down to the one of many nested iterators that uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from time import perf_counter as clock
from typing import Any, Literal, Protocol

from pipelines.metrics import EdgeCounts, RunReport, Snapshot, State
from pipelines.reporters.records import MeasuredCounts, Usage

__all__ = ["Counter", "Meter"]


class Counter(Protocol):
    """What a `Meter` asks for calls that were made meanwhile."""

    def pop(self) -> int:
        """Return how many there were since this was last called."""


class Tracked:
    """What is known of one iterator."""

    __slots__ = ("count", "name", "queries", "seconds", "state", "usage")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = self.queries = 0
        self.seconds = 0.0
        self.usage = Usage()
        self.state: State = "waiting"


class Meter:
    """Measures nested iterators: whenever another one begins to run, the one before is charged.

    Args:
        interval: seconds between two calls of `tell`.
        counter: counts calls, such as queries to a database.
        tell: is told how it goes; the time that it takes is charged to nobody.
    """

    def __init__(
        self, interval: float, counter: Counter | None, tell: Callable[[Snapshot], None]
    ) -> None:
        self._interval = interval
        self._counter = counter
        self._tell = tell
        self._chain: list[Tracked] = []
        self._running: Tracked | None = None
        self._began = self._since = self._due = 0.0
        self._used = Usage()

    def track(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """Give the items of an iterable, and keep its account."""
        tracked = Tracked(self._unique(_name(iterable)))
        self._chain.append(tracked)
        return self._pull(tracked, iter(iterable))

    def _unique(self, name: str) -> str:
        known = {each.name for each in self._chain}
        number = 2
        unique = name
        while unique in known:
            unique, number = f"{name}#{number}", number + 1
        return unique

    def _pull(self, tracked: Tracked, iterator: Iterator[Any]) -> Iterator[Any]:
        tracked.state = "running"
        try:
            while True:
                outer = self._switch(tracked)
                try:
                    item = next(iterator)
                finally:
                    self._switch(outer)
                tracked.count += len(item) if type(item) is list else 1
                yield item
        except StopIteration:
            tracked.state = "done"
        except GeneratorExit:
            tracked.state = "stopped"
            raise
        except BaseException:
            failed = any(each.state == "failed" for each in self._chain)
            tracked.state = "stopped" if failed else "failed"
            raise

    def _switch(self, to: Tracked | None) -> Tracked | None:
        """Charge the one that has run until now, and let another run; return the former."""
        now, used = clock(), Usage.now()
        running, self._running = self._running, to
        calls = 0 if self._counter is None else self._counter.pop()
        if running is not None:
            running.seconds += now - self._since
            running.usage += used - self._used
            running.queries += calls
        if now >= self._due:
            self._due = now + self._interval
            self._tell(self.snapshot())
            now, used = clock(), Usage.now()
        self._since, self._used = now, used
        return running

    # What there is to tell.

    def begin(self) -> None:
        """Start the clock."""
        self._began = clock()
        self._due = self._began + self._interval

    def snapshot(self) -> Snapshot:
        """Return the counters as they are now, each iterator as a node that leads to the next."""
        nodes = {}
        taken = None
        for each in self._chain:
            nodes[each.name] = _counts(each, each.count if taken is None else taken)
            taken = each.count
        links = pairwise(nodes)
        return Snapshot(clock() - self._began, nodes, {link: EdgeCounts(0, 0) for link in links})

    def report(self, error: BaseException | None) -> RunReport:
        """Return how it ended: by itself, closed early (which is a cancel), or with an error."""
        last = self.snapshot()
        return RunReport(
            ok=error is None,
            reason=_reason(error),
            seconds=last.seconds,
            bottleneck=last.bottleneck,
            nodes=last.nodes,
            edges=last.edges,
            error=error,
        )


def _reason(error: BaseException | None) -> Literal["done", "cancelled", "failed"]:
    if error is None:
        return "done"
    return "cancelled" if isinstance(error, GeneratorExit) else "failed"


def _counts(tracked: Tracked, taken: int) -> MeasuredCounts:
    failed = int(tracked.state == "failed" and taken > 0)
    return MeasuredCounts(
        state=tracked.state,
        received=taken,
        passed_on=taken - failed,
        failed=failed,
        emitted=tracked.count,
        busy=tracked.seconds,
        usage=tracked.usage,
        queries=tracked.queries,
    )


def _name(iterable: Iterable[Any]) -> str:
    """Return what to call an iterator: as its generator function is called, or as its class."""
    return str(getattr(iterable, "__name__", type(iterable).__name__))
