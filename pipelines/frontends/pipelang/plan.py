"""Which tasks of a block follow which, and what variables each has to carry on for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.frontends.pipelang.tasks import Task

__all__ = ["Place", "plan"]


@dataclass(slots=True)
class Place:
    """A task's place in its block.

    Attributes:
        parents: the tasks, by index, whose results it waits for; none where it waits only for what
            the block begins with. Of two of which one waits for the other, only the last is here:
            that one carries what is needed of the first.
        carries: the variables that pass through it, for itself and for those behind it.
        joined: its results are paired with those of others, so their order must be kept.
    """

    parents: list[int] = field(default_factory=list)
    carries: set[str] = field(default_factory=set)
    joined: bool = False


def plan(tasks: Sequence[Task]) -> list[Place]:
    """Return the places of a block's tasks.

    Tasks wait for values and not for each other: two that share nothing run at the same time.
    """
    makers = {task.assign: index for index, task in enumerate(tasks) if task.assign is not None}
    places: list[Place] = []
    before: list[int] = []  # for each task those that it waits for, also indirectly, as bits
    for task in tasks:
        direct = sorted(makers[name] for name in task.needs if name in makers)
        inner = 0
        for index in direct:
            inner |= before[index]
        places.append(Place([index for index in direct if not inner >> index & 1]))
        before.append(inner | sum(1 << index for index in direct))
    _carry(tasks, makers, places, before)
    _mark_joined(places, before)
    return places


def _carry(
    tasks: Sequence[Task], makers: dict[str, int], places: list[Place], before: list[int]
) -> None:
    """Note which variables pass through which tasks, from the last task to the first."""
    for task, place in zip(reversed(tasks), reversed(places), strict=True):
        for name in place.carries | task.needs:
            maker = makers.get(name)
            if maker in place.parents:
                continue
            for parent in place.parents:
                if maker is None or before[parent] >> maker & 1:
                    places[parent].carries.add(name)
                    break


def _mark_joined(places: list[Place], before: list[int]) -> None:
    behind = 0
    for index, place in enumerate(places):
        if len(place.parents) > 1:
            behind |= before[index]
    for index, place in enumerate(places):
        place.joined = bool(behind >> index & 1)
