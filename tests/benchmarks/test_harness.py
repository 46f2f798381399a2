"""Rounds, verdicts, tables and pictures, on figures that are known."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as command
from benchmarks import chart, machine, peers, report, results, rounds, svg
from benchmarks.model import OURS, Flat, Growth, Side, Unit, Workload
from benchmarks.rounds import Fault, Grown, Measured, Plan
from benchmarks.stats import faster
from benchmarks.verdicts import Judged, judge_all

SIDES = (Side(OURS, "ours"), Side("raw", "raw", note="by hand"), Side("peer", "ours", peer=True))
NANOSECONDS = Unit("ns/item", 1e9, per_item=True)


def workload(**changes: Any) -> Workload:
    """Return a workload of three sides."""
    told: dict[str, Any] = {
        "key": "w1-async",
        "title": "A chain",
        "call": "chain_async",
        "items": 1000,
        "sides": SIDES,
        "result": lambda items: items * (items - 1) // 2 + 3 * items,
        "unit": NANOSECONDS,
        "claims": (faster(OURS, "raw", 4, 5), faster(OURS, "peer", 2)),
        "cannot": {"other": "no such thing"},
        "warm": 10,
    }
    return Workload(**{**told, **changes})


def measured(ours: float | None, raw: float = 12.0) -> Measured:
    """Return what a round gave."""
    faults = {} if ours is not None else {OURS: "it broke"}
    return Measured(workload(), {OURS: [ours], "raw": [raw]}, {OURS: [1], "raw": [1]}, faults)


# Verdicts.


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(2.0, "aim reached"), (2.5, "holds"), (4.0, "missed"), (None, "missed")],
)
def test_verdicts(ours: float | None, verdict: str) -> None:
    """The median is held against both bounds; where our own side failed the claim is missed."""
    (judged,) = judge_all([measured(ours)])
    assert judged.verdict == verdict


def test_a_claim_about_a_peer_that_failed_is_not_missed() -> None:
    """A peer that can't be installed here is not our fault."""
    found = measured(2.0)
    found.figures["peer"], found.faults["peer"] = [None], "No module named 'peer'"
    assert [judged.verdict for judged in judge_all([found])] == ["aim reached", "not measured"]


def test_the_bounds_are_shown_as_they_are_meant() -> None:
    """A reader sees the bound, the aim, and what was measured."""
    (judged,) = judge_all([measured(2.5)])
    assert (judged.must[:6], judged.aim[:6], judged.measured[:4]) == ("≥ 4.00", "≥ 5.00", "4.80")
    assert "faster than raw" in judged.claim


# Growth.


def grown(last: float, megabytes: float = 1.0) -> Grown:
    """Return a growth at three sizes."""
    growth = Growth(workload(), "items", (10, 100, 1000), (Flat(OURS, 100, 1.5, 1.2),), 2.0)
    found = Grown(growth)
    for point, value, peak in ((10, 9.0, 1.0), (100, 2.0, 1.0), (1000, last, megabytes)):
        found.points[point] = Measured(workload(), {OURS: [value]}, {OURS: [peak]})
    return found


@pytest.mark.parametrize(("last", "verdict"), [(2, "aim reached"), (2.6, "holds"), (4, "missed")])
def test_growth_is_judged_from_where_it_counts(last: float, verdict: str) -> None:
    """The cost of one at the last point is held against that of the first one that counts."""
    assert judge_all([grown(last)])[0].verdict == verdict


@pytest.mark.parametrize(("peak", "verdict"), [(2.9, "holds"), (3.1, "missed")])
def test_growth_of_memory_is_judged(peak: float, verdict: str) -> None:
    """The peak at the last point may lie only so far above that at the first."""
    assert judge_all([grown(2.0, peak)])[1].verdict == verdict


def test_a_size_that_failed_is_missed() -> None:
    """A growth that ends in a fault does not hold."""
    found = grown(2.0)
    found.points[1000] = Measured(workload(), {OURS: [None]}, {OURS: [None]}, {OURS: "too much"})
    assert judge_all([found])[0].verdict == "missed"
    assert report.fault_lines([found]) == ["w1-async at 1,000: pipelines: too much"]


# Rounds.


def test_whole_runs_are_not_compared_with_shorter_ones() -> None:
    """Only where a figure is for one item may a slow side run fewer of them."""
    sides = (*SIDES, Side("slow", "raw", items=10))
    assert workload(sides=sides).sides == sides
    with pytest.raises(ValueError, match="'w1-async': slow runs 10 items, not 1,000, and ms are"):
        workload(sides=sides, unit=Unit("ms", 1e3))


def test_a_workload_can_ask_for_more_rounds() -> None:
    """They are for those that a claim is about, which are compared in all of them."""
    sides = (*SIDES, Side("nobody", "raw"))
    close = workload(times=1, rounds=3, sides=sides, claims=(faster(OURS, "raw", 1, 2),))
    found = rounds.measure(close, Plan(sys.executable, rounds=1))
    taken = {name: len(figures) for name, figures in found.figures.items()}
    assert taken == {OURS: 3, "raw": 3, "nobody": 1}
    assert [judged.range for judged in judge_all([found])] != [""]
    assert "nobody" in "".join(report.workload_lines(found))


def test_each_side_is_measured_in_each_round() -> None:
    """Both run in processes of their own, and give a figure for each round."""
    found = rounds.measure(workload(times=1), Plan(sys.executable, rounds=2))
    assert {name: len(figures) for name, figures in found.figures.items()} == {OURS: 2, "raw": 2}
    assert all(figure for figures in found.figures.values() for figure in figures)
    assert not found.faults


def test_a_wrong_result_counts_for_nothing() -> None:
    """Nobody is fast by being wrong: the side is named, and has no figures."""
    found = rounds.measure(workload(result=lambda items: 0), Plan(sys.executable, rounds=2))
    assert found.figures == {OURS: [None, None], "raw": [None, None]}
    assert "wrong result" in found.faults[OURS]


def test_all_sides_compute_the_same() -> None:
    """As many numbers as take so long here, whose sum changes no result."""
    numbers = machine.spin(sys.executable)
    assert numbers > 0
    assert sum(range(numbers)) % 2 == 0
    odd = Plan(sys.executable, rounds=1, numbers=3)
    quick = {"warm": 0, "times": 1, "cores": 2, "items": 10, "sides": SIDES[1:2]}
    found = rounds.measure(
        workload(call="cpu_30us", result=lambda items: items * (items - 1) // 2, **quick), odd
    )
    assert found.faults["raw"] == "wrong result: 55 instead of 45"


def test_a_side_that_fails_is_named_with_its_error() -> None:
    """The last line of what it printed says why."""
    broken = workload(sides=(Side("broken", "nowhere"),))
    found = rounds.measure(broken, Plan(sys.executable, rounds=1))
    assert "No module named 'benchmarks.sides.nowhere'" in found.faults["broken"]


def test_a_side_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't hold the others up for ever."""
    monkeypatch.setattr(rounds, "_TIMEOUT", 0.01)
    with pytest.raises(Fault, match="not done after"):
        rounds.run_child(sys.executable, rounds.job(workload(), SIDES[0], 10))


def test_who_takes_part() -> None:
    """Peers do where their environment is there; names may choose among all."""
    assert [Plan("python").takes(side) for side in SIDES] == [True, True, False]
    assert [Plan("python", "other").takes(side) for side in SIDES] == [True, True, True]
    assert [Plan("python", sides=("ra",)).takes(side) for side in SIDES] == [False, True, False]
    assert [Plan("python", "other").interpreter(side) for side in SIDES[1:]] == ["python", "other"]


@pytest.mark.parametrize(("scale", "items"), [(1.0, 1000), (0.3, 300), (0.01, 100)])
def test_a_quick_run_takes_fewer_items(scale: float, items: int) -> None:
    """By hundreds, as some workloads need numbers that can be divided."""
    assert Plan("python", scale=scale).items(workload(), SIDES[0]) == items
    assert Plan("python", scale=scale).items(workload(scales=False), SIDES[0]) == 1000


# Tables.


def test_a_table_is_aligned() -> None:
    """Words stand to the left, figures to the right, and all lines are equally long."""
    lines = report.table(("side", "ns"), [("ours", "1"), ("by hand", "1,234")])
    assert lines == [
        "| side    |    ns |",
        "|---------|------:|",
        "| ours    |     1 |",
        "| by hand | 1,234 |",
    ]


def test_the_table_of_a_workload() -> None:
    """It shows each side with its ratio, its note, and who can't do it or failed."""
    found = measured(2.5)
    found.figures["peer"], found.faults["peer"] = [None], "it broke"
    text = "\n".join(report.workload_lines(found))
    assert re.search(r"\| raw +\| +12\.0 \|.*\| +4\.80 \|.*\| by hand", text)
    assert "could not be measured: it broke" in text
    assert "can't: no such thing" in text


def test_the_page_of_results() -> None:
    """It holds the machine, the verdicts, every workload and every growth."""
    found: list[Measured | Grown] = [measured(2.5), grown(2.0)]
    text = results.page(found, judge_all(found), {"Python": "CPython 3.11"}, 7)
    for part in (
        "CPython 3.11",
        "aim reached",
        "### A chain",
        "7 times over",
        "chart.svg",
        "1,000",
    ):
        assert part in text


# Pictures.


def shown() -> list[Measured]:
    """Return workloads that the picture shows."""
    return [measured(500.0, 2_000.0), measured(30.0, 1_000_000.0)]


def test_bars_are_well_formed_and_ordered() -> None:
    """The picture is XML, names each side, and has the fastest one on top."""
    text = chart.bars(shown())
    root = ElementTree.fromstring(text)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count(OURS) == words.count("raw") == 2
    assert words.index(OURS) < words.index("raw")
    assert any(word and word.startswith("2 µs · 4.00") for word in words)
    assert "prefers-color-scheme" in text


def test_a_longer_time_has_a_longer_bar() -> None:
    """On a logarithmic scale, a hundred times as much is twice as long as ten times."""
    scale = chart.Scale(10, 1000, start=0, width=100)
    assert [scale(10), scale(100), scale(1000)] == pytest.approx([0, 50, 100])
    assert scale.decades() == [10, 100, 1000]


def test_lines_show_growth_and_memory() -> None:
    """Memory has a plot of its own, whose scale shows that nearly nothing is nearly nothing."""
    root = ElementTree.fromstring(chart.lines([grown(2.0)]))
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "peak MB" in words
    assert "1 k" in words
    assert words.count("items, log scale") == 2


def test_words_are_escaped() -> None:
    """What a side is called can't break the picture."""
    assert svg.text(0, 0, "a < b & c") == '<text x="0.0" y="0.0">a &lt; b &amp; c</text>'


def test_pictures_are_written_only_of_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of which there is nothing to show stays as it was."""
    monkeypatch.setattr(chart, "BARS", tmp_path / "bars.svg")
    monkeypatch.setattr(chart, "LINES", tmp_path / "lines.svg")
    chart.write_all(shown())
    assert [file.name for file in tmp_path.iterdir()] == ["bars.svg"]


# The command line, and the peers.


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    return command.main()


def test_the_command_fails_where_a_must_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the tables, and says what was missed."""
    impossible = workload(claims=(faster(OURS, "raw", 1e9),), sides=SIDES[:2], times=1)
    monkeypatch.setattr(command, "_ALL", (impossible,))
    assert run(monkeypatch, "--no-peers", "--rounds", "1") == 1
    assert "missed: w1-async: pipelines: faster than raw" in capsys.readouterr().out
    monkeypatch.setattr(command, "_ALL", (workload(claims=(), sides=SIDES[1:2], times=1),))
    assert run(monkeypatch, "--no-peers", "--rounds", "1") == 0


@pytest.mark.parametrize(
    "arguments", [("--only", "nothing"), ("--write", "--no-peers"), ("--rounds", "0")]
)
def test_misuse_of_the_command(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str]) -> None:
    """It is told before anything is measured."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments, "--python", sys.executable)
    assert caught.value.code not in (0, None)


def test_the_environment_of_the_peers_goes_with_that_of_the_interpreter() -> None:
    """Each Python that is measured has its own."""
    assert peers.folder_for("/x/.venv/bin/python").name == ".venv-bench"
    assert peers.folder_for("/x/.venv-3.12/bin/python").name == ".venv-bench-3.12"
    assert peers.folder_for("/opt/3.13.0/bin/python").name == ".venv-bench-3.13.0"


def test_every_peer_is_pinned() -> None:
    """The page of results says at which version each was measured."""
    assert set(peers.versions()) == set(peers.NAMES)


def test_judged_reads_as_a_sentence() -> None:
    """What is missed is told in one line."""
    judged = Judged("w1", "a: faster than b", "missed", "≥ 4", "", "3")
    assert str(judged) == "w1: a: faster than b: must be ≥ 4, is 3"
