"""Whose turn it is, where several hosts wait for the same processors."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Board"]

#: What sums of shares may be off by.
_INEXACT = 1e-6

#: A host's place in the queue; the smallest goes first.
Rank = tuple[int, int, int]


class Board:
    """Gives out room for batches, to the host of the highest rank first.

    A batch takes the share of a slot that it is of what its host may have under way: all of one
    where a batch keeps a processor busy, next to nothing where thousands of items only wait.

    Args:
        slots: how much room there is.
    """

    def __init__(self, slots: int) -> None:
        self._free = float(slots)
        self._waiting: dict[Rank, Callable[[], None]] = {}

    def take(self, rank: Rank, share: float, wake: Callable[[], None]) -> bool:
        """Take room; where it is not this host's turn have `wake` called once it may be.

        Args:
            rank: the host's.
            share: how much of a slot, at most 1.
            wake: called without arguments.
        """
        if self._free >= share - _INEXACT and all(rank <= other for other in self._waiting):
            self._free -= share
            self._waiting.pop(rank, None)
            return True
        self._waiting[rank] = wake
        return False

    def leave(self, rank: Rank) -> None:
        """Wait for room no longer."""
        if self._waiting.pop(rank, None) is not None:
            self._call_next()

    def give_back(self, share: float) -> None:
        """Give room back."""
        self._free += share
        self._call_next()

    def _call_next(self) -> None:
        if self._free > 0 and self._waiting:
            self._waiting[min(self._waiting)]()
