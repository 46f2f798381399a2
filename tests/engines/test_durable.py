"""Durable edges: what a run that ended badly had under way is gone on with by the next one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import SKIP, Plumber, RunReport, StepError
from pipelines.durable import DurableError
from pipelines.engines.hosted import Batching
from pipelines.engines.inprocess import InProcessEngine
from pipelines.errors import GraphError
from pipelines.replay.parts import part_behind
from pipelines.spec import GraphSpec
from pipelines.step import StreamStep

pytestmark = pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Give the URL of a Redis server."""
    with redis_server.served() as url:
        yield url


@pytest.fixture
def redis(server: str) -> Iterator[Any]:
    """Give a client of the server, which is empty."""
    import redis

    with redis.Redis.from_url(server) as client:
        client.flushall()
        yield client


class Failing:
    """Notes what comes, and fails once at each of some items.

    Args:
        fails: the items.
    """

    def __init__(self, fails: set[int]) -> None:
        self.fails = set(fails)
        self.seen: list[int] = []

    def __call__(self, item: int) -> int:
        """Note an item."""
        if item in self.fails:
            self.fails.remove(item)
            raise ValueError(item)
        self.seen.append(item)
        return item


def until_done(document: dict[str, Any], size: int) -> tuple[RunReport, int]:
    """Run a graph again and again until it ends well; return the last report and how often."""
    for runs in range(1, 50):
        try:
            engine = InProcessEngine(Batching(size, 0.01))
            return Plumber(document, engine=engine).run_sync(), runs
        except StepError:
            continue
    raise AssertionError("it never ends")


def line(url: str, count: int, *steps: Any) -> dict[str, Any]:
    """Return the graph of some numbers through steps, with a durable edge before all but one."""
    names = ["source", *(f"n{index}" for index in range(len(steps)))]
    nodes: dict[str, Any] = {"source": {"func": range(count)}}
    nodes |= {name: {"func": step} for name, step in zip(names[1:], steps, strict=True)}
    graph: dict[str, Any] = {"source": ["n0"]}
    for name, to in pairwise(names[1:]):
        graph[name] = [{"to": to, "durable": url}]
    return {"name": "line", "nodes": nodes, "graph": {**graph, names[-1]: None}}


def no_thirds(item: int) -> Any:
    """Leave every third number out."""
    return item if item % 3 else SKIP


_FAILS = st.sets(st.integers(0, 99), max_size=4)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(_FAILS, _FAILS, st.sampled_from([1, 7, 1000]))
def test_nothing_is_lost_however_often_a_run_fails(
    server: str, first: set[int], second: set[int], size: int
) -> None:
    """After runs that fail anywhere, each item has had its effect, and Redis is empty again."""
    middle, last = Failing(first), Failing(second)
    report, _ = until_done(line(server, 100, no_thirds, middle, last), size)
    wanted = [item for item in range(100) if item % 3]
    assert sorted(set(last.seen)) == wanted
    assert report.reason == "done"
    again = sum(Counter(last.seen).values()) - len(wanted)
    assert again == 0 or first | second


def test_what_was_kept_is_not_made_again(server: str, redis: Any) -> None:
    """The second run leaves out of the source what the first has kept, and says how much."""
    made: list[int] = []
    last = Failing({95})

    def note(item: int) -> int:
        made.append(item)
        return item

    document = line(server, 100, note, last)
    engine = InProcessEngine(Batching(10))
    with pytest.raises(StepError):
        Plumber(document, engine=engine).run_sync()
    kept = len(made)
    assert made == list(range(kept))
    report = Plumber(document, engine=engine).run_sync()
    assert report.edges["source", "n0"].duplicates + len(made) - kept == 100
    assert report.edges["n0", "n1"].redelivered > 0
    assert sorted(set(last.seen)) == list(range(100))
    assert redis.keys() == []


def test_an_effect_is_acknowledged_only_behind_it(server: str, redis: Any) -> None:
    """An item is redelivered until a node at the very end has taken it."""
    last = Failing({5})
    document = line(server, 10, no_thirds, no_thirds)
    document["nodes"]["end"] = {"func": last, "properties": {"scope": "other"}}
    document["graph"]["n1"] = ["end"]
    document["graph"]["end"] = None
    engine = InProcessEngine(Batching(1))
    with pytest.raises(StepError):
        Plumber(document, engine=engine).run_sync()
    report = Plumber(document, engine=engine).run_sync()
    assert report.edges["n0", "n1"].redelivered >= 1
    assert sorted(set(last.seen)) == [1, 2, 4, 5, 7, 8]
    assert redis.keys() == []


def test_lists_may_be_made_behind_a_durable_edge(server: str, redis: Any) -> None:
    """A node that takes lists gets whole ones, and all are acknowledged."""
    got: list[list[int]] = []
    document = line(server, 50, no_thirds, got.append)
    document["nodes"]["n1"]["properties"] = {"batch": {"size": 8}}
    Plumber(document, engine=InProcessEngine(Batching(10))).run_sync()
    assert [item for each in got for item in each] == [n for n in range(50) if n % 3]
    assert {len(each) for each in got[:-1]} == {8}
    assert redis.keys() == []


def test_a_join_of_one_stream_may_be_durable(server: str, redis: Any) -> None:
    """Branches over durable edges are paired as ever, gaps too."""
    got: list[tuple[int, int]] = []
    document = {
        "name": "diamond",
        "nodes": {
            "s": {"func": range(60)},
            "a": {"func": lambda n: n},
            "b": {"func": no_thirds},
            "c": {"func": lambda n: -n},
            "j": {"func": lambda b, c: got.append((b, c))},
        },
        "graph": {
            "s": ["a"],
            "a": [{"to": "b", "durable": server}, "c"],
            "b": ["j"],
            "c": ["j"],
            "j": None,
        },
    }
    with pytest.raises(GraphError, match="node 'j' pairs a -> b with s: after a crash"):
        Plumber(document)
    document["graph"]["a"] = ["b", "c"]  # type: ignore[index]
    document["graph"]["s"] = [{"to": "a", "durable": server}]  # type: ignore[index]
    Plumber(document, engine=InProcessEngine(Batching(7))).run_sync()
    assert got == [(n, -n) for n in range(60) if n % 3]
    assert redis.keys() == []


def test_a_drained_run_is_gone_on_with(server: str, redis: Any) -> None:
    """A drain takes what is under way to its end, and the next run begins behind that."""
    got: list[int] = []
    document = line(server, 1000, no_thirds, got.append)
    plumber = Plumber(document, engine=InProcessEngine(Batching(10)))
    document["nodes"]["n1"]["func"] = lambda item: (got.append(item), plumber.stop_sources())
    plumber = Plumber(document, engine=InProcessEngine(Batching(10)))
    report = plumber.run_sync()
    assert report.reason == "drained"
    assert redis.keys() != []
    document["nodes"]["n1"]["func"] = got.append
    Plumber(document, engine=InProcessEngine(Batching(10))).run_sync()
    assert got == [n for n in range(1000) if n % 3]
    assert redis.keys() == []


async def test_what_is_put_goes_on_behind_what_was_put(server: str, redis: Any) -> None:
    """A node that is fed by hand has no beginning to go back to: all that is put is new."""
    got: list[int] = []
    document = line(server, 0, no_thirds, Failing({4}), got.append)
    document["nodes"]["source"] = {}
    first = Plumber(document)
    first.create_pipeline()
    for item in (1, 2, 4):
        await first.put("source", item)
    with pytest.raises(StepError):
        await first.join()
    async with Plumber(document) as plumber:
        await plumber.put("source", 5)
    assert sorted(set(got)) == [1, 2, 4, 5]


async def test_a_second_run_at_the_same_time_is_refused(server: str, redis: Any) -> None:
    """Two runs of one graph can't keep the same edge; the second says who has it."""
    document = line(server, 0, no_thirds, no_thirds)
    document["nodes"]["source"] = {}
    async with Plumber(document) as first:
        await first.put("source", 1)
        await first.entered()
        with pytest.raises(DurableError, match="is at work in another run"):
            await Plumber(document).run()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "Give the graph a `name`"),
        ({"batch": True}, "made of parts of several batches"),
    ],
)
def test_what_cannot_be_durable_is_refused(server: str, change: dict[str, Any], words: str) -> None:
    """Before anything runs, with what to do instead."""
    document = line(server, 10, no_thirds, no_thirds)
    if "batch" in change:
        document["nodes"]["n0"]["properties"] = {"batch": {"size": 3}}
    else:
        del document["name"]
    with pytest.raises(GraphError, match=words):
        Plumber(document)


def test_a_node_that_takes_a_whole_stream_can_not_be_behind_a_durable_edge(server: str) -> None:
    """Nobody knows which of its items had their effect."""

    class All(StreamStep):
        def stream(self, items: Iterator[Any]) -> Any:
            return items

    document = line(server, 10, no_thirds, no_thirds, All)
    document["graph"]["n1"] = ["n2"]
    with pytest.raises(GraphError, match="node 'n2' runs in the driver, item by item"):
        Plumber(document)


class Unclosable:
    """Takes dead letters, and can't be exited."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        raise OSError("no")

    def __call__(self, letter: Any) -> None: ...


def test_a_dead_letter_step_that_fails_at_the_end_leaves_no_edge_held(
    server: str, redis: Any
) -> None:
    """The run fails, and the next one in this process goes on at once."""
    document = line(server, 10, no_thirds, no_thirds)
    document["defaults"] = {"on_error": "dead_letter"}
    with pytest.raises(StepError, match="while closing"):
        Plumber({**document, "dead_letter": {"func": Unclosable}}).run_sync()
    assert redis.keys("*:lease") == []
    assert Plumber({**document, "dead_letter": {"func": print}}).run_sync().ok
    assert redis.keys() == []


def test_a_running_graph_gains_no_durable_edge(server: str) -> None:
    """It would hold nothing, as the nodes of that run do not know of it: it is refused."""

    async def change() -> None:
        document = line(server, 1, no_thirds, no_thirds)
        plain = {**document, "graph": {"source": ["n0"], "n0": ["n1"], "n1": None}}
        async with Plumber(plain) as plumber:
            await plumber.apply(document)

    with pytest.raises(GraphError, match="n0 -> n1 can't become durable while the graph runs"):
        asyncio.run(change())


def test_a_replay_leaves_the_log_of_a_durable_edge_alone(server: str) -> None:
    """Letters are sent behind a node beside a live run, and are kept in their own file."""
    spec = GraphSpec.from_dict(line(server, 1, no_thirds, no_thirds, no_thirds))
    assert {edge.durable for edge in part_behind(spec, "n0", []).edges} == {None}


_KILLED = """
import os
from pipelines import Plumber

def effect(item):
    with open("effects", "a") as file:
        print(item, file=file)
    if item == {kill}:
        os.kill(os.getpid(), 9)

Plumber({{
    "name": "killed",
    "nodes": {{"source": {{"func": range(3000)}}, "a": {{"func": abs}}, "b": {{"func": effect}}}},
    "graph": {{"source": ["a"], "a": [{{"to": "b", "durable": "{url}"}}], "b": None}},
}}).run_sync()
"""


@pytest.mark.slow
def test_a_killed_driver_loses_nothing(server: str, redis: Any, tmp_path: Path) -> None:
    """After two kills in the middle a third run ends well; each item has had its effect."""
    codes = []
    for kill in (700, 2100, -1):
        script = textwrap.dedent(_KILLED.format(kill=kill, url=server))
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=50, check=False)
        codes.append(done.returncode)
    effects = [int(item) for item in (tmp_path / "effects").read_text().split()]
    assert codes == [-9, -9, 0]
    assert sorted(set(effects)) == list(range(3000))
    assert redis.keys() == []
