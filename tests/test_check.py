"""Every problem of a graph at once: wiring, steps, arguments, options and joins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import networkx
import pytest
import sample_steps as steps
from hypothesis import given
from hypothesis import strategies as st
from running import named

from pipelines.check import Examination, check, compile_graph, examine
from pipelines.errors import GraphError, Problem
from pipelines.load import load
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties
from pipelines.step import Shape


def only(problems: list[Problem]) -> Problem:
    """Return the only problem."""
    assert len(problems) == 1, problems
    return problems[0]


def codes(problems: list[Problem] | tuple[Problem, ...]) -> list[str]:
    """Return the code of each problem, sorted."""
    return sorted(each.code for each in problems)


def graph(**nodes: Any) -> dict[str, Any]:
    """Return a line of nodes, each given as its func or as its document."""
    documents = {k: v if isinstance(v, dict) else {"func": v} for k, v in nodes.items()}
    names = list(documents)
    return {"nodes": documents, "graph": {a: [b] for a, b in pairwise(names)}}


def node_problems(node: Any, *, source: Any = steps.source) -> list[Problem]:
    """Return the problems of a node `n` behind an input node."""
    return check(graph(inp=source, n=node))


# --- what is returned ---------------------------------------------------------------------------


def test_a_sound_graph() -> None:
    """It has no problem, and all that is needed to run it is there."""
    document = graph(inp=steps.source, inc="sample_steps:inc", put=steps.Store)
    document["nodes"]["put"]["args"] = {"path": "x"}
    found = compile_graph(document)
    assert found.ok
    assert found.problems == ()
    assert found.targets == {"inp": steps.source, "inc": steps.inc, "put": steps.Store}
    assert found.shapes == {
        "inp": Shape(yields=True),
        "inc": Shape(),
        "put": Shape(is_class=True),
    }
    assert found.streams is not None
    assert found.streams.of == {("inp", "inc"): "inp", ("inc", "put"): "inp"}
    assert found.spec is not None
    assert found.spec.nodes["inc"].func == "sample_steps:inc"


def test_a_spec_is_kept_as_it_is() -> None:
    """Also one that a program made."""
    spec = GraphSpec(
        {"a": NodeSpec("a", func=steps.source), "b": NodeSpec("b", func=steps.inc)},
        (EdgeSpec("a", "b"),),
    )
    assert examine(spec).spec is spec


def test_a_loaded_spec_has_its_places() -> None:
    """What is found later is shown in the file all the same."""
    spec = load("nodes:\n  a:\n    func: sample_steps:source\n    args: {cuont: 3}\ngraph: {a: }\n")
    problem = only(check(spec))
    assert (problem.code, problem.line, problem.column) == ("unknown-arg", 4, 12)


def test_a_spec_made_badly() -> None:
    """What its fields can't be is a problem, not a traceback."""
    spec = GraphSpec({"a": NodeSpec("a", properties=Properties(timeout="soon"))})  # type: ignore[arg-type]
    assert only(check(spec)).code == "bad-spec"
    spec = GraphSpec({"a": NodeSpec("a", properties=Properties(concurrency=0))})
    assert only(check(spec)).code == "out-of-range"


def test_the_dead_letter_step() -> None:
    """It is resolved and checked like a node's, with one argument."""
    document = graph(
        inp=steps.source, n={"func": steps.inc, "properties": {"on_error": "dead_letter"}}
    )
    document["dead_letter"] = {"func": "sample_steps:write_letter", "args": {"path": "x"}}
    found = compile_graph(document)
    assert found.dead_letter is steps.write_letter
    document["dead_letter"]["args"] = {"pth": "x"}
    problem = only(check(document))
    assert (problem.code, problem.path) == ("unknown-arg", ("dead_letter", "args", "pth"))
    assert problem.message.startswith("dead_letter: sample_steps:write_letter() takes no argument")
    document["dead_letter"] = {"func": "sample_steps:write_leter"}
    assert only(check(document)).path == ("dead_letter", "func")
    document["dead_letter"] = {"func": [1]}
    assert only(check(document)).code == "not-callable"


def test_compile_graph_raises_all_problems() -> None:
    """Warnings are listed too, but do not refuse."""
    document = graph(inp=steps.source, n={"func": steps.inc, "properties": {"concurrency": 2}})
    assert codes(compile_graph(document).problems) == ["no-effect"]
    document["nodes"]["n"]["args"] = {"x": 1}
    with pytest.raises(GraphError) as caught:
        compile_graph(document)
    assert codes(caught.value.problems) == ["no-effect", "unknown-arg"]


def test_five_faults_at_once(tmp_path: Path) -> None:
    """Each with its place: schema, wiring, step, arguments, options."""
    file = tmp_path / "graph.yaml"
    file.write_text(
        "nodes:\n"
        "  inp: {func: sample_steps:source, properties: {concurency: 2}}\n"
        "  inc: {func: sample_steps:inc, args: {bye: 2}}\n"
        "  odd: {func: sample_steps:odd}\n"
        "  get: {func: sample_steps:AsyncStep, properties: {executor: thread}}\n"
        "graph:\n"
        "  inp: [inc, odd, gte]\n"
        "  inc: [get]\n"
        "  odd: [get]\n"
        "  get: [odd]\n"
    )
    found = [str(each) for each in check(file)]
    assert [each.split("  ")[:2] for each in found] == [
        [f"{file}:2:49", "error[unknown-key]"],
        [f"{file}:3:40", "error[unknown-arg]"],
        [f"{file}:4:15", "error[unknown-step]"],
        [f"{file}:5:15", "error[wrong-inputs]"],
        [f"{file}:5:62", "error[async-in-executor]"],
        [f"{file}:7:19", "error[unknown-node]"],
        [f"{file}:10:3", "error[cycle]"],
    ]
    assert found[1].endswith(
        "node 'inc': sample_steps:inc() takes no argument 'bye'. Did you mean 'by'?"
    )
    assert "get -> odd -> get" in found[6]


def test_what_can_not_be_read_is_all_that_is_said() -> None:
    """Without nodes there is nothing else to check."""
    assert codes(check("nodes: [\n")) == ["syntax"]
    assert codes(check("[]\n")) == ["not-a-graph"]
    assert codes(check("nodes: 5\ngraph: {a: [b]}\n")) == ["wrong-type"]
    assert examine("nodes: 5\n") == Examination(None, examine("nodes: 5\n").problems)


def test_faults_do_not_bring_forth_others() -> None:
    """What only follows from a fault that is reported is not reported."""
    text = (
        "nodes:\n"
        "  inp: {func: sample_steps:source}\n"
        "  words: {func: sample_steps:inc}\n"  # would be an input node
        "  both: {func: m:f, coro: m:g, args: {x: 1}}\n"
        "  list: [1]\n"
        "  slow: {func: sample_steps:inc, properties: {timeout: 1s, executr: thread}}\n"
        "  needs: {func: sample_steps:needs, args: {url: '${UNSET}'}}\n"
        "  miss: {func: sample_steps:inc, properties: {on_error: dead_letter}}\n"
        "graph:\n"
        "  inp: [wrods, both, list, slow, needs, miss]\n"
        "dead_letter: {fun: m:f}\n"
    )
    assert codes(check(text, env={})) == [
        "coro-and-func",
        "missing-key",
        "unknown-key",
        "unknown-key",
        "unknown-node",
        "unset-variable",
        "wrong-type",
    ]


def test_faults_of_edges_do_not_bring_forth_others() -> None:
    """A node that an edge may have meant is no input node, whatever the fault of the edge is."""
    nodes = "nodes: {inp: {func: sample_steps:source}, n: {func: sample_steps:inc}}\n"
    for text, code in (
        ("graph: [a]\n", "wrong-type"),
        ("graph: {inp: 5}\n", "wrong-type"),
        ("graph: {inp: [5]}\n", "wrong-type"),
        ("graph: {inp: [xyz]}\n", "unknown-node"),
        ("graph: {xyz: [n], inp: []}\n", "unknown-node"),
        ("graph: {inpp: [n]}\n", "unknown-node"),
        ("graph: {inp: n, n: n}\n", "self-loop"),
    ):
        assert codes(check(nodes + text)) == [code], text


# --- wiring -------------------------------------------------------------------------------------


def wiring(**edges: Any) -> list[Problem]:
    """Return the problems of a graph of steps that take anything."""
    names = dict.fromkeys(edges)
    for targets in edges.values():
        names |= dict.fromkeys(targets or ())
    nodes = {name: {"func": steps.several} for name in names}
    return check({"nodes": nodes, "graph": edges})


def test_a_single_node() -> None:
    """An input node alone is a graph, with an edge section or without."""
    nodes = {"a": {"func": steps.source}}
    assert check({"nodes": nodes}) == []
    assert check({"nodes": nodes, "graph": {"a": None}}) == []


def test_unknown_nodes() -> None:
    """As a source or as a target, each with the nearest name."""
    found = check(
        "nodes:\n  read: {func: sample_steps:source}\n  write: {func: sample_steps:inc}\n"
        "graph:\n  read: [write, {to: wriet}]\n  raed: [write]\n"
    )
    assert [(each.code, each.line, each.column, each.hint) for each in found] == [
        ("unknown-node", 5, 17, "Did you mean 'write'?"),
        ("unknown-node", 6, 3, "Did you mean 'read'?"),
    ]
    assert found[0].message == "`graph` names an unknown node 'wriet'."


def test_many_unknown_nodes() -> None:
    """They are all reported; only the first are compared with all names."""
    nodes = {f"node{i}": {"func": steps.source} for i in range(200)}
    found = check({"nodes": nodes, "graph": {name: [f"{name}x"] for name in nodes}})
    assert codes(found) == ["unknown-node"] * 200


def test_a_node_in_no_edge() -> None:
    """It may have been forgotten; one that is named in `graph` was not."""
    nodes = {name: {"func": steps.source} for name in "abc"}
    problem = only(check({"nodes": nodes, "graph": {"a": None, "b": []}}))
    assert (problem.code, problem.path) == ("unreachable", ("nodes", "c"))


def test_an_edge_that_stands_twice() -> None:
    """It is said at the second."""
    problem = only(
        check(
            "nodes: {a: {func: sample_steps:source}, b: {func: sample_steps:inc}}\n"
            "graph:\n  a: [b, {to: b}]\n"
        )
    )
    assert (problem.code, problem.line, problem.column) == ("duplicate-edge", 3, 10)


def test_a_node_that_leads_to_itself() -> None:
    """It is said at the edge."""
    problem = only(wiring(a=["b"], b=["b"]))
    assert (problem.code, problem.path) == ("self-loop", ("graph", "b", 0))


def test_a_circle() -> None:
    """Its path begins where the document closes it."""
    text = (
        "nodes:\n"
        "  urls: {func: sample_steps:source}\n"
        "  fetch: {func: sample_steps:several}\n"
        "  words: {func: sample_steps:several}\n"
        "  store: {func: sample_steps:several}\n"
        "graph:\n  urls: [fetch]\n  fetch: [words]\n  words: [store]\n  store: [fetch]\n"
    )
    problem = only(check(text))
    assert (problem.code, problem.line, problem.column) == ("cycle", 10, 3)
    assert problem.message == "store -> fetch -> words -> store."


def test_several_circles() -> None:
    """Each is reported once."""
    found = wiring(s=["a", "x"], a=["b"], b=["a", "c"], c=["a"], x=["y"], y=["x"])
    assert sorted(each.message for each in found) == [
        "b -> a -> b.",
        "c -> a -> b -> c.",
        "y -> x -> y.",
    ]


def test_many_circles() -> None:
    """In a graph of all edges there are more than anyone would read."""
    names = [f"n{i}" for i in range(30)]
    found = wiring(s=names, **{name: [n for n in names if n != name] for name in names})
    assert codes(found) == ["cycle"] * 10


def test_no_input_node() -> None:
    """Where all lies on a circle nothing can enter."""
    assert codes(wiring(a=["b"], b=["a"])) == ["cycle", "no-input"]


def test_a_node_behind_a_circle_that_nothing_enters() -> None:
    """It can't be reached from an input node."""
    found = wiring(s=["t"], a=["b"], b=["a", "c"])
    assert codes(found) == ["cycle", "unreachable"]
    assert next(each for each in found if each.code == "unreachable").path == ("nodes", "c")


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] != e[1])))
def test_circles_are_those_of_networkx(edges: set[tuple[int, int]]) -> None:
    """A graph is refused for a circle exactly where there is one."""
    graph = {str(i): [str(b) for a, b in sorted(edges) if a == i] for i in range(7)}
    cyclic = not networkx.is_directed_acyclic_graph(networkx.DiGraph(sorted(edges)))
    assert ("cycle" in codes(wiring(**graph))) is cyclic


# --- finding steps ------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Return a function that writes the module `brittle`, which can then be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> Path:
        file = tmp_path / "brittle.py"
        file.write_text(source)
        return file

    yield write
    sys.modules.pop("brittle", None)


@pytest.mark.parametrize(
    ("name", "code", "message", "hint"),
    [
        ("sample_steps:inck", "unknown-step", "'sample_steps' has no 'inck'.", "inc"),
        ("sample_steps:Seed.revers", "unknown-step", "has no 'revers'.", "reverse"),
        ("sample_steps:ANSWER.x", "unknown-step", "has no 'x'.", ""),
        ("sample_steps.inc", "unknown-step", "no step is named", "Write it as sample_steps:inc."),
        (
            "nowhere.at_all:f",
            "import-failed",
            "no module named 'nowhere' can be found",
            "Install it",
        ),
        ("sample_steps:ANSWER", "not-callable", "sample_steps:ANSWER is 42", "Name a function"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, code: str, message: str, hint: str) -> None:
    """The message says what was looked for, at the name."""
    problem = only(check(f'nodes:\n  a: {{func: "{name}", args: {{}}}}\n'))
    assert (problem.code, problem.line, problem.column) == (code, 2, 13)
    assert problem.message.startswith("node 'a': ")
    assert message in problem.message
    assert hint in problem.message + problem.hint


def test_a_registered_step_is_found() -> None:
    """By its bare name; a misspelt one gets the nearest."""
    problem = only(check({"nodes": {"a": {"func": "read_linse"}}}))
    assert problem.code == "unknown-step"
    assert "read_lines" in problem.message


@pytest.mark.parametrize(
    ("source", "words", "line"),
    [
        ("x = 1\nraise ValueError('no luck')\n", "ValueError: no luck", 2),
        ("def f(:\n", "SyntaxError", 1),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
        ("import nowhere\n", "No module named 'nowhere'", 1),
    ],
)
def test_a_module_that_raises(
    module: Callable[[str], Path], source: str, words: str, line: int
) -> None:
    """The user's exception is given, with the line that raised it."""
    file = module(source)
    problem = only(check({"nodes": {"a": {"func": "brittle:f"}}}))
    assert problem.code == "import-failed"
    assert words in problem.message
    assert f"({file}:{line})" in problem.message


def test_a_module_that_raises_is_imported_once(module: Callable[[str], Path]) -> None:
    """Whatever it does before it raises is not done for each name in it."""
    file = module("with open(__file__ + '.log', 'a') as log:\n    log.write('x')\n1 / 0\n")
    nodes = {name: {"func": f"brittle:{name}"} for name in "abc"}
    assert codes(check({"nodes": nodes, "graph": dict.fromkeys(nodes)})) == ["import-failed"] * 3
    assert Path(f"{file}.log").read_text() == "x"


def test_nothing_is_imported_unless_asked(module: Callable[[str], Path]) -> None:
    """What needs no import is checked all the same."""
    module("1 / 0\n")
    nodes = {"a": {"func": "brittle:f", "args": {"x": 1}}, "b": {"func": steps.inc}}
    found = check({"nodes": nodes, "graph": {"a": None, "b": None}}, import_steps=False)
    assert codes(found) == ["missing-arg"]


def test_a_stranger_may_not_import(module: Callable[[str], Path]) -> None:
    """A dotted name from the network is never looked up, whatever coro_map does."""
    module("1 / 0\n")
    document = {"nodes": {"a": {"func": "brittle:f"}}}
    assert codes(check(document, trusted=False)) == ["unknown-step"]
    assert codes(check(document, trusted=False, coro_map=lambda name: name)) == ["unknown-step"]
    assert check(document, trusted=False, coro_map=lambda _: steps.source) == []


def test_coro_map() -> None:
    """It maps what stands in the node, whatever that is, to the callable or to another name."""
    known = {"src": steps.source, 42: "sample_steps:inc"}
    document = graph(inp={"func": "src"}, n={"func": 42})
    assert codes(check(document)) == ["not-callable", "unknown-step"]
    found = compile_graph(document, coro_map=known.__getitem__)
    assert found.targets == {"inp": steps.source, "n": steps.inc}


def test_coro_map_is_asked_once_for_each_name() -> None:
    """It may be slow, or have effects."""
    asked: list[str] = []

    def coro_map(name: str) -> Any:
        asked.append(name)
        return steps.several

    nodes = {f"n{i}": {"func": "same"} for i in range(5)}
    assert check({"nodes": nodes, "graph": dict.fromkeys(nodes)}, coro_map=coro_map) == []
    assert asked == ["same"]


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (lambda name: {}[name], "unknown-step", "coro_map raised KeyError: 'a' for 'a'."),
        (lambda name: 42, "not-callable", "coro_map gave 42"),
        (lambda name: None, "not-callable", "coro_map gave None"),
        (lambda name: "sample_steps:nope", "unknown-step", "'sample_steps' has no 'nope'"),
    ],
)
def test_a_coro_map_that_fails(given: Any, code: str, words: str) -> None:
    """It is said what it was asked and what it did."""
    problem = only(check({"nodes": {"n": {"coro": "a"}}}, coro_map=given))
    assert (problem.code, problem.path) == (code, ("nodes", "n", "coro"))
    assert words in problem.message


def test_an_iterable_is_a_source_only() -> None:
    """On an input node it stands for itself; elsewhere there is nothing to call."""
    found = compile_graph(graph(inp=range(10), n=steps.inc))
    assert found.targets["inp"] == range(10)
    assert "inp" not in found.shapes
    assert codes(check({"nodes": {"a": {"func": "sample_steps:NUMBERS"}}})) == []
    assert codes(node_problems([1, 2])) == ["not-callable"]
    problem = only(check({"nodes": {"a": {"func": range(3), "args": {"x": 1}}}}))
    assert (problem.code, problem.path) == ("unknown-arg", ("nodes", "a", "args"))


def test_an_input_node_without_a_step() -> None:
    """It is fed by the program; any other node needs one."""
    assert check(graph(inp={}, n=steps.inc)) == []
    problem = only(check(graph(inp={}, n={}, out=steps.inc)))
    assert (problem.code, problem.path) == ("missing-step", ("nodes", "n"))


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "node",
    [
        steps.inc,
        {"func": steps.inc, "args": {"by": 2}},
        {"func": steps.anything, "args": {"whatever": 2}},
        {"func": steps.needs, "args": {"url": "x"}},
        {"func": steps.several},
        {"func": steps.Store, "args": {"path": "x"}},
        {"func": steps.instance},
        {"func": steps.partial_inc},
        {"func": steps.Flat, "args": {"unit": "km"}},
        {"func": steps.AsyncStep},
        {"func": steps.stream},
        {"func": len},
        {"func": str},
        {"func": max, "args": {"default": 1}},
        {"func": "builtins:print", "args": {"sep": ""}},
        {"func": lambda item: item},
        {"coro": steps.seed_fetch, "args": {"timeout": 1}},
        {"coro": steps.Seed.reverse},
        {"coro": "sample_steps:Seed.reverse"},
        {"func": steps.inc, "properties": {"batch": {"size": 3}}},
    ],
    ids=named,
)
def test_a_step_that_fits(node: Any) -> None:
    """Functions, classes, instances, builtins, and steps of the seed."""
    assert node_problems(node) == []


@pytest.mark.parametrize(
    "source",
    [
        {"func": steps.source, "args": {"count": 2}},
        {"coro": steps.seed_source, "args": {"count": 2}},
        {"func": steps.Flat, "args": {"item": 1}},
        {"func": list},
    ],
    ids=named,
)
def test_a_source_that_fits(source: Any) -> None:
    """It is called with its args alone, or with the seed's queue."""
    assert node_problems(steps.inc, source=source) == []


@pytest.mark.parametrize(
    ("node", "code", "message", "hint"),
    [
        (
            {"func": steps.fetch, "args": {"timout": 1}},
            "unknown-arg",
            "sample_steps:fetch() takes no argument 'timout'.",
            "Did you mean 'timeout'?",
        ),
        (
            {"func": steps.only_by_position, "args": {"limit": 1}},
            "unknown-arg",
            "takes no argument 'limit'.",
            "Remove it: it takes none by name.",
        ),
        (
            {"func": steps.inc, "args": {"item": 1}},
            "arg-twice",
            "sample_steps:inc() gets 'item' with each item, so not from args.",
            "Remove it from args.",
        ),
        (steps.needs, "missing-arg", "needs() needs an argument 'url'.", "Add it under `args:`."),
        (steps.Store, "missing-arg", "sample_steps:Store() needs an argument 'path'.", "Add it"),
        (steps.add, "missing-arg", "needs an argument 'right'.", "Add it"),
        (
            {"func": steps.Store, "args": {"path": "x", "mode": 1}},
            "unknown-arg",
            "takes no argument 'mode'.",
            "Known: path.",
        ),
        (
            steps.make_local,
            "wrong-inputs",
            "make_local() takes no positional arguments, but is called with the item.",
            "Add a parameter for it.",
        ),
        (
            {"coro": steps.fetch, "args": {"timeout": 1}},
            "arg-twice",
            "gets 'timeout' with each item",
            "Remove it from args.",
        ),
        (
            {"coro": steps.AsyncStep},
            "wrong-inputs",
            "takes 1 positional argument, but a coro gets two: (self, q_elt).",
            "Add them, or use func.",
        ),
    ],
)
def test_a_step_that_does_not_fit(node: Any, code: str, message: str, hint: str) -> None:
    """The step and its argument are named."""
    problem = next(each for each in node_problems(node) if each.code == code)
    assert message in problem.message
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (steps.inc, "missing-arg", "needs an argument 'item'"),
        ({"func": steps.source, "args": {"cuont": 1}}, "unknown-arg", "'cuont'"),
        ({"coro": steps.Seed.reverse, "args": {"count": 1}}, "unknown-arg", "'count'"),
        ({"func": steps.Store, "args": {"path": "x"}}, "missing-arg", "'item'"),
    ],
)
def test_a_source_that_does_not_fit(source: Any, code: str, words: str) -> None:
    """It gets no item, so what it needs must stand in args, or an edge is missing."""
    problem = only(node_problems(steps.inc, source=source))
    assert problem.code == code
    assert words in problem.message


def join(node: Any, left: Any = steps.inc, right: Any = steps.inc, **rest: Any) -> list[Problem]:
    """Return the problems of a diamond that ends in `node`."""
    nodes = {"s": steps.source, "a": left, "b": right, "j": node}
    document = {k: v if isinstance(v, dict) else {"func": v} for k, v in nodes.items()}
    edges = {"s": ["a", "b"], "a": ["j"], "b": ["j"]}
    return check({"nodes": document, "graph": edges, **rest})


def test_a_join_gets_an_argument_for_each_edge() -> None:
    """One for each where it aggregates, one in all where it does not or batches."""
    assert join(steps.add) == []
    assert join(steps.several) == []
    problem = only(join(steps.split))
    assert problem.code == "wrong-inputs"
    assert problem.message == (
        "node 'j': sample_steps:split() takes 1 positional argument, but 2 edges lead here: "
        "from 'a', 'b'."
    )
    assert problem.hint == "Add parameters, or set aggregate_inputs: false."
    assert join({"func": steps.split, "properties": {"aggregate_inputs": False}}) == []
    assert join({"func": steps.split, "properties": {"batch": {"size": 2}}}) == []
    assert codes(join({"func": steps.add, "properties": {"aggregate_inputs": False}})) == [
        "missing-arg"
    ]
    assert join({"coro": steps.seed_fetch}) == []


def test_where_an_argument_is_wrong() -> None:
    """At its key; what is missing or too much at the step."""
    text = (
        "nodes:\n"
        "  s: {func: sample_steps:source}\n"
        "  n:\n"
        "    func: sample_steps:needs\n"
        "    args:\n"
        "      ulr: x\n"
        "graph: {s: [n]}\n"
    )
    found = check(text)
    assert [(each.code, each.line, each.column) for each in found] == [
        ("missing-arg", 4, 11),
        ("unknown-arg", 6, 7),
    ]


# --- options ------------------------------------------------------------------------------------


def with_options(func: Any, key: str = "func", **properties: Any) -> list[Problem]:
    """Return the problems of a node with some properties."""
    return node_problems({key: func, "properties": properties})


@pytest.mark.parametrize(
    ("problems", "code"),
    [
        (lambda: with_options(steps.seed_generator, "coro"), "coro-not-async"),
        (lambda: with_options(steps.add, "coro"), "coro-not-async"),
        (lambda: check(graph(inp={"coro": steps.seed_generator})), "coro-not-async"),
        (lambda: with_options(steps.fetch, executor="thread"), "async-in-executor"),
        (lambda: with_options(steps.AsyncStep, executor="process"), "async-in-executor"),
        (lambda: with_options(steps.seed_fetch, "coro", executor="thread"), "async-in-executor"),
        (lambda: with_options(lambda item: item, executor="process"), "not-picklable"),
        (lambda: with_options(steps.local, executor="process"), "not-picklable"),
        (lambda: with_options(steps.local_partial, executor="process"), "not-picklable"),
        (lambda: with_options(steps.AsyncEntered, executor="thread"), "async-enter"),
        (lambda: with_options(steps.inc, timeout=1), "timeout-inline"),
        (lambda: with_options(steps.split, timeout=1), "timeout-inline"),
        (lambda: with_options(steps.inc, on_error="dead_letter"), "no-dead-letter"),
    ],
)
def test_options_that_clash(problems: Callable[[], list[Problem]], code: str) -> None:
    """With what the step is, or with one another: an error, with its mend."""
    problem = only(problems())
    assert (problem.code, problem.severity) == (code, "error")
    assert problem.hint


@pytest.mark.parametrize(
    ("problems", "code"),
    [
        (lambda: with_options(steps.inc, concurrency=2), "no-effect"),
        (lambda: with_options(steps.inc, join={"on_missing": "fail"}), "no-effect"),
        (lambda: with_options(steps.poll), "polling-ordered"),
        (lambda: with_options(steps.poll_by_module), "polling-ordered"),
        (lambda: with_options(steps.Poller), "polling-ordered"),
        (lambda: with_options(steps.Poller()), "polling-ordered"),
    ],
)
def test_options_of_no_use(problems: Callable[[], list[Problem]], code: str) -> None:
    """A warning, which does not refuse the graph."""
    problem = only(problems())
    assert (problem.code, problem.severity) == (code, "warning")
    assert problem.hint


@pytest.mark.parametrize(
    "problems",
    [
        lambda: with_options(steps.inc, executor="process"),
        lambda: with_options(steps.partial_inc, executor="process"),
        lambda: with_options(len, executor="process"),
        lambda: with_options(steps.inc, executor="thread", timeout=1, concurrency=4),
        lambda: with_options(steps.fetch, timeout=1, concurrency=4),
        lambda: with_options(steps.AsyncEntered),
        lambda: with_options(steps.poll, ordered=False),
        lambda: with_options(steps.inc, retry={"on": ["myapp.errors:Busy", "OSError"]}),
        lambda: with_options(steps.inc, rate_limit="5/s"),
        lambda: with_options(steps.seed_fetch, "coro", timeout=1, concurrency=4),
    ],
)
def test_options_that_go_together(problems: Callable[[], list[Problem]]) -> None:
    """Nothing is said of them."""
    assert problems() == []


@pytest.mark.parametrize(
    ("properties", "code", "severity"),
    [
        ({"executor": "process"}, "process-source", "error"),
        ({"batch": {"size": 2}}, "batch-on-input", "error"),
        ({"timeout": 1}, "timeout-on-input", "error"),
        ({"concurrency": 2}, "no-effect", "warning"),
        ({"join": {"on_missing": "drop"}}, "no-effect", "warning"),
    ],
)
def test_options_of_an_input_node(properties: Any, code: str, severity: str) -> None:
    """A source makes items, it takes none."""
    problem = only(check({"nodes": {"a": {"func": steps.source, "properties": properties}}}))
    assert (problem.code, problem.severity) == (code, severity)
    assert problem.path == ("nodes", "a", "properties", next(iter(properties)))
    ok = {"executor": "thread", "rate_limit": "5/s", "on_error": "skip"}
    assert check({"nodes": {"a": {"func": steps.source, "properties": ok}}}) == []


def test_options_from_the_defaults() -> None:
    """They hold for many nodes: where one has no use for it, nothing or little is said, once."""
    document = graph(inp=steps.source, a=steps.inc, b=steps.inc)
    document["defaults"] = {"timeout": 5, "concurrency": 4, "batch": {"size": 2}, "join": {}}
    problem = only(check(document))
    assert (problem.code, problem.severity) == ("timeout-inline", "warning")
    assert problem.path == ("defaults", "timeout")
    document["defaults"] = {"on_error": "dead_letter"}
    problem = only(check(document))
    assert (problem.code, problem.path) == ("no-dead-letter", ("defaults", "on_error"))


def test_options_of_nodes_that_are_alike() -> None:
    """Each is told what is wrong with it; one that says the same of another step is not."""
    late = {"properties": {"timeout": 1}}
    nodes = {"a": {"func": steps.inc, **late}, "b": {"func": steps.inc, **late}}
    document = graph(inp=steps.source, **nodes, c={"func": steps.fetch, **late})
    found = check(document)
    assert [problem.code for problem in found] == ["timeout-inline"] * 2
    assert [problem.path[1] for problem in found] == ["a", "b"]
    assert [problem.message.split(":")[0] for problem in found] == ["node 'a'", "node 'b'"]


def test_a_node_that_is_nearly_like_a_sound_one() -> None:
    """What is wrong with it is found: another argument, another option, one more edge."""
    document = graph(
        inp=steps.source,
        a=steps.inc,
        b={"func": steps.inc, "args": {"nope": 1}},
        c={"func": steps.inc, "properties": {"concurrency": 2}},
        d=steps.split,
        e=steps.split,
    )
    document["graph"]["b"] = ["c", "e"]
    found = {(problem.path[1], problem.code) for problem in check(document)}
    assert found >= {("b", "unknown-arg"), ("c", "no-effect"), ("e", "wrong-inputs")}
    assert not {name for name, _ in found} & {"a", "d"}


def test_a_dead_letter_step_that_nobody_uses() -> None:
    """A warning, at its key."""
    text = (
        "nodes: {a: {func: sample_steps:source}}\ndead_letter: {func: sample_steps:write_letter}\n"
    )
    problem = only(check(text))
    assert (problem.code, problem.severity) == ("unused-dead-letter", "warning")
    assert (problem.line, problem.column) == (2, 1)
    assert check(f"{text}defaults: {{on_error: dead_letter}}\n") == []


# --- joins --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "why"),
    [
        (steps.split, "'b' yields any number of values for one item"),
        ({"func": steps.inc, "properties": {"ordered": False}}, "'b' gives results in the order"),
        (
            {"func": steps.inc, "properties": {"batch": {"size": 2}}},
            "'b' gathers items into batches",
        ),
    ],
)
def test_a_join_that_would_mispair(right: Any, why: str) -> None:
    """The node that broke the alignment is named, and ways to mend it."""
    problem = only(join(steps.add, right=right))
    assert (problem.code, problem.path) == ("join-misaligned", ("nodes", "j"))
    assert why in problem.message
    assert "aggregate_inputs: false" in problem.hint
    assert ("ordered: true" in problem.hint) is ("ordered: false" in problem.message)
    if isinstance(right, dict):
        merged = {"func": steps.inc, "properties": {"aggregate_inputs": False}}
        assert join(merged, right=right) == []


def test_an_edge_that_drops_before_a_join() -> None:
    """It is named by its two ends."""
    nodes = {"s": {"func": steps.source}, "a": {"func": steps.inc}, "j": {"func": steps.add}}
    edges = {"s": ["a", {"to": "j", "when_full": "drop_oldest"}], "a": ["j"]}
    problem = only(check({"nodes": nodes, "graph": edges}))
    assert problem.code == "join-misaligned"
    assert "'s -> j' drops items when it is full (drop_oldest)" in problem.message


def test_independent_sources_are_paired() -> None:
    """They have nothing to be out of line with; also where a join of them is joined again."""
    nodes = {
        "a": {"func": steps.source},
        "b": {"func": steps.split, "args": {}},
        "c": {"func": steps.source},
        "one": {"func": steps.add},
        "two": {"func": steps.add},
        "d": {"func": steps.source},
    }
    edges = {"a": ["b"], "b": ["one"], "c": ["one"], "one": ["two"], "d": ["two"]}
    assert check({"nodes": nodes, "graph": edges}) == []


def test_a_join_of_two_sources_is_a_stream_of_its_own() -> None:
    """It does not line up with either of them any more."""
    nodes = {name: {"func": steps.source} for name in "ab"}
    nodes |= {name: {"func": steps.add} for name in "jk"}
    found = check({"nodes": nodes, "graph": {"a": ["j", "k"], "b": ["j"], "j": ["k"]}})
    problem = only(found)
    assert problem.path == ("nodes", "k")
    assert "'a' and 'j' are streams of their own" in problem.message


def test_a_join_behind_a_bad_join() -> None:
    """Only the first is reported: the other follows from it."""
    nodes = {"s": {"func": steps.source}, "a": {"func": steps.split}}
    nodes |= {name: {"func": steps.add} for name in "jk"}
    found = check({"nodes": nodes, "graph": {"s": ["a", "j", "k"], "a": ["j"], "j": ["k"]}})
    assert only(found).path == ("nodes", "j")


# --- size ---------------------------------------------------------------------------------------


def chain(length: int, **properties: Any) -> dict[str, Any]:
    """Return a line of so many nodes."""
    names = [f"n{i}" for i in range(length)]
    node = {"func": steps.inc, "args": {"by": 2}, "properties": properties}
    nodes: dict[str, Any] = {name: dict(node) for name in names}
    nodes["n0"] = {"func": steps.source}
    return {"nodes": nodes, "graph": dict(zip(names, ([each] for each in names[1:]), strict=False))}


def test_a_chain_of_ten_thousand_nodes() -> None:
    """Nothing recurses."""
    assert check(chain(10_000, on_error="skip", timeout=None)) != []
    assert check(chain(10_000, on_error="skip")) == []


def test_a_circle_of_ten_thousand_nodes() -> None:
    """Its path is shortened."""
    document = chain(10_000)
    document["graph"]["n9999"] = ["n1"]
    problem = next(each for each in check(document) if each.code == "cycle")
    assert problem.message.startswith("n9999 -> n1 -> n2 -> ")
    assert problem.message.endswith(" -> n9999 (9,999 nodes).")
    assert len(problem.message) < 200


def test_a_wide_join() -> None:
    """A thousand branches of one source line up."""
    names = [f"n{i}" for i in range(1_000)]
    nodes: dict[str, Any] = {name: {"func": steps.inc} for name in names}
    nodes |= {"s": {"func": steps.source}, "j": {"func": steps.several}}
    assert check({"nodes": nodes, "graph": {"s": names, **{name: ["j"] for name in names}}}) == []


def test_each_different_piece_is_judged_once() -> None:
    """What the schema costs does not grow with nodes that are alike: jsonschema is slow."""
    judged: list[str] = []

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_name == "iter_errors":
            judged.append(frame.f_code.co_filename)

    document = chain(1_000, on_error="skip", retry={"attempts": 3})
    sys.setprofile(count)
    try:
        found = check(document)
    finally:
        sys.setprofile(None)
    assert found == []
    assert 0 < len(judged) < 20
