"""Which steps a chain has, in what order, and in what order its edges must be written."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from pipelines.errors import GraphError, Problem
from pipelines.frontends.chain.step import Step, record_of

__all__ = ["Links", "linked_with", "links_of", "source_order"]

#: For each step, by its index, the indices of those that lead to it, in the order of its inputs.
Links = Mapping[int, Sequence[int]]


def linked_with(added: Sequence[Step]) -> list[Step]:
    """Return all steps that `>>` links with some, each after those that lead to it."""
    found = {id(step): step for step in added}
    waiting = [*added]
    while waiting:
        record = record_of(waiting.pop(0))
        for step in (*record.before, *record.after):
            if id(step) not in found:
                found[id(step)] = step
                waiting.append(step)
    before = {key: [id(each) for each in record_of(step).before] for key, step in found.items()}
    try:
        return [found[key] for key in TopologicalSorter(before).static_order()]
    except CycleError:
        return [*found.values()]  # in any order: the check of the graph shows the circle


def links_of(steps: Sequence[Step], added: Sequence[Step]) -> Links:
    """Return what leads to each step: by `>>`, or if nobody wrote that, the step added before.

    Raises:
        ValueError: some are linked by `>>`, and one is with none.
    """
    index = {id(step): place for place, step in enumerate(steps)}
    records = [record_of(step) for step in steps]
    if not any(record.before for record in records):
        return {place: [place - 1] if place else [] for place in range(len(steps))}
    alone = [record.name for record in records if not record.before and not record.after]
    if alone:
        raise ValueError(
            f"step {alone[0]!r} is linked with no other: where one link is written, all are, "
            f"as in a >> {alone[0]}"
        )
    return {i: [index[id(each)] for each in record.before] for i, record in enumerate(records)}


def source_order(links: Links, names: Sequence[str]) -> list[int]:
    """Return the steps in an order in which each one's inputs stand as its links say.

    A graph document has one line a step, and the order of the lines is that of all inputs.

    Raises:
        GraphError: two steps want the same inputs in contrary orders.
    """
    later: dict[int, set[int]] = {each: set() for each in links}
    for inputs in links.values():
        for one, other in pairwise(inputs):
            later[one].add(other)
    blocked = {each: sum(each in others for others in later.values()) for each in links}
    ready = [each for each, count in blocked.items() if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for each in later[order[-1]]:
            blocked[each] -= 1
            if not blocked[each]:
                heapq.heappush(ready, each)
    if len(order) < len(links):
        raise GraphError([_contrary(links, names)])
    return order


def _contrary(links: Links, names: Sequence[str]) -> Problem:
    joins = [
        f"{names[each]} has {', '.join(names[i] for i in inputs)}"
        for each, inputs in links.items()
        if len(inputs) > 1
    ]
    what = f"steps take the same inputs in contrary orders: {'; '.join(joins)}."
    return Problem("input-order", what, ("graph",), "Link them in one order everywhere.")
