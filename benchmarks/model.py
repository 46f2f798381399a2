"""The words that the table of workloads is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.stats import Claim

__all__ = ["OURS", "Flat", "Growth", "Side", "Unit", "Workload"]

#: How this library is called in every table.
OURS = "pipelines"


@dataclass(frozen=True)
class Unit:
    """How a figure is written: what it is multiplied with, and whether it is for one item."""

    name: str
    factor: float = 1.0
    per_item: bool = False


@dataclass(frozen=True)
class Side:
    """One of those that are compared in a workload.

    Attributes:
        name: how the tables call it.
        module: of `benchmarks.sides`.
        call: the function there; `None`: that of the workload.
        items: how many; `None`: as many as the workload has. A slow peer may run fewer.
        params: keyword arguments of the function.
        note: what a reader must know to read its figure rightly.
        peer: it runs in the peers' environment.
    """

    name: str
    module: str
    call: str | None = None
    items: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    peer: bool = False


@dataclass(frozen=True)
class Workload:
    """One line of the table: what everybody does, and what is claimed of it.

    Attributes:
        key: its short name, for `--only`.
        title: what it is.
        call: the function that each side's module has for it.
        items: how many items each side runs.
        sides: who takes part.
        result: what the right result of so many items is.
        unit: of the figures.
        claims: what must hold.
        cannot: which peers can't do this, and why.
        measure: the time, or the peak of memory above the start.
        cores: 1, or more where processes take part.
        warm: how many items the run has that warms up; 0: none.
        times: how often a process measures at most, to hand back the median.
        scales: whether a quick run may take fewer items.
        rounds: how many for each one that is asked for. Where what is claimed lies close to what is
            measured, seven don't tell on a machine whose speed changes.

    Raises:
        ValueError: a side runs fewer items than the others though the figures are not for one item.
    """

    key: str
    title: str
    call: str
    items: int
    sides: tuple[Side, ...]
    result: Callable[[int], Any]
    unit: Unit
    claims: tuple[Claim, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)
    measure: Literal["time", "memory"] = "time"
    cores: int = 1
    warm: int = 1_000
    times: int = 5
    scales: bool = True
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.unit.per_item or self.measure == "memory":
            return
        for side in self.sides:
            if side.items not in (None, self.items):
                raise ValueError(
                    f"workload {self.key!r}: {side.name} runs {side.items:,} items, not "
                    f"{self.items:,}, and {self.unit.name} are of a whole run: give it no `items`"
                )


@dataclass(frozen=True)
class Flat:
    """The claim that cost grows as the work does: what one more costs stays the same.

    Attributes:
        side: the side that it is about.
        since: the point from which on it must hold; below it what is paid once weighs too much.
        must: how many times the cost at `since` the cost at the last point may be.
        aim: the same, to come near to.
    """

    side: str
    since: int
    must: float
    aim: float


@dataclass(frozen=True)
class Growth:
    """A workload at several sizes.

    Attributes:
        workload: what is measured; its unit is for one item, node or call.
        axis: what grows.
        points: how many of them.
        claims: what must hold.
        megabytes: how much the peak of memory may differ between the points; `None`: any.
        rounds: how many at most; figures that differ by size need fewer than those that are close.
    """

    workload: Workload
    axis: str
    points: tuple[int, ...]
    claims: tuple[Flat, ...]
    megabytes: float | None = None
    rounds: int = 3
