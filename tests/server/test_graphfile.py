"""A graph survives being written to a file and read again, and ``plumber run`` runs the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import GraphError
from pipelines.server.graphfile import GraphFiles
from pipelines.server.judge import Judge
from pipelines.server.limits import Limits
from pipelines.server.offer import Offer

ROOT = Path(__file__).parents[2]
OFFER = Offer.allowing()
FILES = GraphFiles(OFFER, Limits())

TEXTS = st.text(st.sampled_from("ab$ {}:'\"#\n-1.é<"), max_size=12)
NODES = st.one_of(
    st.just({"func": "count", "args": {"stop": 3}}),
    st.just({"func": "only", "args": {"keep": "odd"}, "properties": {"batch": {"size": 2}}}),
    st.just({}),
    TEXTS.map(lambda text: {"func": "words", "args": {"text": text}}),
)
NAMES = st.text(st.sampled_from("ab1.:- é'$"), min_size=1, max_size=6).filter(
    lambda name: name == name.strip()
)


@settings(max_examples=40)
@given(nodes=st.dictionaries(NAMES, NODES, min_size=1, max_size=4), data=st.data())
def test_what_is_written_is_read_again(nodes: dict[str, Any], data: st.DataObject) -> None:
    """The same nodes, arguments and edges, whatever signs there are in them; and the places too."""
    targets = st.lists(st.sampled_from(list(nodes)), unique=True, max_size=3)
    graph = {name: data.draw(targets) or None for name in nodes}
    layout = {name: [index, -1.5] for index, name in enumerate(nodes)}
    text = FILES.write({"nodes": nodes, "graph": graph}, layout)
    assert FILES.read(text) == ({"nodes": nodes, "graph": graph}, layout)


def test_a_written_file_can_be_run(tmp_path: Path) -> None:
    """Its steps are named so that they are found without a server."""
    nodes = {"n": {"func": "count", "args": {"stop": 3}}, "total": {"func": "total"}}
    text = FILES.write({"nodes": nodes, "graph": {"n": ["total"]}}, {"n": [0, 0]})
    (tmp_path / "graph.yaml").write_text(text)
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "run",
        "--json",
        "-q",
        str(tmp_path / "graph.yaml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"received": 3' in done.stdout


def test_what_is_wrong_with_a_graph_is_kept_in_its_file() -> None:
    """Steps that are not offered, arguments that there are not, circles: it is only text yet."""
    graph = {
        "nodes": {"a": {"func": "mine", "args": {"x": 1}}, "b": {"func": "slow", "args": {"y": 2}}},
        "graph": {"a": ["b"], "b": ["a"]},
    }
    assert FILES.read(FILES.write(graph))[0] == graph
    assert Judge(OFFER, Limits()).judge(graph).errors


def test_a_seeds_coroutine_is_written_under_its_own_key() -> None:
    """And read as a step like any other."""

    async def turn(self: Any, q_elt: tuple[str]) -> str:
        return q_elt[0][::-1]

    offer = Offer()
    offer.add("turn", turn)
    files = GraphFiles(offer, Limits())
    text = files.write({"nodes": {"a": {"func": "turn"}}})
    assert "coro: turn" in text
    assert files.read(text)[0]["nodes"] == {"a": {"func": "turn"}}


@pytest.mark.parametrize(
    "layout",
    [
        {"a": [1]},
        {"a": [1, "2"]},
        {"a": [1, 1e9]},
        {"a": [1, True]},
        {"a": "x"},
        {"b": [1, 2]},
        [],
        "x",
    ],
    ids=str,
)
def test_places_that_are_none_are_left_out(layout: Any) -> None:
    """They are for a picture only."""
    text = FILES.write({"nodes": {"a": {"func": "count"}}}, layout)
    assert "x-layout" not in text
    assert FILES.read(text)[1] == {}


def test_what_is_no_graph_is_not_written() -> None:
    """The faults are those of the schema, at their places on the wire."""
    with pytest.raises(GraphError) as caught:
        FILES.write({"nodes": {"a": {"func": "count", "arg": {}}}, "grahp": {}})
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {("nodes", "a", "arg"), ("grahp",)}
