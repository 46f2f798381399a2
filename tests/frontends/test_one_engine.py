"""Every front end on the one engine: one diamond, said in each of them, is and does the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import diamonds
import pytest
from click.testing import CliRunner
from diamonds import REFUSED, SPELLINGS, as_decorators, run_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import GraphError, load
from pipelines.check import Examination, compile_graph
from pipelines.cli.app import plumber
from pipelines.frontends import pipelang, threads
from pipelines.frontends.chain import PipelineBuilder, PythonStep, Source
from pipelines.frontends.generators import as_node
from pipelines.spec import GraphSpec, Properties

every_spelling = pytest.mark.parametrize("spelling", SPELLINGS)

RETRY = {"retry": {"attempts": 3, "backoff": 0}}
LETTERS = {"on_error": "dead_letter"}
THREAD = {"executor": "thread"}

#: Where one of these has no meaning, and is refused.
REFUSALS = {"decorators": (THREAD,)}  # what sends is async


def able(properties: dict[str, Any]) -> pytest.MarkDecorator:
    """Parametrise a test over the spellings that can say some properties."""
    return pytest.mark.parametrize(
        "spelling", [name for name in SPELLINGS if properties not in REFUSALS.get(name, ())]
    )


# The same graph.


def static() -> dict[str, GraphSpec]:
    """Return the diamond of each front end that says exactly this graph before it runs."""
    return {
        "dict": load(diamonds.document()),
        "yaml": load(diamonds.yaml_text()),
        "json": load(json.dumps(diamonds.document())),
        "chain": diamonds.chain().spec(),
    }


def test_the_static_spellings_are_one_graph() -> None:
    """Spec, fingerprint, picture and YAML are equal, however it was said."""
    specs = list(static().values())
    assert all(spec == specs[0] for spec in specs)
    assert len({spec.fingerprint() for spec in specs}) == 1
    assert len({spec.to_mermaid() for spec in specs}) == 1
    assert len({spec.to_yaml() for spec in specs}) == 1


def test_a_line_of_threads_is_the_graph_of_that_line() -> None:
    """It is equal to the one written as a dict, with each thread as a property."""
    thread = {"executor": "thread"}
    busy = {"concurrency": 1, **thread}
    written = load(
        {
            "nodes": {
                "iterable": {"func": diamonds.numbers, "properties": thread},
                "left": {"func": diamonds.carry, "args": {"by": "left"}, "properties": busy},
                "finish": {"func": diamonds.finish, "properties": busy},
                "keep": {"func": diamonds.keep, "properties": busy},
            },
            "graph": {"iterable": ["left"], "left": ["finish"], "finish": ["keep"]},
        }
    )
    assert diamonds.LINE.spec() == written
    assert diamonds.LINE.spec().fingerprint() == written.fingerprint()


def test_the_pipe_languages_diamond_is_the_same_diamond() -> None:
    """It has the same nodes and edges besides its start and its loop; as YAML it stays itself."""
    spec = pipelang.load(diamonds.program())
    again = load(spec.to_yaml())
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()
    plain = {(edge.source, edge.target) for edge in load(diamonds.document()).edges}
    own = {("start", "numbers"), ("numbers", "for-number")}
    rest = {(edge.source, edge.target) for edge in spec.edges} - own
    assert {(a.replace("for-number", "numbers"), b) for a, b in rest} == plain


# The same results.


@every_spelling
@settings(max_examples=50)
@given(of=st.lists(st.integers(-99, 99), max_size=40), room=st.integers(1, 3))
def test_each_item_comes_out_paired_and_in_order(spelling: str, of: list[int], room: int) -> None:
    """Nothing is lost, doubled or mispaired, whatever the items and the room of a branch."""
    rows = SPELLINGS[spelling]("left", of, {"buffer_size": room}, None)
    assert rows == [(number + 1, number * 2) for number in of]


def sources(folder: Path) -> dict[str, str]:
    """Return what `plumber convert` is told for each static spelling."""
    files = {
        "diamond.yaml": diamonds.yaml_text(),
        "diamond.json": json.dumps(diamonds.document()),
        "diamond.pipe": diamonds.program(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    objects = {"dict": "diamonds:DOCUMENT", "chain": "diamonds:CHAIN", "threads": "diamonds:LINE"}
    return objects | {name: str(folder / name) for name in files}


@pytest.mark.parametrize("end", ["yaml", "json"])
@pytest.mark.parametrize(
    "source", ["dict", "chain", "threads", "diamond.yaml", "diamond.json", "diamond.pipe"]
)
def test_what_is_converted_runs_the_same(
    source: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that `plumber convert` writes gives the rows that its source gives."""
    monkeypatch.syspath_prepend(str(tmp_path))  # as `plumber run` does with a graph's folder
    out = tmp_path / f"out.{end}"
    told = ["convert", sources(tmp_path)[source], "-o", str(out)]
    said = CliRunner().invoke(plumber, told)
    assert said.exit_code == 0, said.output
    assert run_graph(load(out), [3, 1, 2]) == [(4, 6), (2, 2), (3, 4)]
    assert run_graph(load(out), []) == []


# The same properties.

STATIC_PROPERTIES: list[dict[str, Any]] = [
    RETRY,
    LETTERS,
    THREAD,
    {"ordered": True},
    {"buffer_size": 7},
    {"timeout": 5.0, "executor": "thread"},
    {"rate_limit": "20/s"},
    {"waiting_limit": 9},
    {"join": {"on_missing": "none"}},
    {"aggregate_inputs": False},
]

#: What the pipe language says of a step in a way of its own, or not at all: see its page.
NOT_IN_PIPES = {"executor", "timeout", "aggregate_inputs"}


@pytest.mark.parametrize("said", STATIC_PROPERTIES, ids=lambda said: next(iter(said)))
def test_a_property_is_the_same_wherever_it_is_said(said: dict[str, Any]) -> None:
    """Each static front end makes the same properties of it."""
    with_dead = {"dead_letter": {"func": "stdout"}} if said == LETTERS else {}
    specs = {
        "dict": load(diamonds.document("left", said) | with_dead),
        "yaml": load(diamonds.yaml_text("left", said) + json.dumps(with_dead)[1:-1]),
        "chain": diamonds.chain("left", said, **with_dead).spec(),
    }
    wanted = Properties.from_dict(said)
    assert {name: spec.nodes["left"].properties for name, spec in specs.items()} == dict.fromkeys(
        specs, wanted
    )
    assert len({spec.fingerprint() for spec in specs.values()}) == 1
    line = diamonds.threaded("left", said, **with_dead).spec()
    threaded = Properties(concurrency=1, executor="thread")
    assert line.nodes["left"].properties == wanted.over(threaded)
    if not NOT_IN_PIPES & said.keys():
        top = "!dead_letter dead.jsonl"
        pipe = pipelang.load(diamonds.program("left", said, top)).nodes["left"].properties
        assert pipe == wanted.over(Properties(ordered=True))


def test_a_batch_has_the_same_effect() -> None:
    """Its step is called with lists; a diamond's branch can't be, as nothing would pair."""
    said: dict[str, Any] = {"batch": {"size": 2}}
    by_hand = {
        "nodes": {
            "numbers": {"func": "diamonds:numbers"},
            "sum": {"func": "builtins:sum", "properties": said},
            "keep": {"func": "diamonds:keep"},
        },
        "graph": {"numbers": ["sum"], "sum": ["keep"]},
    }
    steps = PythonStep("builtins:sum", **said), PythonStep("diamonds:keep")
    line = threads.Pipeline([threads.Step(sum, 1, **said), (diamonds.keep, 1)])
    line.put_iterable(diamonds.numbers)
    chain = PipelineBuilder(Source("diamonds:numbers"), *steps).spec()
    assert chain == load(by_hand)
    for graph in (by_hand, chain, line.spec()):
        assert run_graph(graph, [1, 2, 3, 4, 5]) == [3, 7, 5]


@able(RETRY)
def test_a_retry_has_the_same_effect(spelling: str) -> None:
    """A step that fails twice for each item, with three attempts, loses none and fails nothing."""
    rows = SPELLINGS[spelling]("flaky", [5, 1, 3], RETRY, None)
    assert rows == [(6, 10), (2, 2), (4, 6)]
    assert diamonds.calls == Counter({5: 3, 1: 3, 3: 3})


def bare(item: Any) -> Any:
    """Take a failed item out of what each front end wraps it in: a page with its key, variables."""
    if isinstance(item, list):
        [(_, item)] = item
    return item["variables"]["number"] if isinstance(item, dict) else item


@able(LETTERS)
def test_a_dead_letter_is_written_the_same(spelling: str, tmp_path: Path) -> None:
    """The failing item is set aside with its error, and the others go on, its row left out."""
    dead = tmp_path / "dead.jsonl"
    rows = SPELLINGS[spelling]("picky", [1, REFUSED, 2], LETTERS, dead)
    assert rows == [(2, 2), (3, 4)]
    [letter] = map(json.loads, dead.read_text().splitlines())
    assert bare(letter["item"]) == REFUSED
    assert letter["error"] == f"ValueError: no {REFUSED}"
    assert letter["attempts"] == 1


@able(THREAD)
def test_a_step_in_a_thread_runs_in_one(spelling: str) -> None:
    """Not in that of the event loop, where it is when it is told so; the rows keep their order."""
    for executor, aside in (("thread", True), ("inline", False)):
        rows = SPELLINGS[spelling]("aside", [4, 2], {"executor": executor}, None)
        assert rows == [(aside, 8), (aside, 4)]


def branched(**properties: Any) -> Examination:
    """Return the diamond with a generator for its left branch."""
    said = diamonds.document()
    said["nodes"]["left"] = as_node(iter, **properties)
    return compile_graph(said)


def test_what_has_no_meaning_is_refused() -> None:
    """A step that sends is in no thread; a generator has one call, and any number of results."""
    with pytest.raises(GraphError, match="executor"):
        as_decorators("left", [1], THREAD, None)
    with pytest.raises(GraphError, match="'left' yields any number of values for one item"):
        branched()
    for said, name in ((RETRY, "retry"), (LETTERS, "on_error")):
        with pytest.raises(GraphError, match=name):
            branched(**said)
