"""``plumber validate``: every problem at once, where an editor or a build can pick it up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.validate import _annotation
from pipelines.errors import Problem


def test_a_valid_graph_is_ok(call: Any) -> None:
    """What was read is counted."""
    result = call("validate", "graph.yaml")
    assert (result.exit_code, result.stdout) == (0, "graph.yaml: ok (3 nodes, 2 edges)\n")


def test_every_problem_is_told_with_its_place(call: Any) -> None:
    """File, line, column, code, message and hint on a line each, and their number at the end."""
    result = call("validate", "wrong.yaml")
    *problems, total = result.stdout.splitlines()
    assert result.exit_code == 78
    assert [line.split("  ")[0] for line in problems] == ["wrong.yaml:2:43", "wrong.yaml:6:9"]
    assert "takes no argument 'cuont'. Did you mean 'count'?" in problems[0]
    assert total == "2 errors"


def test_no_import_leaves_the_steps_alone(call: Any) -> None:
    """What needs the step is not checked then; the rest is."""
    result = call("validate", "--no-import", "wrong.yaml")
    assert result.stdout.splitlines()[-1] == "1 error"


def test_a_graph_can_come_from_stdin(call: Any) -> None:
    """``-`` reads the text."""
    result = call("validate", "-", input="nodes: {a: {}}\ngraph: {a: [b]}\n")
    assert result.exit_code == 78
    assert result.stdout.startswith("2:13  error[unknown-node]")


def test_stdin_that_is_no_text_is_refused(call: Any) -> None:
    """A binary is no graph."""
    result = call("validate", "-", input=b"\xff\xfe")
    assert (result.exit_code, result.stderr) == (78, "plumber: stdin is no UTF-8 text\n")


def test_a_folder_is_searched_for_graphs(call: Any, folder: Path) -> None:
    """Files with nodes at their top are graphs, other YAML and JSON and hidden folders are not."""
    (folder / "below").mkdir()
    (folder / "below" / "one.json").write_text('{"nodes": {"a": {"func": "builtins:range"}}}')
    (folder / "below" / "not.json").write_text('{"properties": {"nodes": {}}}')
    (folder / "below" / "broken.json").write_text('{"nodes": {')
    (folder / "compose.yaml").write_text("services: {}\n")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "graph.yaml").write_text("nodes: {}\n")
    found = json.loads(call("validate", ".", "--format", "json").stdout)
    assert [each["file"] for each in found["files"]] == [
        "below/broken.json",
        "below/one.json",
        "buries.yaml",
        "endless.yaml",
        "fails.yaml",
        "graph.yaml",
        "stuck.yaml",
        "wrong.yaml",
    ]


def test_a_folder_without_a_graph_is_wrong_usage(call: Any, folder: Path) -> None:
    """Nothing checked is not the same as nothing wrong."""
    (folder / "empty").mkdir()
    result = call("validate", "empty")
    assert result.exit_code == 2
    assert "no graph file is in 'empty'" in result.stderr


def test_each_graph_has_its_own_steps(call: Any, folder: Path) -> None:
    """Two folders with a ``steps.py`` each do not mix them up."""
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "steps.py").write_text(f"def {name}(): yield 1\n")
        text = f'nodes: {{a: {{func: "steps:{name}"}}}}\n'
        (folder / name / "graph.yaml").write_text(text)
    result = call("validate", "one", "two")
    assert result.exit_code == 0, result.stdout


def test_json_is_one_document(call: Any) -> None:
    """Files with their problems, and whether all is well."""
    result = call("validate", "--format=json", "graph.yaml", "wrong.yaml")
    found = json.loads(result.stdout)
    good, bad = found["files"]
    assert (found["ok"], good["ok"], bad["ok"]) == (False, True, False)
    assert (good["nodes"], good["edges"], good["problems"]) == (3, 2, [])
    assert (bad["problems"][0]["line"], bad["problems"][0]["code"]) == (2, "unknown-arg")


def test_github_annotations_are_workflow_commands(call: Any) -> None:
    """A problem is shown at its line in a pull request."""
    lines = call("validate", "--format=github", "wrong.yaml").stdout.splitlines()
    assert lines[0].startswith("::error file=wrong.yaml,line=2,col=43,title=unknown-arg::node ")


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_github_annotations_are_escaped(severity: Any) -> None:
    """What would end the command, a property or a line is written as GitHub reads it back."""
    problem = Problem("code", "50 % of\na, b: c", (), "So.", severity, "a,b:c%.yaml", 3, 4)
    assert _annotation(problem, "x") == (
        f"::{severity} file=a%2Cb%3Ac%25.yaml,line=3,col=4,title=code::50 %25 of%0Aa, b: c So."
    )


def test_a_problem_without_a_place_is_put_on_its_file() -> None:
    """A fault of the whole file has no line."""
    assert _annotation(Problem("empty", "No graph."), "g.yaml") == (
        "::error file=g.yaml,title=empty::No graph."
    )
