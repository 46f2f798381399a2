"""The measurements on Ray: goals, tables, picture on figures that are known; and a small round."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.cluster import __main__ as command
from benchmarks.cluster import goals, page, rounds, runs
from benchmarks.cluster.rounds import BATCHES, KINDS, LOCAL, MAPPINGS, REPLICAS, Found

ROOT = Path(__file__).parents[2]
GOOD = runs.Killed("left", stall=1.5, lost=0, twice=0, ordered=True, restarts=1, resent=2)


def found(rate: float = 400_000, slow: float = 20_000, killed: runs.Killed = GOOD) -> Found:
    """Return what two rounds gave."""
    known = Found(kills=[GOOD, killed], left=[runs.Left(0, 0, 7)] * 2)
    for figure in (0.9, 1.1):
        for mapping in MAPPINGS:
            for batch in BATCHES:
                own = {"one host": rate, "node by node": slow}[mapping]
                known.add("diamond", mapping, batch, figure=own * figure)
            for kind in ("p50", "p95"):
                known.add("latency", mapping, kind, figure=figure)
            for end in ("start", "end"):
                known.add("run", mapping, end, figure=figure)
        for kind in KINDS:
            for count in REPLICAS:
                known.add("replicas", kind, count, figure=100 * count * figure)
        for end in ("start", "end"):
            known.add("cluster", end, figure=figure)
        known.add("diamond", LOCAL, 0, figure=1e6)
    return known


def missed(known: Found) -> list[str]:
    """Return the claims that do not hold."""
    return [each.claim for each in goals.judge_all(known) if each.verdict == "missed"]


def test_all_goals_hold() -> None:
    """Figures that are good enough miss no goal, and each goal is judged."""
    assert missed(found()) == []
    assert len(goals.judge_all(found())) == 11


@pytest.mark.parametrize(
    ("known", "claims"),
    [
        (found(rate=199_000), ["one host, batch 1,000"]),
        (found(slow=81_000), ["the same: times node by node, batch 100"]),
        (
            found(killed=runs.Killed("left", 5.1, 1, 2, False, 0, 0)),
            [
                "longest time without an item",
                "items lost",
                "items twice",
                "runs out of order",
                "runs that no process was restarted in",
            ],
        ),
    ],
)
def test_a_goal_that_is_missed(known: Found, claims: list[str]) -> None:
    """One round in which a kill did harm is enough, and so is a median that is too low."""
    assert missed(known) == claims


def test_what_is_left_behind_is_a_goal_missed() -> None:
    """Each of what may be left in the store, and on the machine, counts."""
    known = found()
    known.left = [runs.Left(1, 10, 7)]
    known.processes = known.folders = 1
    assert len(missed(known)) == 4


def test_what_was_not_measured_is_not_judged() -> None:
    """Nor does it keep the tables from being shown."""
    assert {each.key for each in goals.judge_all(Found())} == {"left behind"}
    assert len(list(page.tables(Found()))) == 6


def test_the_page_and_the_picture() -> None:
    """The page has each table and names the picture, which is whole."""
    known = found()
    text = page.page(known, goals.judge_all(known), {"cores": "2"}, 2)
    assert len(re.findall(r"^## ", text, re.MULTILINE)) == 7
    assert "| 1,000        |           400,000 |" in text
    assert f"({page.PICTURE.name})" in text
    picture = ElementTree.fromstring(page.picture(known))
    assert len(picture.findall(".//{*}polyline")) == len(MAPPINGS) + len(KINDS)


def test_a_wrong_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be measured is listed then."""
    monkeypatch.setattr(sys, "argv", ["cluster", "--only", "dimond"])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    said = " ".join(capsys.readouterr().err.split())
    assert all(name in said for name in rounds.names())


@pytest.mark.slow
def test_a_small_round() -> None:
    """Rates, a latency and a kill are measured for real, and nothing is left behind."""
    names = ["diamond, one host, batch 100", "diamond, this", "waits, 2", "latency, one", "kill"]
    options = ["--rounds", "1", "--scale", "0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cluster", *options, "--only", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "9 goals, " in done.stdout, done.stdout + done.stderr
    missing = [line for line in done.stdout.splitlines() if line.startswith("missed: ")]
    # How long nothing came depends on what else the machine does.
    assert [line for line in missing if "longest time without an item" not in line] == []
    assert done.returncode == bool(missing)
