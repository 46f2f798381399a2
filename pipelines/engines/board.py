"""Whose turn it is, where several hosts wait for the same processors."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Board"]

#: A host's place in the queue; the smallest goes first.
Rank = tuple[int, int, int]


class Board:
    """Gives out slots to send a batch, those of the highest rank first.

    Args:
        slots: how many batches may be under way at once.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: dict[Rank, Callable[[], None]] = {}

    def take(self, rank: Rank, wake: Callable[[], None]) -> bool:
        """Take a slot; where it is not this host's turn have `wake` called once it may be."""
        if self._free > 0 and all(rank <= other for other in self._waiting):
            self._free -= 1
            self._waiting.pop(rank, None)
            return True
        self._waiting[rank] = wake
        return False

    def leave(self, rank: Rank) -> None:
        """Wait for a slot no longer."""
        if self._waiting.pop(rank, None) is not None:
            self._call_next()

    def give_back(self) -> None:
        """Give a slot back."""
        self._free += 1
        self._call_next()

    def _call_next(self) -> None:
        if self._free > 0 and self._waiting:
            self._waiting[min(self._waiting)]()
