"""Runs over the editor's protocol: watched by credit, stopped, fed, lost and found again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from raw_client import RawClient
from running import until

from pipelines.server.app import Server
from pipelines.server.examples import EXAMPLES
from pipelines.server.offer import Offer

Join = Callable[..., Any]


def line(*steps: Any) -> dict[str, Any]:
    """Return a graph of one line; a step is a name, or a name and its arguments or node."""
    nodes = {f"n{index}": _node(step) for index, step in enumerate(steps)}
    names = list(nodes)
    return {"nodes": nodes, "graph": {a: [b] for a, b in itertools.pairwise(names)}}


def _node(step: Any) -> dict[str, Any]:
    if step is None:
        return {}
    if isinstance(step, str):
        return {"func": step}
    name, args, *properties = step
    return {"func": name, "args": args, "properties": properties[0] if properties else {}}


async def started(client: RawClient, graph: Any, **options: Any) -> str:
    """Start a graph and return the run's id."""
    ack = await client.ask("run", {"graph": graph, **options})
    assert ack["ok"], ack
    run: str = ack["run"]
    return run


async def frame_where(client: RawClient, run: str, condition: Callable[[Any], Any]) -> Any:
    """Ask for one frame after the other until a condition holds; return that one."""
    while True:
        assert (await client.ask("credit", {"run": run, "n": 1}))["ok"]
        frame = await client.next("frame")
        if condition(frame):
            return frame


async def test_the_first_example_shows_back_pressure(client: RawClient) -> None:
    """The queue before its slow node is full, the source blocked, and the bottleneck named."""
    hello = await client.ask("hello", {"proto": 1})
    graph = hello["examples"][0]["graph"]
    assert len(graph["nodes"]) == 3
    run = await started(client, graph)
    frame = await frame_where(client, run, lambda frame: frame["edges"][0][2] == 32)
    assert frame["edges"][0] == ["numbers", "slow", 32, 32]
    assert frame["nodes"]["numbers"]["state"] == "blocked"
    assert frame["bottleneck"] == "slow"
    assert frame["t"] < 2


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["name"]))
async def test_each_example_runs(client: RawClient, example: dict[str, Any]) -> None:
    """It is valid without a warning, gives something, and drains."""
    ack = await client.ask("validate", {"graph": example["graph"]})
    assert ack == {"ok": True, "problems": [], "warnings": []}
    ack = await client.ask("run", {"graph": example["graph"]})
    for node in ack["inputs"]:
        await client.ask("push", {"run": ack["run"], "node": node, "items": ["abc"]})
    await frame_where(client, ack["run"], lambda frame: frame["items"])
    assert (await client.ask("stop", {"run": ack["run"], "mode": "drain"}))["ok"]
    done = await client.next("done")
    assert done["reason"] == "drained"
    assert done["balance"]["ok"]


async def test_frames_come_only_with_credit(client: RawClient) -> None:
    """As many as were asked for come, and not one more until the last."""
    run = await started(client, line("count", "show"))
    await client.ask("credit", {"run": run, "n": 2})
    first, second = await client.next("frame"), await client.next("frame")
    assert (first["seq"], second["seq"]) == (1, 2)
    await client.ask("stop", {"run": run, "mode": "now"})
    assert (await client.next("frame", "done"))["seq"] == 3  # the last one, unasked
    assert (await client.next("frame", "done"))["reason"] == "cancelled"


async def test_credit_is_bounded(client: RawClient) -> None:
    """However often it is given, no more than four frames come; other numbers are refused."""
    run = await started(client, line("ticks", "show"))
    for _ in range(5):
        assert (await client.ask("credit", {"run": run, "n": 4}))["ok"]
    frames = [await client.next("frame") for _ in range(4)]
    await client.ask("stop", {"run": run, "mode": "now"})
    last = await client.next("frame")
    assert last["seq"] == frames[-1]["seq"] + 1 <= 10
    for wrong in (0, 5, -1, 1.5, True, "1", None):
        ack = await client.ask("credit", {"run": run, "n": wrong})
        assert ack["errors"][0]["path"] == ["n"]


async def test_counters_are_cumulative(client: RawClient) -> None:
    """A reader that skipped frames still learns all that happened."""
    run = await started(client, line(("count", {"stop": 50}), ("only", {"keep": "even"}), "show"))
    done = await client.next("done")
    assert done["run"] == run
    assert done["nodes"]["n1"] == {
        "state": "done",
        "received": 50,
        "emitted": 25,
        "skipped": 25,
        "dead_lettered": 0,
        "failed": 0,
        "in_flight": 0,
    }
    assert done["balance"] == {
        "received": 125,
        "passed_on": 100,
        "skipped": 25,
        "dead_lettered": 0,
        "failed": 0,
        "in_flight": 0,
        "emitted": 100,
        "ok": True,
    }


async def test_a_sample_of_the_results_is_shown(client: RawClient) -> None:
    """Fifty a frame, and how many more there were; nothing is waited for."""
    await started(client, line(("count", {"stop": 5_000}), "square"))
    frames = [await client.next("frame")]
    while (last := await client.next("frame", "done")).get("seq"):
        frames.append(last)
    shown = [item for frame in frames for item in frame["items"]]
    assert shown[0] == {"node": "n1", "text": "1"}
    assert all(len(frame["items"]) <= 50 for frame in frames)
    assert len(shown) + sum(frame["dropped"] for frame in frames) == 5_000


async def test_all_results_are_shown_to_one_who_asks_for_all(client: RawClient) -> None:
    """Each comes once and in order, fifty a frame, and the graph waits for the reader meanwhile."""
    graph = line(("count", {"stop": 170}, {"buffer_size": 10}), ("square", {}, {"buffer_size": 10}))
    run = await started(client, graph, preview="all")
    items: list[str] = []
    blocked = False
    while len(items) < 170:
        await client.ask("credit", {"run": run, "n": 1})
        frame = await client.next("frame")
        items += [item["text"] for item in frame["items"]]
        assert len(frame["items"]) <= 50
        assert frame["dropped"] == 0
        blocked = blocked or frame["nodes"]["n1"]["state"] == "blocked"
    assert items == [str(number * number) for number in range(1, 171)]
    assert blocked
    assert (await client.next("done"))["reason"] == "done"


async def test_without_credit_a_graph_waits_for_its_reader(client: RawClient) -> None:
    """A page that does nothing is back-pressure: no more is made than the queues hold."""
    run = await started(client, line("count", "show"), preview="all")
    full = await frame_where(client, run, lambda f: f["nodes"]["n1"]["state"] == "blocked")
    again = await client.ask("validate", {"graph": line("count")})
    assert again["ok"]
    assert full["nodes"]["n1"]["received"] < 1_000
    assert full["bottleneck"] is None  # it is the reader


async def test_a_failure_is_told_at_its_node(client: RawClient) -> None:
    """The error names the node, what was under way, and the class; there is no traceback."""
    await started(client, line(("words", {"text": "a b"}), "square", "show"))
    done = await client.next("done")
    assert done["reason"] == "failed"
    assert done["error"]["path"] == ["nodes", "n1"]
    assert done["error"]["code"] == "step-failed"
    assert done["error"]["message"].startswith("node 'n1' failed on item 'a': TypeError: ")
    assert done["nodes"]["n1"]["state"] == "failed"
    assert "TypeError" in done["nodes"]["n1"]["error"]
    assert "Traceback" not in str(done)


async def test_a_tolerated_failure_is_shown_too(client: RawClient) -> None:
    """The node goes on, and says what went wrong last."""
    flaky = ("flaky", {"share": 1}, {"on_error": "skip"})
    await started(client, line(("count", {"stop": 3}), flaky, "show"))
    done = await client.next("done")
    assert done["reason"] == "done"
    assert done["nodes"]["n1"]["skipped"] == 3
    assert done["nodes"]["n1"]["error"] == "RuntimeError: no luck with 3"


async def test_drain_lets_the_rest_finish(client: RawClient) -> None:
    """What was made is received by all, and nothing is left in a queue."""
    slow = ("slow", {"seconds": 0.001}, {"concurrency": 1, "buffer_size": 20})
    run = await started(client, line("count", slow, "show"))
    await frame_where(client, run, lambda frame: frame["edges"][0][2] == 20)
    await client.ask("stop", {"run": run, "mode": "drain"})
    done = await client.next("done")
    assert done["reason"] == "drained"
    made = done["nodes"]["n0"]["emitted"]
    assert done["nodes"]["n2"]["emitted"] == made >= 20


async def test_a_draining_run_says_so(client: RawClient) -> None:
    """Its nodes are draining until they are done."""
    slow = ("slow", {"seconds": 2}, {"concurrency": 1})
    run = await started(client, line("count", slow, "show"))
    await client.ask("stop", {"run": run, "mode": "drain"})
    await frame_where(client, run, lambda frame: frame["nodes"]["n1"]["state"] == "draining")
    await client.ask("stop", {"run": run, "mode": "now"})
    assert (await client.next("done"))["reason"] == "cancelled"


async def test_items_can_be_pushed_while_there_is_room(client: RawClient) -> None:
    """Those taken are acknowledged; of those that are not it is said how many were."""
    stuck = ("slow", {"seconds": 2}, {"concurrency": 1, "buffer_size": 5})
    run = await started(client, line(None, stuck))
    pushed = {"run": run, "node": "n0", "items": list(range(100))}
    ack = await client.ask("push", pushed)
    while ack["ok"]:
        ack = await client.ask("push", pushed)
    assert ack["errors"][0]["code"] == "full"
    assert ack["errors"][0]["path"] == ["items", ack["accepted"]]
    await client.ask("stop", {"run": run, "mode": "now"})
    done = await client.next("done")
    assert done["balance"]["ok"]


async def test_every_pushed_item_arrives_once(client: RawClient) -> None:
    """What was not taken is pushed again by the client, and nothing is lost or doubled."""
    slow = ("slow", {"seconds": 0.001}, {"concurrency": 1, "buffer_size": 3})
    run = await started(client, line((None), slow), preview="all")
    left, got = list(range(150)), []
    while left:
        ack = await client.ask("push", {"run": run, "node": "n0", "items": left[:100]})
        left = left[ack["accepted"] :]
        await client.ask("credit", {"run": run, "n": 1})
        got += (await client.next("frame"))["items"]
    await client.ask("stop", {"run": run, "mode": "drain"})
    await client.ask("credit", {"run": run, "n": 1})
    while (last := await client.next("frame", "done")).get("seq"):
        got += last["items"]
        await client.ask("credit", {"run": run, "n": 1})
    assert [item["text"] for item in got] == [str(number) for number in range(150)]


async def test_a_push_to_another_node_is_refused(client: RawClient) -> None:
    """Only an input node without a step takes items, and none after its end."""
    run = await started(client, line(None, "show"))
    ack = await client.ask("push", {"run": run, "node": "n1", "items": [1]})
    assert ack["errors"][0]["code"] == "no-input"
    await client.ask("stop", {"run": run, "mode": "drain"})
    ack = await client.ask("push", {"run": run, "node": "n0", "items": [1]})
    assert ack["errors"][0]["code"] == "ended"


async def test_a_client_starts_one_run_after_the_other(client: RawClient) -> None:
    """A second one is refused while the first goes on, and taken once that has ended."""
    run = await started(client, line("ticks"))
    ack = await client.ask("run", {"graph": line("ticks")})
    assert ack["errors"][0]["code"] == "limit"
    assert "--limit-client-runs" in ack["errors"][0]["hint"]
    await client.ask("stop", {"run": run, "mode": "now"})
    await client.next("done")
    assert await started(client, line("ticks")) != run
    assert (await client.ask("stop", {"run": run, "mode": "now"}))["errors"][0]["code"] == "gone"


# Lost connections.


@pytest.fixture
async def patient(serve: Any, no_task_left: None) -> AsyncIterator[Server]:
    """Run a server that keeps runs for as long as a test may take."""
    async with serve({"grace": 60}) as server:
        yield server


async def test_a_lost_run_is_found_again(patient: Server, join: Join) -> None:
    """It goes on meanwhile; a snapshot comes, and further frames by credit."""
    first = await join(patient)
    run = await started(first, line(("ticks", {"every": 0.05}), "show"))
    before = await frame_where(first, run, lambda frame: frame["items"])
    await first.close()
    second = await join(patient)
    ack = await second.ask("attach", {"run": run, "seq": before["seq"]})
    assert ack["ok"]
    assert ack["inputs"] == []
    assert ack["graph"]["nodes"]["n1"] == {"func": "show"}
    assert ack["frame"]["nodes"]["n0"]["received"] >= before["nodes"]["n0"]["received"]
    frame = await frame_where(second, run, lambda frame: frame["items"])
    assert frame["seq"] > ack["frame"]["seq"]
    await second.ask("stop", {"run": run, "mode": "now"})
    assert (await second.next("done"))["reason"] == "cancelled"


async def test_no_result_is_lost_with_the_connection(patient: Server, join: Join) -> None:
    """Frames that were sent and not seen come again: every item is there once."""
    first = await join(patient)
    run = await started(first, line(("count", {"stop": 230}), "show"), preview="all")
    seen = await frame_where(first, run, lambda frame: len(frame["items"]) == 50)
    await first.ask("credit", {"run": run, "n": 2})  # the frames for which nobody sees
    await first.close()
    second = await join(patient)
    ack = await second.ask("attach", {"run": run, "seq": seen["seq"]})
    items = seen["items"] + ack["frame"]["items"]
    while len(items) < 230:
        await second.ask("credit", {"run": run, "n": 1})
        items += (await second.next("frame"))["items"]
    assert [item["text"] for item in items] == [str(number) for number in range(1, 231)]


async def test_a_run_that_ended_meanwhile_is_told_again(patient: Server, join: Join) -> None:
    """The snapshot is its last one, and `done` follows."""
    first = await join(patient)
    run = await started(first, line(("count", {"stop": 3}), "show"))
    await first.close()
    await until(lambda: not len(patient.runs))
    second = await join(patient)
    ack = await second.ask("attach", {"run": run, "seq": 0})
    assert [item["text"] for item in ack["frame"]["items"]] == ["1", "2", "3"]
    assert (await second.next("done"))["reason"] == "done"


async def test_a_run_ends_when_nobody_comes_back(
    serve: Any, join: Join, no_task_left: None
) -> None:
    """After the grace time it is cancelled, and nothing of it is left."""
    async with serve({"grace": 0.1}) as server:
        before = asyncio.all_tasks()
        client = await join(server)
        run = await started(client, line("ticks", "show"))
        await client.close()
        await until(lambda: not len(server.runs))
        again = await join(server)
        assert (await again.ask("attach", {"run": run}))["errors"][0]["code"] == "gone"
        await again.close()
        await until(
            lambda: not [t for t in asyncio.all_tasks() - before if "pipelines" in t.get_name()]
        )


async def test_a_run_that_has_its_client_is_not_given_away(server: Server, join: Join) -> None:
    """Not even to one who knows its secret name."""
    first, second = await join(server), await join(server)
    run = await started(first, line("ticks"))
    ack = await second.ask("attach", {"run": run, "seq": 0})
    assert ack["errors"][0]["code"] == "in-use"
    for event, more in (
        ("stop", {"mode": "now"}),
        ("credit", {"n": 1}),
        ("push", {"node": "n0", "items": [1]}),
    ):
        ack = await second.ask(event, {"run": run, **more})
        assert ack["errors"][0]["code"] == "gone"
    await first.ask("stop", {"run": run, "mode": "now"})
    assert (await first.next("done"))["reason"] == "cancelled"
    assert second.events.empty()


async def test_a_stopped_server_leaves_no_run(serve: Any, join: Join, no_task_left: None) -> None:
    """Stopping it ends all runs, those too whose client was lost, and closes all connections."""
    async with serve({"grace": 60}) as server:
        here, gone = await join(server), await join(server)
        await started(here, line("ticks"))
        await started(gone, line("ticks"))
        await gone.close()
    assert not len(server.runs)
    await here.closed()


# Steps of one's own.


async def test_steps_of_the_seeds_form_are_offered_too(serve: Any, join: Join) -> None:
    """Whichever key the graph uses: the server knows what they are."""

    async def source(self: Any, output_q: Any) -> None:
        for number in range(3):
            await output_q.put(number)

    async def double(self: Any, q_elt: tuple[int]) -> int:
        return 2 * q_elt[0]

    offer = Offer()
    offer.add("source", source)
    offer.add("double", double)
    async with serve(offer=offer) as server:
        client = await join(server)
        steps = (await client.ask("hello", {"proto": 1}))["steps"]
        assert [(step["name"], step["kind"]) for step in steps] == [
            ("source", "source"),
            ("double", "step"),
        ]
        for key in ("func", "coro"):
            nodes = {"a": {key: "source"}, "b": {key: "double"}}
            await started(client, {"nodes": nodes, "graph": {"a": ["b"]}})
            assert [item["text"] for item in (await client.next("frame"))["items"]] == [
                "0",
                "2",
                "4",
            ]
            assert (await client.next("done"))["reason"] == "done"
        await client.close()


async def test_a_step_that_exits_the_program_ends_its_run_alone(serve: Any, join: Join) -> None:
    """The server goes on for the others."""

    def leave(item: Any) -> None:
        raise SystemExit(3)

    offer = Offer.allowing()
    offer.add("leave", leave)
    async with serve(offer=offer) as server:
        client = await join(server)
        await started(client, line(("count", {"stop": 1}), "leave"))
        assert (await client.next("done"))["reason"] == "failed"
        assert (await client.ask("hello", {"proto": 1}))["ok"]
        await client.close()


async def test_defaults_of_a_graph_are_not_for_its_outputs(client: RawClient) -> None:
    """Batches, rates and time-outs that hold for all nodes change nothing of what is shown."""
    graph = line(("count", {"stop": 4}), "show")
    graph["defaults"] = {"batch": {"size": 2}, "timeout": "1s", "on_error": "skip"}
    await started(client, graph)
    assert [item["text"] for item in (await client.next("frame"))["items"]] == ["[1, 2]", "[3, 4]"]
    assert (await client.next("done"))["reason"] == "done"


async def test_a_last_node_keeps_the_order_of_its_effects(serve: Any, join: Join) -> None:
    """It has one call at a time, as without a server, though its results are taken."""
    running, most = 0, 0

    async def store(item: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return item

    offer = Offer.allowing()
    offer.add("store", store)
    async with serve(offer=offer) as server:
        client = await join(server)
        await started(client, line(("count", {"stop": 50}), "store"))
        assert (await client.next("done"))["nodes"]["n1"]["emitted"] == 50
        await client.close()
    assert most == 1


async def test_a_fault_of_the_server_ends_the_run(
    client: RawClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client hears of it, and may start another one."""

    def broken(*args: object) -> None:
        raise RuntimeError("a secret")

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr("pipelines.server.frames.edges_of", broken)
        run = await started(client, line("ticks", "show"))
        await client.ask("credit", {"run": run, "n": 1})
        done = await client.next("done")
    assert (done["reason"], done["error"]["code"]) == ("failed", "internal")
    assert "secret" not in str(done)
    assert "a secret" in caplog.text
    await started(client, line(("count", {"stop": 1})))
    assert (await client.next("done"))["reason"] == "done"


async def test_threads_work_for_steps_of_a_server_too(client: RawClient) -> None:
    """Within their limit, and in order."""
    thread = {"executor": "thread", "concurrency": 2}
    graph = line(("count", {"stop": 30}), ("square", {}, thread), ("show", {}, thread))
    await started(client, graph)
    items = (await client.next("frame"))["items"]
    while (last := await client.next("frame", "done")).get("seq"):
        items += last["items"]
    assert last["reason"] == "done"
    assert [item["text"] for item in items] == [str(n * n) for n in range(1, 31)]


async def test_a_running_graph_is_changed(client: RawClient) -> None:
    """What is pushed goes on through the new graph, and what nobody sees is not told of."""
    graph = {"nodes": {"in": {}, "show": {"func": "show"}}, "graph": {"in": ["show"]}}
    run = await started(client, graph, preview="all")
    other = {
        "nodes": {"in": {}, "turn": {"func": "reverse"}, "show": {"func": "show"}, "too": {}},
        "graph": {"in": ["turn"], "turn": ["show"], "too": ["show"]},
    }
    other["nodes"]["show"] = {"func": "show", "properties": {"aggregate_inputs": False}}
    await client.ask("push", {"run": run, "node": "in", "items": ["abc"]})
    assert await client.ask("apply", {"run": run, "graph": other}) == {
        "ok": True,
        "changed": {
            "added": ["turn", "too"],
            "removed": [],
            "replaced": ["show"],
            "edges_added": [["in", "turn"], ["turn", "show"], ["too", "show"]],
            "edges_removed": [["in", "show"]],
        },
    }
    await client.ask("push", {"run": run, "node": "in", "items": ["abc"]})
    await client.ask("push", {"run": run, "node": "too", "items": ["def"]})
    texts: list[str] = []
    while len(texts) < 3:
        await client.ask("credit", {"run": run, "n": 1})
        frame = await client.next("frame")
        texts += [item["text"] for item in frame["items"]]
        nodes = frame["nodes"]
    assert sorted(texts) == ["'abc'", "'cba'", "'def'"]
    assert list(nodes) == ["in", "turn", "show", "too"]
    assert nodes["in"]["received"] == 2
    assert (await client.ask("stop", {"run": run, "mode": "drain"}))["ok"]
    done = await client.next("done")
    assert done["balance"]["ok"]


async def test_what_can_not_be_changed_is_told(client: RawClient) -> None:
    """All of it at once, and the run goes on as it was."""
    graph = {"nodes": {"in": {}, "show": {"func": "show"}}, "graph": {"in": ["show"]}}
    run = await started(client, graph)
    other = {**graph, "runtime": {"max_failures": 3}}
    ack = await client.ask("apply", {"run": run, "graph": other})
    assert [each["code"] for each in ack["errors"]] == ["not-live"]
    faulty = {**graph, "nodes": {"in": {}, "show": {"func": "shw"}}}
    ack = await client.ask("apply", {"run": run, "graph": faulty})
    assert [each["code"] for each in ack["errors"]] == ["unknown-step"]
    ack = await client.ask("push", {"run": run, "node": "in", "items": ["abc"]})
    assert ack["accepted"] == 1
    assert (await client.ask("stop", {"run": run, "mode": "drain"}))["ok"]
    assert (await client.next("done"))["nodes"]["show"]["received"] == 1
    ack = await client.ask("apply", {"run": run, "graph": other})
    assert not ack["ok"]
