"""The demo that the project started from."""

from __future__ import annotations

import re

import pytest
from running_demos import DEMOS, run_demo, run_python

from pipelines.load import load
from pipelines.spec import GraphSpec

LINE = re.compile(r"output~>  \('([0-9a-f-]{36})', '([0-9a-f-]{36})'\)")


def assert_reversed(output: str) -> None:
    """Check twenty different strings, each beside itself reversed."""
    pairs = [match.groups() for line in output.splitlines() if (match := LINE.fullmatch(line))]
    assert len(set(pairs)) == 20
    assert all(left == right[::-1] for left, right in pairs)


def test_the_seeds_code_runs_as_it_was() -> None:
    """The file of the example runs by itself, and ends."""
    done = run_python("demos/reverse/readme_demo.py")
    assert_reversed(done.stdout)
    assert done.stderr == ""


def test_the_graph_file_does_the_same() -> None:
    """The command line runs the same steps from YAML."""
    done = run_demo("reverse")
    assert_reversed(done.stdout)
    assert done.count("out", "passed_on") == 20


def test_the_readmes_short_form_does_the_same() -> None:
    """The Python block of the README is run as it stands."""
    readme = (DEMOS / "reverse/README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    pairs = [line.split()[1:] for line in run_python("-c", block).stdout.splitlines()]
    assert len(pairs) == 20
    assert all(left == right[::-1] for left, right in pairs)


def test_file_and_code_are_the_same_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes and edges of both are equal, but for how their steps are named."""
    monkeypatch.syspath_prepend(str(DEMOS / "reverse"))
    import readme_demo

    code = GraphSpec.from_dict(readme_demo.input_d)
    file = load(DEMOS / "reverse/graph.yaml")
    assert file.edges == code.edges
    assert {name: node.coro for name, node in file.nodes.items()} == {
        name: node["coro"] for name, node in code.to_plain()["nodes"].items()
    }
