"""The demo that runs a graph on three workers, and kills one of them."""

from __future__ import annotations

import json
import runpy
import sys

import pytest
from running_demos import DEMOS, run_python

from pipelines.frontends import pipelang

pytest.importorskip("ray")


@pytest.mark.slow
@pytest.mark.timeout(180)  # three nodes of Ray start, which takes long where others run beside them
def test_a_killed_worker_loses_nothing() -> None:
    """All readings but those of broken stations are there once, in order; one process was lost."""
    done = run_python("demos/cluster/run.py", "--readings", "40000", "--json")
    report = json.loads(done.stdout.splitlines()[-1])
    assert "39,960 lines in the ledger, in order" in done.stdout
    assert "0 of the good readings are missing" in done.stdout
    assert report["nodes"]["check"]["skipped"] == 40
    assert report["nodes"]["ledger"]["received"] == 39_960
    assert sum(host["restarts"] for host in report["hosts"].values()) >= 1


def test_the_places_of_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of reports takes them: each step gets its scope and its priority."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(DEMOS / "cluster")])
    reports = runpy.run_path(str(DEMOS / "cluster" / "many_reports.py"))
    said = [option.removeprefix("--set=") for option in reports["placed"]()]
    spec = pipelang.examine(DEMOS / "reports" / "reports.pipe", overrides=said).spec
    assert spec is not None
    for node, (scope, priority) in reports["PLACES"].items():
        assert (spec.properties(node).scope, spec.properties(node).priority) == (scope, priority)
