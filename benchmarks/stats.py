"""Medians, paired ratios, and whether a claim holds.

Neighbours on the machine slow all that runs at that moment, so absolute figures wander. What is
compared is therefore paired: each round measures every side, and a ratio is one of two figures of
the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: A side's figures, one a round; `None` where it could not be measured.
Values = Sequence[float | None]


TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Spread:
    """The median of several figures, and the range they lie in."""

    median: float
    low: float
    high: float

    @property
    def range(self) -> str:
        """The range, as it is written."""
        return f"{number(self.low)} \N{EN DASH} {number(self.high)}"


def spread(values: Values) -> Spread | None:
    """Return the `Spread` of the figures that are there, if there are any."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def paired(
    left: Values, right: Values, combine: Callable[[float, float], float | None]
) -> Spread | None:
    """Return the `Spread` of two sides' figures combined round by round.

    One of them may lack the last rounds.
    """
    pairs = zip(left, right, strict=False)
    return spread([combine(a, b) for a, b in pairs if a is not None and b is not None])


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None  # nothing is no measure for anything


def ratio(left: Values, right: Values) -> Spread | None:
    """Return how many times `right` the figures on the left are."""
    return paired(left, right, _divide)


@dataclass(frozen=True)
class Claim:
    """What must hold of a side, by itself or against another one.

    Attributes:
        side: the side that it is about.
        against: the side that it is compared with, if any.
        kind: `faster`: so many times less than the other; `costs`: at most so many times the other;
            `above`: at most so much more than the other; `most`: at most so much.
        must: the bound.
        aim: the bound to come near to, if there is one.
        unit: of the bounds, where they have one.
    """

    side: str
    against: str | None
    kind: Literal["faster", "costs", "above", "most"]
    must: float
    aim: float | None = None
    unit: str = TIMES

    def measured(self, figures: Mapping[str, Values]) -> Spread | None:
        """Return the figure that the bounds are for, or `None` where a side is missing."""
        own = figures.get(self.side, ())
        other = figures.get(self.against, ()) if self.against is not None else own
        if not own or not other:
            return None
        combine: dict[str, Callable[[float, float], float | None]] = {
            "faster": lambda a, b: _divide(b, a),
            "costs": _divide,
            "above": lambda a, b: a - b,
            "most": lambda a, b: a,
        }
        return paired(own, other, combine[self.kind])

    def keeps(self, value: float, bound: float) -> bool:
        """Tell whether a figure keeps a bound."""
        return value >= bound if self.kind == "faster" else value <= bound

    @property
    def sign(self) -> str:
        """How a bound is written."""
        return "≥" if self.kind == "faster" else "≤"

    def __str__(self) -> str:
        return {
            "faster": f"{self.side}: faster than {self.against}",
            "costs": f"{self.side}: times {self.against}",
            "above": f"{self.side}: above {self.against}",
            "most": self.side,
        }[self.kind]


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def faster(side: str, than: str, must: float, aim: float | None = None) -> Claim:
    """Claim that a side is at least so many times faster than another."""
    return Claim(side, than, "faster", must, aim)


def costs(side: str, of: str, must: float, aim: float | None = None) -> Claim:
    """Claim that a side takes at most so many times what another takes."""
    return Claim(side, of, "costs", must, aim)


def above(side: str, other: str, must: float, aim: float | None = None, unit: str = "ms") -> Claim:
    """Claim that a side takes at most so much more than another."""
    return Claim(side, other, "above", must, aim, unit)


def most(side: str, must: float, aim: float | None = None, unit: str = "ms") -> Claim:
    """Claim that a side takes at most so much."""
    return Claim(side, None, "most", must, aim, unit)
