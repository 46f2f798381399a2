"""``plumber graph``: which drawing comes out, and where it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import run_in_terminal

STARTS = {"mermaid": "flowchart LR", "dot": "digraph", "svg": "<svg ", "ascii": "╭─"}


@pytest.mark.parametrize("style", STARTS)
def test_each_format_is_drawn(call: Any, style: str) -> None:
    """A drawing goes to stdout."""
    result = call("graph", "graph.yaml", "--format", style)
    assert result.exit_code == 0
    assert result.stdout.startswith(STARTS[style])


def test_the_default_off_a_terminal_is_mermaid(call: Any) -> None:
    """What is piped on is for a program."""
    assert call("graph", "graph.yaml").stdout.startswith("flowchart")


def test_the_default_on_a_terminal_is_boxes(command: list[str]) -> None:
    """What is looked at is for a person."""
    lines = run_in_terminal([*command, "graph", "graph.yaml"]).lines
    assert "│ numbers ├───▶│ double ├───▶│ say │" in lines


@pytest.mark.parametrize(("suffix", "style"), [("svg", "svg"), ("dot", "dot"), ("md", "mermaid")])
def test_the_name_of_the_output_says_the_format(
    call: Any, folder: Path, suffix: str, style: str
) -> None:
    """``-o picture.svg`` needs no ``--format``; nothing goes to stdout then."""
    result = call("graph", "graph.yaml", "-o", f"picture.{suffix}")
    assert result.stdout == ""
    assert (folder / f"picture.{suffix}").read_text().startswith(STARTS[style])


def test_an_output_that_can_not_be_written_is_told(call: Any) -> None:
    """No traceback for a folder that is not there."""
    result = call("graph", "graph.yaml", "-o", "nowhere/a.svg")
    assert result.exit_code == 1
    assert result.stderr == "plumber: can't write nowhere/a.svg: No such file or directory\n"


def test_steps_are_not_imported(call: Any, folder: Path) -> None:
    """A graph can be drawn where its steps can't run."""
    (folder / "steps.py").write_text("raise RuntimeError\n")
    assert call("graph", "graph.yaml").exit_code == 0
    assert "steps" not in sys.modules


def test_a_terminal_without_box_characters_gets_plain_ones(plumber: Any) -> None:
    """An old encoding is no reason to fail."""
    import os

    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    drawn = plumber("graph", "graph.yaml", "--format=ascii", env=env).stdout
    assert "| numbers +--->| double +--->| say |" in drawn


def test_an_invalid_graph_is_not_drawn(call: Any) -> None:
    """Its problems are told on stderr."""
    text = "nodes: {i: {}, a: {func: x}, b: {func: x}}\ngraph: {i: [a], a: [b], b: [a]}\n"
    result = call("graph", "-", input=text)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "error[cycle]" in result.stderr
    assert result.stderr.endswith("1 error\n")
