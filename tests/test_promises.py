"""What every run promises, for random graphs against a sequential model."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_graphs import MISSING, Node, Plan, build, expected, plans
from virtual_time import run_virtually

from pipelines import Plumber, RunReport, StepError


def compare(plan: Plan, report: RunReport, outputs: dict[str, list[Any]]) -> None:
    """Compare what a run gave with what the model says."""
    model = expected(plan)
    for name, output in outputs.items():
        wanted = [v for v in model.streams[name][f"{name}-out"] if v is not MISSING]
        if model.ordered[name]:
            assert output == wanted, name
        else:
            assert Counter(map(repr, output)) == Counter(map(repr, wanted)), name
    for name, received in model.received.items():
        node = report.nodes[name]
        gone = node.skipped + node.dead_lettered
        assert (node.received, gone) == (received, model.skipped[name]), name


def check_plan(plan: Plan, run: Any = run_virtually, make: Any = Plumber) -> None:
    """Run a plan; it must give what the model says, or fail where the model says it may."""
    document, outputs = build(plan)
    plumber = make(document)
    may_fail = {
        node.name
        for node in plan.nodes
        if node.properties.get("on_error") == "fail" and node.name in expected(plan).failing
    }
    if may_fail:
        with pytest.raises(StepError) as caught:
            run(plumber.run())
        assert caught.value.node in may_fail
        assert plumber.report is not None
        assert plumber.report.nodes[caught.value.node].failed >= 1
        notes = "".join(getattr(caught.value, "__notes__", ()))
        assert "lost" not in notes, notes
        assert "CancelledError" not in notes  # which is how the others ended, and no failure
        report = plumber.report
    else:
        report = run(plumber.run())
        compare(plan, report, outputs)
    assert all(node.balanced for node in report.nodes.values())


@pytest.mark.timeout(180)  # half a minute of a processor that has nothing else
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
@given(plans())
def test_a_random_graph_gives_what_the_model_gives(plan: Plan) -> None:
    """Values, order, pairing, counters and balance are right, and the run ends."""
    check_plan(plan)


def test_a_gap_that_waits_for_its_turn_is_no_item() -> None:
    """A run that fails while a pool holds a gap mark back balances all the same."""
    plan = Plan(
        (
            Node("s0", "source"),
            Node("n1", "route", ("s0",), properties={"buffer_size": 1}),
            Node("n2", "plain", ("s0", "n1"), is_async=True, properties={"buffer_size": 1}),
            Node("n3", "fail", ("n1",), modulus=1, properties={"on_error": "fail"}),
        ),
        count=7,
    )
    check_plan(plan)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(plans(executors=("inline", "thread")))
def test_threads_change_nothing(plan: Plan) -> None:
    """The same holds where some steps run in threads."""
    check_plan(plan, asyncio.run)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(plans(executors=("inline", "process"), most=3))
def test_processes_change_nothing(plan: Plan) -> None:
    """The same holds where some steps run in worker processes."""
    check_plan(plan, asyncio.run)
