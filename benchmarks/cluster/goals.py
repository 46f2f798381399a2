"""What must hold on Ray, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cluster.rounds import Found
from benchmarks.stats import TIMES, number, ratio, spread
from benchmarks.verdicts import Judged

__all__ = ["judge_all"]

#: What the first two goals are about.
_FAST = ("diamond", "one host", 1_000)
_SLOW = ("diamond", "node by node", 100)

#: Items a second with all of the diamond in one host, and times those node by node.
_RATE = 200_000
_TIMES = 5.0
_STALL = 5.0


def judge_all(found: Found) -> list[Judged]:
    """Return each goal with what came of it; what was not measured is left out."""
    return [*_speed(found), *_kills(found), *_left(found)]


def _speed(found: Found) -> Iterator[Judged]:
    fast, slow = (found.figures.get(each, []) for each in (_FAST, _SLOW))
    if rate := spread(fast):
        yield _judged(
            "diamond",
            "one host, batch 1,000",
            f"≥ {_RATE:,} items/s",
            f"{number(rate.median)} items/s",
            rate.median >= _RATE,
            rate.range,
        )
    if slow and (times := ratio(fast, slow)):
        yield _judged(
            "diamond",
            "the same: times node by node, batch 100",
            f"≥ {_TIMES:g}{TIMES}",
            f"{number(times.median)}{TIMES}",
            times.median >= _TIMES,
            times.range,
        )


def _kills(found: Found) -> Iterator[Judged]:
    """Judge the worst of all rounds: what was promised must hold each time."""
    stalls = spread([each.stall for each in found.kills])
    if stalls is None:
        return
    yield _judged(
        "kill",
        "longest time without an item",
        f"≤ {_STALL:g} s",
        f"{stalls.high:.2f} s",
        stalls.high <= _STALL,
        stalls.range,
    )
    yield _none("kill", "items lost", sum(each.lost for each in found.kills))
    yield _none("kill", "items twice", sum(each.twice for each in found.kills))
    yield _none("kill", "runs out of order", sum(not each.ordered for each in found.kills))
    unhurt = sum(not each.restarts for each in found.kills)
    yield _none("kill", "runs that no process was restarted in", unhurt)


def _left(found: Found) -> Iterator[Judged]:
    yield _none("left behind", "objects in the store", sum(each.objects for each in found.left))
    yield _none("left behind", "bytes in the store", sum(each.size for each in found.left))
    yield _none("left behind", "processes", found.processes)
    yield _none("left behind", "folders", found.folders)


def _none(key: str, claim: str, count: int) -> Judged:
    return _judged(key, claim, "0", f"{count:,}", count == 0)


def _judged(
    key: str, claim: str, must: str, measured: str, holds: bool, spoken_range: str = ""
) -> Judged:
    return Judged(key, claim, "holds" if holds else "missed", must, "", measured, spoken_range)
