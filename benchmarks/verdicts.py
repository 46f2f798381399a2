"""Whether what must hold does: each claim beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.model import Flat
from benchmarks.rounds import Grown, Measured
from benchmarks.stats import TIMES, Claim, Spread, number, ratio, spread

Verdict = Literal["aim reached", "holds", "missed", "not measured"]


@dataclass(frozen=True)
class Judged:
    """A claim and what came of it, as it is shown.

    Attributes:
        key: of the workload.
        claim: what is claimed.
        verdict: what came of it; a claim misses also where one of our own sides failed.
        must: the bound.
        aim: the bound to come near to.
        measured: the median.
        range: the lowest and the highest figure of a round.
    """

    key: str
    claim: str
    verdict: Verdict
    must: str
    aim: str
    measured: str
    range: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.claim}: must be {self.must}, is {self.measured or 'unknown'}"


def judge_all(found: Iterable[Measured | Grown]) -> list[Judged]:
    """Judge every claim of what was measured; one whose sides took no part is left out."""
    return [
        judged
        for each in found
        for judged in (_judge_growth(each) if isinstance(each, Grown) else _judge(each))
    ]


def _judge(measured: Measured) -> Iterator[Judged]:
    for claim in measured.workload.claims:
        sides = {claim.side, claim.against or claim.side}
        if sides <= measured.figures.keys():
            yield _judge_claim(measured, claim, sides)


def _judge_claim(measured: Measured, claim: Claim, sides: set[str]) -> Judged:
    found = claim.measured(measured.figures)
    peers = {side.name for side in measured.workload.sides if side.peer}
    ours_failed = bool(sides & measured.faults.keys() - peers)

    def bound(value: float | None) -> str:
        return "" if value is None else f"{claim.sign} {_write(value, claim.unit)}"

    return Judged(
        measured.workload.key,
        str(claim),
        _verdict(claim, found, ours_failed),
        bound(claim.must),
        bound(claim.aim),
        _write(found.median, claim.unit) if found else "",
        found.range if found else "",
    )


def _verdict(claim: Claim, found: Spread | None, ours_failed: bool) -> Verdict:
    if found is None:
        return "missed" if ours_failed else "not measured"
    if not claim.keeps(found.median, claim.must):
        return "missed"
    return "aim reached" if claim.keeps(found.median, claim.aim or claim.must) else "holds"


def _write(value: float, unit: str) -> str:
    return f"{number(value)}{unit}" if unit == TIMES else f"{number(value)} {unit}"


def _judge_growth(grown: Grown) -> Iterator[Judged]:
    key, last = grown.growth.workload.key, max(grown.points)
    for flat in grown.growth.claims:
        before, after = (grown.points[point].figures for point in (flat.since, last))
        if flat.side in after:
            yield _judge_flat(key, flat, ratio(after[flat.side], before[flat.side]), last)
    if grown.growth.megabytes is not None:
        yield from _judge_memory(grown, grown.growth.megabytes)


def _judge_flat(key: str, flat: Flat, grew: Spread | None, last: int) -> Judged:
    verdict: Verdict = "missed"
    if grew is not None and grew.median <= flat.must:
        verdict = "aim reached" if grew.median <= flat.aim else "holds"
    claim = f"{flat.side}: cost of one at {last:,}, times that at {flat.since:,}"
    bounds = f"≤ {_write(flat.must, TIMES)}", f"≤ {_write(flat.aim, TIMES)}"
    shown = (_write(grew.median, TIMES), grew.range) if grew else ("", "")
    return Judged(key, claim, verdict, *bounds, *shown)


def _judge_memory(grown: Grown, bound: float) -> Iterator[Judged]:
    points = sorted(grown.points)
    for name in grown.points[points[0]].megabytes:
        first, last = (spread(grown.points[p].megabytes[name]) for p in (points[0], points[-1]))
        if first is None or last is None:
            continue
        more = last.median - first.median
        verdict: Verdict = "holds" if more <= bound else "missed"
        claim = f"{name}: peak of memory at {points[-1]:,}, above that at {points[0]:,}"
        yield Judged(
            grown.growth.workload.key, claim, verdict, f"≤ {bound} MB", "", f"{more:.2f} MB"
        )
