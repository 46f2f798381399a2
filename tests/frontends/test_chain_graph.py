"""The graph that a chain makes: equal to the one written by hand, and the same from a file."""

from __future__ import annotations

from typing import Any

import chain_steps
import pytest
from chain_steps import Scaled, add, negate, numbers, pair, seven, square
from hypothesis import given
from hypothesis import strategies as st

import pipelines
from pipelines import GraphError
from pipelines.frontends.chain import (
    GCSUploadStep,
    HttpGetStep,
    PipelineBuilder,
    PythonStep,
    Source,
    Step,
    UploadStep,
)
from pipelines.load import load

DIAMOND: dict[str, Any] = {
    "nodes": {
        "numbers": {"func": numbers, "args": {"count": 4}},
        "square": {"func": square},
        "negate": {"func": negate},
        "add": {"func": add},
    },
    "graph": {"numbers": ["square", "negate"], "square": ["add"], "negate": ["add"]},
}


def seen_by(spec: pipelines.GraphSpec, node: str) -> list[Any]:
    """Run a graph, and return what one of its nodes gives."""
    seen: list[Any] = []
    document = spec.to_dict()
    document["nodes"]["seen"] = {"func": seen.append}
    document["graph"][node] = ["seen"]
    pipelines.run(document)
    return seen


def test_a_diamond_is_the_graph_of_the_same_diamond() -> None:
    """Spec, fingerprint and results are equal to those of the dict."""
    spec = chain_steps.diamond().spec()
    assert spec == load(DIAMOND)
    assert spec.fingerprint() == load(DIAMOND).fingerprint()
    assert seen_by(spec, "add") == seen_by(load(DIAMOND), "add") == [0, 0, 2, 6]


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 5))
def test_a_chain_gives_what_its_functions_give(
    items: list[int], concurrency: int, room: int
) -> None:
    """Whatever the items, the concurrency and the size of the queues."""
    first = Source(items, name="items")
    branches = [
        PythonStep(square, buffer_size=room),
        PythonStep(negate, concurrency=concurrency, buffer_size=room),
    ]
    merge = PythonStep(pair, buffer_size=room)
    first >> branches >> merge
    expected = [(n * n, -n) for n in items]
    assert PipelineBuilder(first, *branches, merge).execute() == [
        items,
        [n * n for n in items],
        [-n for n in items],
        expected,
    ]


def test_a_chain_can_be_written_as_a_file() -> None:
    """Read again it is the same graph, and gives the same."""
    for builder, last in ((chain_steps.diamond(), "add"), (chain_steps.once(), "both")):
        spec = builder.spec()
        again = load(spec.to_yaml())
        assert again.to_plain() == spec.to_plain()
        assert seen_by(again, last) == seen_by(spec, last)
    assert seen_by(chain_steps.once().spec(), "both") == [((22, 1), 49)]


def test_the_file_names_a_class_and_its_arguments() -> None:
    """What is called once without input, and what is cached, is named too."""
    plain = chain_steps.once().spec().to_plain()
    calls = "pipelines.frontends.chain.calls"
    assert plain["nodes"]["start"] == {"func": f"{calls}:start"}
    assert plain["nodes"]["Scaled"] == {
        "func": "chain_steps:Scaled",
        "args": {"factor": 3, "offset": 1},
    }
    assert plain["nodes"]["square"]["args"] == {"step": "chain_steps:square", "cache": True}
    assert plain["nodes"]["seven"]["func"] == f"{calls}:Call"
    assert plain["graph"]["start"] == ["seven"]


class Bag(Step):
    """Hold anything."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def run(self) -> Any:
        """Give it."""
        return self.thing


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (PythonStep(lambda: 1, name="first"), "'first': the argument 'step' holds <function"),
        (Source(lambda: [1]), "node 'lambda': <function .* has no importable name"),
        (Source([1, 2]), r"node 'source': \[1, 2\] has no importable name"),
        (Source([1].copy), "node 'copy': <built-in method copy .* has no importable name"),
        (Source(Bag(1).run), "node 'run': <bound method .* has no importable name"),
        (Bag(object()), "node 'Bag': the argument 'args' holds <object object"),
        (Bag({"deep": [b"bytes"]}), "node 'Bag': the argument 'args' holds b'bytes'"),
        (Bag({1: 2}), r"the argument 'args' holds \{1: 2\}"),
    ],
)
def test_what_no_file_can_hold_is_refused(step: Step, message: str) -> None:
    """It runs, but can't be written; the error names the node."""
    with pytest.raises(ValueError, match=message):
        PipelineBuilder(step).spec().to_yaml()


def test_an_object_of_your_own_can_not_be_written() -> None:
    """It is called as it is, which no other process could."""

    class Own:
        def run(self) -> int:
            return 1

    spec = PipelineBuilder(Own(), name="mine").spec()
    assert [*spec.nodes] == ["start", "Own"]
    with pytest.raises(ValueError, match="node 'Own'"):
        spec.to_yaml()


def test_a_start_of_your_own_keeps_its_name() -> None:
    """The node that a chain adds is numbered instead."""
    spec = PipelineBuilder(PythonStep(seven, name="start")).spec()
    assert [edge.to_dict() for edge in spec.edges] == ["start"]
    assert [*spec.nodes] == ["start_2", "start"]


def test_ready_steps_are_those_of_the_library() -> None:
    """They are nodes with its steps, and only the arguments that were given."""
    steps = [
        HttpGetStep("http://host/page", timeout="5s", parse="json"),
        UploadStep("out/{number}.json", concurrency=2),
    ]
    plain = PipelineBuilder(*steps).spec().to_plain()
    assert plain["nodes"] == {
        "start": {"func": "pipelines.frontends.chain.calls:start"},
        "HttpGetStep": {
            "func": "http_get",
            "args": {"url": "http://host/page", "parse": "json", "timeout": 5.0},
        },
        "UploadStep": {
            "func": "upload",
            "args": {"url": "out/{number}.json"},
            "properties": {"concurrency": 2},
        },
    }
    urls = [
        PipelineBuilder(Source(["x"]), GCSUploadStep(bucket, "/in/a")).spec().nodes["GCSUploadStep"]
        for bucket in ("box", "s3://box/", "file:///tmp/box")
    ]
    assert [node.args["url"] for node in urls] == [
        "gs://box/in/a",
        "s3://box/in/a",
        "file:///tmp/box/in/a",
    ]


@pytest.mark.parametrize(
    "step", [HttpGetStep(), HttpGetStep("http://host/{item}"), UploadStep("out")]
)
def test_a_step_that_needs_an_input_can_not_come_first(step: Step) -> None:
    """The error says what is missing."""
    with pytest.raises(ValueError, match="works on what comes in, and no step leads to it"):
        PipelineBuilder(step).spec()


def test_a_name_in_a_module_is_named_after_what_it_names() -> None:
    """A `module:qualname` gives the node its last part, a registered name all of it."""
    steps = [PythonStep("chain_steps:seven"), PythonStep("builtins:str"), PythonStep("stdout")]
    assert [*PipelineBuilder(*steps).spec().nodes] == ["start", "seven", "str", "stdout"]


def test_all_faults_are_told_at_once() -> None:
    """Also those of steps that are called through another one."""
    steps = [PythonStep(square, args={"x": 1}), Scaled(1, concurrency=0), PythonStep("nothing")]
    with pytest.raises(GraphError) as caught:
        PipelineBuilder(*steps).spec()
    codes = {problem.code for problem in caught.value.problems}
    assert {"unknown-arg", "missing-arg", "unknown-step"} <= codes
    assert any("concurrency" in problem.path for problem in caught.value.problems)
