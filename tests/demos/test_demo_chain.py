"""The demo of a chain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demos import DEMOS, run_python

OUT = DEMOS / "chain/out"
REPORT = "Readings of today\nhottest   21.0 °C in Nairobi\nmean       7.0 °C\n"


@pytest.fixture(autouse=True)
def nothing_there() -> Iterator[None]:
    """Begin without what a run before has cached, and leave nothing."""
    shutil.rmtree(OUT, ignore_errors=True)
    yield
    shutil.rmtree(OUT, ignore_errors=True)


def test_it_reports_twice_and_fetches_once() -> None:
    """The second run asks the server nothing; the first asked again, as it was busy."""
    done = run_python("demos/chain/chain.py")
    once = f"-- pipeline done\n{REPORT}uploaded to chain/out/reports/today.txt\n"
    assert done.stdout == f"{once}{once}the server was asked 2 times\n"
    assert (OUT / "reports/today.txt").read_text() == REPORT


def test_it_uploads_elsewhere(tmp_path: Path) -> None:
    """`BUCKET` may be any place that there is a URL for."""
    run_python("demos/chain/chain.py", BUCKET=tmp_path.as_uri())
    assert (tmp_path / "reports/today.txt").read_text() == REPORT
