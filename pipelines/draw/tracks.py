"""Where lines turn between two layers of a text drawing: they cross little and never merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

__all__ = ["Net", "tracks"]


@dataclass(frozen=True, eq=False, slots=True)
class Net:
    """Lines that are one: from one slot to all its targets, or from several that have one target.

    Attributes:
        outs: places across the flow where a line leaves the layer before.
        ins: places where one enters the layer after, and whether it arrives there or runs on.
    """

    outs: tuple[int, ...]
    ins: Mapping[int, bool]

    @property
    def low(self) -> int:
        """The first place across the flow that the turn covers."""
        return min(*self.outs, *self.ins)

    @property
    def high(self) -> int:
        """The last one."""
        return max(*self.outs, *self.ins)


def tracks(nets: Sequence[Net]) -> dict[Net, int]:
    """Return the track, counted from 0, in which each net turns; straight ones need none.

    Nets whose turns overlap get tracks of their own, in the order that crosses less.
    """
    turning = sorted((net for net in nets if net.low != net.high), key=cmp_to_key(_compare))
    found: dict[Net, int] = {}
    for net in turning:
        beside = [
            track
            for other, track in found.items()
            if other.low <= net.high and net.low <= other.high
        ]
        found[net] = max(beside, default=-1) + 1
    return found


def _compare(one: Net, other: Net) -> int:
    """Order two nets: negative where fewer lines cross if `one` turns first."""
    return (_crossings(one, other) - _crossings(other, one)) or one.low - other.low


def _crossings(first: Net, second: Net) -> int:
    """Count the crossings if `first` turns before `second`."""
    crossed = sum(first.low < place < first.high for place in second.outs)
    return crossed + sum(second.low < place < second.high for place in first.ins)
