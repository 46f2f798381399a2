"""The engine on real Ray gives what that of this process gives: values, counters and errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import Plan, plans
from running import until
from test_promises import check_plan

pytest.importorskip("ray")

from engines.ray_runs import cluster, counters, on_ray
from engines.ray_steps import (
    FailsFirst,
    Resource,
    add,
    collector,
    deep,
    double,
    end_program,
    give_lock,
    interrupt,
    leave_out,
    raise_unpicklable,
    refuse_tenth,
    refuse_to_be_told,
    same,
    seed_upper,
    sort,
    spread,
    spread_async,
    stall_tenth,
    wait_a_moment,
)
from pipelines import GraphError, Plumber, StepError
from pipelines.engines.cluster.joining import Cluster
from pipelines.errors import ExecutorError, HostError

__all__ = ["cluster"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]


def brought_back(document: dict[str, Any], scopes: list[str | None]) -> dict[str, Any]:
    """Spread the nodes of a random graph over scopes, and keep what it gives in this process."""
    for index, (name, node) in enumerate(document["nodes"].items()):
        scope = scopes[index % len(scopes)]
        if name.endswith("-out"):
            node["func"] = collector(node["func"].__self__)
        elif "properties" in node and scope is not None:
            node["properties"]["scope"] = scope
    return document


@pytest.mark.timeout(180)  # a process a host: half a second of a processor that has nothing else
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(
    plans(executors=("inline", "inline", "thread"), most=4).filter(lambda plan: plan.count > 0),
    st.sampled_from([1, 7, 1000]),
    st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=4),
)
def test_a_random_graph_gives_what_the_model_gives(
    plan: Plan, size: int, scopes: list[str | None]
) -> None:
    """Values, order, pairing, counters and balance are those of the model, on Ray too."""
    check_plan(
        plan, run=asyncio.run, make=lambda graph: on_ray(brought_back(graph, scopes), batch=size)
    )


def everything(notes: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return a graph of all that a node can do, and the lists that its ends fill."""
    nodes: dict[str, Any] = {
        "in": {"func": range(230)},
        "entry": {"func": Resource, "args": {"notes": str(notes)}},
        "double": {"func": double, "properties": {"scope": "a"}},
        "wait": {"func": wait_a_moment, "properties": {"scope": "a", "concurrency": 8}},
        "join": {"func": add, "properties": {"scope": "b"}},
        "merge": {"func": same, "properties": {"aggregate_inputs": False}},
        "spread": {"func": spread},
        "spread_async": {"func": spread_async},
        "sums": {"func": sum, "properties": {"batch": {"size": 9}}},
        "sort": {"func": sort},
        "even": {"func": same},
        "odd": {"func": same, "properties": {"scope": "c"}},
        "again": {"func": FailsFirst, "properties": {"retry": {"attempts": 2, "backoff": 0}}},
        "left_out": {"func": leave_out},
        "skip": {"func": refuse_tenth, "properties": {"on_error": "skip"}},
        "letter": {"func": refuse_tenth, "properties": {"on_error": "dead_letter"}},
        "thread": {"func": double, "properties": {"executor": "thread", "concurrency": 2}},
        "process": {"func": double, "properties": {"executor": "process"}},
        "late": {
            "func": stall_tenth,
            "properties": {"timeout": 0.05, "on_error": "skip", "concurrency": 4},
        },
        "limited": {"func": same, "properties": {"rate_limit": "2000/s"}},
        "seed": {"coro": seed_upper},
    }
    graph: dict[str, Any] = {
        "in": ["entry"],
        "entry": ["double", "wait", "spread", "spread_async", "sums", "sort", "again"],
        "double": ["join", "merge"],
        "wait": ["join", "merge"],
        "sort": ["even", "odd"],
        "again": ["left_out", "skip", "letter", "thread", "process", "late", "limited", "seed"],
    }
    ends = [name for name in nodes if name not in graph]
    lists: dict[str, list[Any]] = {name: [] for name in [*ends, "letters"]}
    for name in ends:
        nodes[f"{name}_end"] = {"func": collector(lists[name])}
        graph |= {name: [f"{name}_end"], f"{name}_end": None}
    return {
        "nodes": nodes,
        "graph": graph,
        "dead_letter": {"func": lists["letters"].append},
    }, lists


def run_everything(folder: Path, make: Callable[..., Plumber]) -> tuple[Any, ...]:
    """Run the graph; return what it gave, what it counted, and what it noted."""
    document, lists = everything(folder)
    plumber = make(document, env_vars={"suffix": "!"})
    plumber.run_sync()
    lists["merge"].sort()
    letters = [
        {key: value for key, value in letter.items() if key in ("node", "item", "error")}
        for letter in lists.pop("letters")
    ]
    return lists, letters, counters(plumber), folder.read_text()


def test_all_that_a_node_can_do_is_the_same_on_both_engines(tmp_path: Path) -> None:
    """The same graph gives the same values, letters and counters here and on Ray."""
    here = run_everything(tmp_path / "here", Plumber)
    there = run_everything(tmp_path / "there", on_ray)
    for ours, theirs in zip(here, there, strict=True):
        assert theirs == ours
    assert here[-1] == "enter\nexit\n"


def one(step: Any, count: int = 20, **node: Any) -> dict[str, Any]:
    """Return the graph of numbers through a step, whose results are dropped."""
    return {
        "nodes": {"s": {"func": range(count)}, "n": {"func": step, **node}, "e": {"func": same}},
        "graph": {"s": ["n"], "n": ["e"], "e": None},
    }


def failure(plumber: Plumber) -> StepError:
    """Return how a run fails."""
    with pytest.raises(StepError) as caught:
        plumber.run_sync()
    return caught.value


def test_a_failure_tells_all_that_it_tells_here() -> None:
    """Node, item, attempt, type and text of the cause survive, and the lines of the user's code."""
    document = one(deep, properties={"retry": {"attempts": 2, "backoff": 0}})
    here, plumber = failure(Plumber(document)), on_ray(document)
    there = failure(plumber)
    assert str(there) == str(here)
    assert (there.node, there.item, there.attempt) == ("n", 0, 2)
    assert type(there.cause) is LookupError
    notes = "\n".join(there.cause.__notes__)
    assert "On the host 127.0.0.1 (node " in notes
    assert "in _deeper" in notes
    assert plumber.report is not None
    assert plumber.report.nodes["n"].state == "failed"


def test_an_error_of_a_script_keeps_its_type() -> None:
    """A class that no worker can import, as one of a script, is the same class when it is back."""

    class Own(Exception): ...

    def fail(item: int) -> None:
        raise Own(item)

    assert type(failure(on_ray(one(fail))).cause) is Own


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    """What can't be unpickled comes as what says the same."""
    error = failure(on_ray(one(raise_unpicklable)))
    assert isinstance(error.cause, ExecutorError)
    assert str(error) == "node 'n' failed on item 0: Unpicklable: 0 and 0"


def test_an_item_that_cannot_travel_is_named() -> None:
    """An item that no other process can have is an error that says which node made it."""
    document = one(give_lock)
    document["nodes"]["e"]["properties"] = {"scope": "a"}
    error = failure(on_ray(document))
    assert error.node == "n"
    assert "the item can't travel to another process: TypeError: cannot pickle" in str(error)
    assert "Send plain data on" in str(error)


def test_an_item_of_a_source_that_cannot_travel_is_named() -> None:
    """So it is where a source made it."""
    document = one(same)
    document["nodes"]["s"]["func"] = [threading.Lock()]
    assert failure(on_ray(document)).node == "s"


def test_an_item_that_a_failure_shows_may_stay_where_it_is() -> None:
    """A failure on an item that can't travel shows the item all the same."""
    document = one(give_lock)
    document["nodes"]["e"]["func"] = refuse_to_be_told
    error = failure(on_ray(document))
    assert error.node == "e"
    assert "unlocked _thread.lock" in repr(error.item)


@pytest.mark.parametrize(
    ("step", "kind"), [(end_program, SystemExit), (interrupt, KeyboardInterrupt)]
)
def test_a_step_that_ends_the_program(step: Any, kind: type[BaseException]) -> None:
    """SystemExit and its like come out as they are, as on one machine."""
    with pytest.raises(kind) as caught:
        on_ray(one(step)).run_sync()
    assert caught.value.args == ((7,) if kind is SystemExit else ())


def test_what_cannot_travel_is_refused_before_anything_starts() -> None:
    """A step, an argument and the env_vars that can't travel are named all at once."""
    lock = threading.Lock()
    document = one(Resource, args={"notes": lock})
    document["nodes"]["e"]["func"] = lambda item: lock
    with pytest.raises(GraphError) as caught:
        on_ray(document, env_vars={"lock": lock})
    assert [problem.path for problem in caught.value.problems] == [
        ("nodes", "n", "args", "notes"),
        ("nodes", "e", "func"),
        ("env_vars",),
    ]
    assert {problem.code for problem in caught.value.problems} == {"not-portable"}


def test_a_step_that_a_worker_cannot_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the node, the module, and where workers find modules."""
    module = tmp_path / "here_only.py"
    module.write_text("def step(item):\n    return item\n")
    with monkeypatch.context() as found:
        found.syspath_prepend(tmp_path)
        import here_only  # type: ignore[import-not-found]

        plumber = on_ray(one(here_only.step))
    error = failure(plumber)
    assert error.node == "n"
    assert "ModuleNotFoundError: No module named 'here_only'" in str(error)
    assert "Workers find what lies in the folder of the graph" in str(error)


def test_a_step_of_the_path_of_this_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of a local cluster import from where this program does."""
    (tmp_path / "found_there.py").write_text("def step(item):\n    return item + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    got: list[int] = []
    document = one("found_there:step")
    document["nodes"]["e"]["func"] = collector(got)
    on_ray(document).run_sync()
    assert got == list(range(1, 21))


class RefusesToEnter:
    """Can't be entered."""

    def __enter__(self) -> None:
        raise OSError("no such file")

    def __exit__(self, *exception: object) -> None: ...

    def __call__(self, item: int) -> int:
        """Change nothing."""
        return item


def test_a_step_that_cannot_be_entered(tmp_path: Path) -> None:
    """The run fails with the step's error, and those that were entered are exited."""
    notes = tmp_path / "notes"
    document = one(Resource, args={"notes": str(notes)})
    document["nodes"]["e"] = {"func": RefusesToEnter, "properties": {"scope": "a"}}
    error = failure(on_ray(document))
    assert error.node == "e"
    assert isinstance(error.cause, OSError)
    assert notes.read_text() == "enter\nexit StepError\n"


def test_another_version_on_the_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with another version of this library says so, and nothing is guessed."""
    monkeypatch.setattr("pipelines.engines.remote.version", lambda: "0.0.1")
    with pytest.raises(HostError, match=r"was started with 0\.0\.1: install the same on both"):
        on_ray(one(same)).run_sync()


async def test_a_cancel_ends_the_calls_and_exits(tmp_path: Path) -> None:
    """A cancelled run ends what is under way elsewhere, and its steps are exited."""
    notes = tmp_path / "notes"
    document = one(Resource, args={"notes": str(notes)})
    document["nodes"]["e"] = {"func": stall_tenth}
    plumber = on_ray(document, batch=1)
    plumber.create_pipeline()
    await until(lambda: plumber.snapshot().nodes["e"].received >= 5 or plumber.report)
    plumber.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plumber.join()
    assert notes.read_text() == "enter\nexit CancelledError\n"


async def test_a_scope_that_nobody_serves(cluster: Cluster) -> None:
    """The error says which, who is there, and the command that would help."""
    plumber = on_ray(one(same, properties={"scope": "d"}), start_timeout=0.5)
    with pytest.raises(Exception, match=r"no worker serves scope 'd' .* plumber worker --scopes d"):
        await plumber.run()


def test_nothing_runs_on_when_a_run_is_over(cluster: Cluster) -> None:
    """Behind all those runs no actor is left in the cluster."""
    from ray._private.state import actors

    on_ray(one(same)).run_sync()
    alive = [each for each in actors().values() if each["State"] != "DEAD"]
    assert alive == []
