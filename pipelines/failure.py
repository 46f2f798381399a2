"""What becomes of an item that fails: the outcomes, when to try again, and how much is too much."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from operator import countOf
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol, final

from pipelines.edge import Gap
from pipelines.errors import PipelinesError
from pipelines.executor import Failure
from pipelines.spec import Retry
from pipelines.step import CONTROL

__all__ = ["SPECIAL", "Again", "Buried", "Tolerance", "again", "is_plain", "misused"]


@final
@dataclass(frozen=True, slots=True)
class Again:
    """A failed item's outcome: call it again after `seconds`, as attempt number `attempt`."""

    seconds: float
    attempt: int


@final
class Buried:
    """A failed item's outcome: its dead letter is written."""


#: Exact types of an outcome that is no plain value: what a step returns, and what failing makes.
SPECIAL = CONTROL | {Gap, Again, Buried, Failure}


def is_plain(outcomes: Sequence[Any]) -> bool:
    """Tell whether none of the outcomes is special."""
    if not outcomes:
        return True
    # Mostly all are of one type: to count them takes 9 ns each, to look each one up 13 ns.
    kind = type(outcomes[0])
    if len(outcomes) == 1 or countOf(map(type, outcomes), kind) == len(outcomes):
        return kind not in SPECIAL
    return SPECIAL.isdisjoint(map(type, outcomes))


class Fallible(Protocol):
    """What `Tolerance` looks at: a node's name and counters."""

    name: str
    tolerated: int

    @property
    def received(self) -> int:
        """Items that it took."""

    @property
    def last_error(self) -> str:
        """Its newest failure."""


class Tolerance:
    """How many failures a whole run puts up with.

    Args:
        limit: a count; or a fraction of a node's items, looked at once it has had `SAMPLE` of them
            and again when it ends; or `None` for any number.
    """

    SAMPLE = 100

    def __init__(self, limit: int | float | None) -> None:
        self.limit = limit
        self.count = 0

    def add(self, node: Fallible) -> None:
        """Count one tolerated failure.

        Raises:
            PipelinesError: that is one more than the run allows.
        """
        self.count += 1
        if isinstance(self.limit, int) and self.count > self.limit:
            raise PipelinesError(
                f"{self.count} failures are more than max_failures ({self.limit}); "
                f"the last one: node {node.name!r}: {node.last_error}"
            )
        if node.received >= self.SAMPLE:
            self.check(node)

    def check(self, node: Fallible) -> None:
        """Compare a node's failures with the share that the run allows.

        Raises:
            PipelinesError: they are more.
        """
        failures = node.tolerated
        if isinstance(self.limit, float) and failures > self.limit * node.received:
            raise PipelinesError(
                f"node {node.name!r} failed on {failures} of {node.received} items, more than "
                f"max_failures ({self.limit:.3g} of them); the last one: {node.last_error}"
            )


def again(retry: Retry | None, error: BaseException, attempt: int) -> Again | None:
    """Return when to try again after attempt number `attempt` failed; `None` if not at all."""
    if retry is None or attempt >= retry.attempts or not _retryable(error, retry.on):
        return None
    bound = min(retry.max_backoff, retry.backoff * 2.0 ** min(attempt - 1, 64))
    return Again(random.uniform(0, bound) if retry.jitter else bound, attempt + 1)


def _retryable(error: BaseException, names: tuple[str, ...]) -> bool:
    """Tell whether an error's class, or one that it derives from, is among the names."""
    if not names:
        return True
    simple = {cls.__name__ for cls in type(error).__mro__}
    return any(name in simple or isinstance(error, _class_at(name)) for name in names)


def _class_at(name: str) -> type | tuple[()]:
    """Return the class at ``module.Class`` or ``module:Class``, if the module is loaded at all.

    Where it is not, no error of its class can have been raised.
    """
    module, _, cls = name.replace(":", ".").rpartition(".")
    found = getattr(sys.modules.get(module), cls, None)
    return found if isinstance(found, type) else ()


def misused(outcome: Any) -> TypeError:
    """Return the error for a result that is no value, saying what to write instead."""
    if isinstance(outcome, CoroutineType):
        outcome.close()
        return TypeError(
            "the step returned a coroutine: it is a plain function that calls an async one. "
            "Write it as `async def` and await the call."
        )
    if isinstance(outcome, GeneratorType | AsyncGeneratorType):
        return TypeError(
            f"the step returned a {type(outcome).__name__.replace('_', ' ')}, but is no generator "
            "function itself. To send each value on, `yield` them in the step (yield from, or "
            "async for); to send one value, return a list."
        )
    return TypeError(
        f"{type(outcome).__name__} is of no use here: only a step's call may return it"
    )
