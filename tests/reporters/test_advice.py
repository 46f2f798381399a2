"""The advice after a run: it names the node that held the others up, and what relieves it."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.metrics import NodeCounts, RunReport
from pipelines.reporters.advice import advise
from pipelines.spec import GraphSpec
from pipelines.step import Shape

ASYNC, SYNC = Shape(is_async=True), Shape()


def advice(shape: Shape, *, node: str = "work", cores: int = 8, **properties: Any) -> str:
    """Return the advice for a graph ``source -> work -> sink`` in which `node` was always busy."""
    nodes: dict[str, Any] = {name: {"func": "len"} for name in ("source", "work", "sink")}
    nodes[node]["properties"] = properties
    graph = {"source": ["work"], "work": ["sink"]}
    spec = GraphSpec.from_dict({"nodes": nodes, "graph": graph})
    return advise(report(node), spec, {node: shape}, cores=cores)


def report(node: str | None, **counts: Any) -> RunReport:
    """Return the report of a run of ten seconds with one bottleneck."""
    nodes = {name: NodeCounts(starved=9.0) for name in ("source", "work", "sink")}
    if node is not None:
        nodes[node] = NodeCounts(**{"received": 10, "passed_on": 10, "starved": 0.5, **counts})
    return RunReport(True, "done", 10.0, node, nodes, {})


@pytest.mark.parametrize(
    ("shape", "properties", "said"),
    [
        (ASYNC, {}, "raise its concurrency, now 16: --set nodes.work.properties.concurrency=32"),
        (ASYNC, {"concurrency": 50}, "now 50: --set nodes.work.properties.concurrency=100"),
        (SYNC, {}, "if it computes: --set nodes.work.properties.executor=process"),
        (SYNC, {}, "if it waits: --set nodes.work.properties.executor=thread"),
        (SYNC, {"executor": "thread", "concurrency": 4}, "if it waits, more threads, now 4: "),
        (SYNC, {"executor": "process", "concurrency": 2}, "more processes, now 2 of 8 cores"),
        (SYNC, {"executor": "process"}, "8 processes on 8 cores: make the step itself cheaper"),
        (ASYNC, {"rate_limit": "20/s"}, "its rate_limit of 20/s holds it back"),
    ],
)
def test_relief_fits_the_kind_of_node(shape: Shape, properties: Any, said: str) -> None:
    """What helps depends on where and how a step runs."""
    assert said in advice(shape, **properties)


def test_a_source_that_is_busy_is_no_fault_of_the_graph() -> None:
    """If the source is the slowest, nothing downstream can be relieved."""
    assert "nothing downstream is slow" in advice(SYNC, node="source")


def test_a_sink_is_made_concurrent_only_with_a_warning() -> None:
    """A node at the end runs one call at a time, which keeps the order of its effects."""
    said = advice(ASYNC, node="sink")
    assert "now 1, if the order of its effects does not matter" in said


def test_retries_are_what_to_mend_where_they_are_many() -> None:
    """A node that mostly tries again needs no more workers."""
    spec = GraphSpec.from_dict(
        {"nodes": {"source": {}, "work": {"func": "len"}}, "graph": {"source": ["work"]}}
    )
    said = advise(report("work", retried=30, last_error="503"), spec, {"work": ASYNC})
    assert "tried items again 30 times: 503" in said


def test_the_share_of_the_time_is_told() -> None:
    """Half a second of ten starved is 95 per cent at work."""
    assert advice(SYNC).startswith("bottleneck: work, at work 95% of the time; ")


def test_an_idle_run_has_no_bottleneck() -> None:
    """Where the busiest node mostly waits, no node held the run up."""
    spec = GraphSpec.from_dict({"nodes": {"work": {"func": "len"}}})
    assert advise(report("work", starved=9.0), spec, {}).startswith("no bottleneck: ")


def test_no_bottleneck_no_advice() -> None:
    """A run without items gives no line."""
    assert advise(report(None), GraphSpec(nodes={}), {}) == ""
