"""How high each slot of a layered drawing lies: near its neighbours, never on another slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from pipelines.draw.layers import Layers, Slot

__all__ = ["spread"]

_SWEEPS = 10


def spread(layers: Layers, room: Callable[[Slot, Slot], float]) -> dict[Slot, float]:
    """Return the middle of each slot across the flow.

    Args:
        layers: the slots, each layer in order.
        room: the least distance between the middles of two neighbours in a layer.
    """
    where: dict[Slot, float] = {}
    for layer in layers:
        gaps = _gaps(layer, room)
        where.update(zip(layer, gaps, strict=True))
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [_wanted(slot, where, sweep) for slot in layer]
            where.update(zip(layer, _apart(wanted, _gaps(layer, room)), strict=True))
    return where


def _gaps(layer: Sequence[Slot], room: Callable[[Slot, Slot], float]) -> list[float]:
    """Return where each slot lies if all of the layer are packed as close as they may be."""
    packed: list[float] = []
    for index, slot in enumerate(layer):
        packed.append(packed[-1] + room(layer[index - 1], slot) if index else 0.0)
    return packed


def _wanted(slot: Slot, where: dict[Slot, float], sweep: int) -> float:
    """Return where a slot would lie best: level with its neighbours, in the end on both sides."""
    near = slot.sources if sweep % 2 == 0 else slot.targets
    if sweep >= _SWEEPS - 2:
        near = [*slot.sources, *slot.targets]
    return median(where[each] for each in near) if near else where[slot]


def _apart(wanted: Sequence[float], packed: Sequence[float]) -> list[float]:
    """Return the places nearest to `wanted`, by least squares, that keep order and distances.

    Pool adjacent violators: what would overlap is moved as one block to the mean of its wishes.
    """
    blocks: list[tuple[float, int]] = []  # sum of wishes, less the packing; how many
    for wish, least in zip(wanted, packed, strict=True):
        total, size = wish - least, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            before, members = blocks.pop()
            total, size = total + before, size + members
        blocks.append((total, size))
    shifts = [total / size for total, size in blocks for _ in range(size)]
    return [shift + least for shift, least in zip(shifts, packed, strict=True)]
