"""The demo that fetches reports from a service that takes its time to make them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from running_demos import DEMOS, run_python

from pipelines.frontends import pipelang


def measured(*options: str) -> list[dict[str, Any]]:
    """Run the measure, and return the figures of each size."""
    done = run_python("demos/reports/measure.py", "--json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_report_is_asked_for_polled_fetched_and_sent() -> None:
    """One in a hundred fails at first, and is asked for anew; no call is made in vain."""
    small, large = measured("--seconds", "0.05", "20", "120")
    assert (small["uploaded"], large["uploaded"]) == (20, 120)
    assert small["requests"] == small["downloads"] == small["uploads"] == 20
    assert large["requests"] == 121
    assert large["downloads"] == large["uploads"] == 120
    assert 242 <= large["polls"] <= 363  # two for each, one more where it came a moment too soon
    assert large["calls"] == sum(
        large[kind] for kind in ("requests", "polls", "downloads", "uploads")
    )
    assert large["spend"] == pytest.approx(
        sum(c for a in range(120) for c in range(5) if a % 7 * c), abs=1
    )


def test_no_more_reports_are_waited_for_than_allowed() -> None:
    """A window of them flows through; those being asked for and fetched come on top."""
    (found,) = measured("--seconds", "0.5", "--pending", "10", "400")
    assert found["uploaded"] == 400
    assert found["at once"] <= 300
    assert found["peak"] > 0 or not Path("/proc").exists()


def test_the_program_is_without_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a warning."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert pipelang.check(DEMOS / "reports" / "reports.pipe") == []
