"""Steps that do no harm: what a server offers where nobody says what to offer.

None of them opens a file, a URL or a program, and none makes an item grow without bound.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, TypeVar

from pipelines.server.arguments import Slider
from pipelines.step import SKIP, Skip

__all__ = [
    "SAMPLES",
    "arithmetic",
    "count",
    "discard",
    "flaky",
    "only",
    "pair",
    "random_numbers",
    "reverse",
    "show",
    "slow",
    "square",
    "ticks",
    "total",
    "upper",
    "words",
]

Item = TypeVar("Item")
Number = int | float

_LARGEST = 1e12  # a result is never larger than this squared, so no number grows without bound


def count(start: int = 1, stop: int | None = None, step: int = 1) -> Iterator[int]:
    """Count, as fast as the graph takes it.

    Args:
        start: the first number.
        stop: the last number; without one it goes on until you stop it.
        step: from one number to the next; may be negative.
    """
    if not step:
        raise ValueError("step is the way from one number to the next, so not 0")
    number = start
    while stop is None or (number <= stop if step > 0 else number >= stop):
        yield number
        number += step


async def ticks(
    every: Annotated[float, Slider(0.05, 5, 0.05)] = 0.5, times: int | None = None
) -> AsyncIterator[int]:
    """Count at a steady pace.

    Args:
        every: seconds from one tick to the next.
        times: how many ticks; without it they go on until you stop them.
    """
    number = 0
    while times is None or number < times:
        number += 1
        yield number
        await asyncio.sleep(every)


def random_numbers(
    low: int = 1, high: int = 100, how_many: int | None = None, seed: int = 0
) -> Iterator[int]:
    """Make random whole numbers, the same ones in every run.

    Args:
        low: the smallest.
        high: the largest.
        how_many: numbers in all; without it they go on until you stop them.
        seed: another one makes other numbers.
    """
    draw = random.Random(seed)
    made = 0
    while how_many is None or made < how_many:
        yield draw.randint(low, high)
        made += 1


def words(text: str = "the quick brown fox jumps over the lazy dog") -> Iterator[str]:
    """Give the words of a text, one by one.

    Args:
        text: what to take apart, at white space.
    """
    yield from text.split()


def square(number: Any) -> Any:
    """Multiply a number by itself."""
    if abs(number) > _LARGEST:
        raise OverflowError(f"{number} is too large to be squared here")
    return number * number


def arithmetic(
    number: Any,
    operation: Literal["add", "subtract", "multiply", "divide"] = "add",
    operand: Annotated[float, "the other number"] = 1,
) -> Any:
    """Calculate with a number.

    Args:
        operation: what to do.
    """
    if operation == "add":
        return number + operand
    if operation == "subtract":
        return number - operand
    if operation == "divide":
        return number / operand
    if abs(number) > _LARGEST or abs(operand) > _LARGEST:
        raise OverflowError(f"{number} times {operand} is too large here")
    return number * operand


async def slow(item: Item, seconds: Annotated[float, Slider(0, 2, 0.01)] = 0.1) -> Item:
    """Take its time for each item, as a service far away would.

    Args:
        seconds: how long one item takes. With concurrency several are under way at once.
    """
    await asyncio.sleep(seconds)
    return item


class flaky:  # noqa: N801  # a step is named as graphs spell it
    """Fail for some of the items, the same ones in every run.

    Try it with `on_error: skip`, or with `retry`.

    Args:
        share: how many of them, from none (0) to all (1).
        seed: another one fails for other items.
    """

    def __init__(self, share: Annotated[float, Slider(0, 1, 0.01)] = 0.1, seed: int = 0) -> None:
        self._share = share
        self._random = random.Random(seed)

    def __call__(self, item: Item) -> Item:
        """Return the item, or fail."""
        if self._random.random() < self._share:
            raise RuntimeError(f"no luck with {item!r:.100}")
        return item


def only(number: Any, keep: Literal["even", "odd", "positive", "negative"] = "even") -> Any | Skip:
    """Let only some numbers pass.

    Args:
        keep: which ones.
    """
    wanted = {
        "even": number % 2 == 0,
        "odd": number % 2 == 1,
        "positive": number > 0,
        "negative": number < 0,
    }
    return number if wanted[keep] else SKIP


def reverse(item: Any) -> Any:
    """Turn a text around, or the text of anything else."""
    return str(item)[::-1]


def upper(item: Any) -> str:
    """Change a text to capitals."""
    return str(item).upper()


class total:  # noqa: N801  # a step is named as graphs spell it
    """Give the sum of all numbers so far."""

    def __init__(self) -> None:
        self._sum: Number = 0

    def __call__(self, number: Any) -> Number:
        """Add a number."""
        self._sum += number
        return self._sum


def pair(*items: Any) -> list[Any]:
    """Put what comes over several edges into one list."""
    return [f"{item!r:.200}" if isinstance(item, list) else item for item in items]


def show(item: Item) -> Item:
    """Show each item in the output."""
    return item


def discard(item: Any) -> Skip:
    """Swallow each item, as fast as it comes."""
    return SKIP


#: What is offered, each with the kind of node that it makes.
SAMPLES: dict[str, tuple[Any, Literal["source", "step", "sink"]]] = {
    "count": (count, "source"),
    "ticks": (ticks, "source"),
    "random_numbers": (random_numbers, "source"),
    "words": (words, "source"),
    "square": (square, "step"),
    "arithmetic": (arithmetic, "step"),
    "slow": (slow, "step"),
    "flaky": (flaky, "step"),
    "only": (only, "step"),
    "reverse": (reverse, "step"),
    "upper": (upper, "step"),
    "total": (total, "step"),
    "pair": (pair, "step"),
    "show": (show, "sink"),
    "discard": (discard, "sink"),
}
