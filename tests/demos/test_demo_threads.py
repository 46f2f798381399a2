"""The demo of steps in threads."""

from __future__ import annotations

import pytest
from running_demos import DEMOS, run_demo, run_python

from pipelines.load import load

STORED = [
    "20 pictures from picture-0 to picture-20: 1900 bytes",
    "20 pictures from picture-21 to picture-40: 2000 bytes",
    "19 pictures from picture-41 to picture-59: 1900 bytes",
]


def test_the_pipeline_runs() -> None:
    """In order, however many threads load; one picture is skipped, and some are tried again."""
    done = run_python("demos/threads/thumbnails.py")
    assert done.stdout.splitlines() == [*STORED, "1 skipped, 6 tried again"]
    assert done.stderr == ""


def test_the_graph_file_does_the_same() -> None:
    """From the command line."""
    done = run_demo("threads")
    assert done.stdout.splitlines() == STORED
    assert done.count("Load", "skipped") == 1


def test_the_graph_file_is_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the pipeline writes."""
    monkeypatch.syspath_prepend(str(DEMOS / "threads"))
    import thumbnails

    assert load(DEMOS / "threads/graph.yaml").to_plain() == thumbnails.pipeline.spec().to_plain()
