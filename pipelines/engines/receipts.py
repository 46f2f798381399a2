"""Where a slice comes from, and who is told once all that came of it has had its effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Origin", "Receipt"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Which neighbouring entries of a source, or of a durable edge, something was made of.

    Attributes:
        root: the name of the input node, or of the durable edge.
        first, last: the positions of the first entry and behind the last one, counted from 0.
    """

    root: str
    first: int
    last: int


class Receipt:
    """Counts the slices that were made of a batch of a durable edge, and are still on their way.

    Args:
        done: called when there is none any more.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._slices = 1

    def hold(self) -> None:
        """Count one slice more."""
        self._slices += 1

    def release(self) -> None:
        """Count one slice less: it has had its effect, or others were made of it."""
        self._slices -= 1
        if not self._slices:
            self._done()
