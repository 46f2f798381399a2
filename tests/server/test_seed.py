"""The seed's protocol on ``/``: a graph goes there, all of its results come back, and only they."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio
from running import until

from pipelines.server.app import Server
from pipelines.server.offer import Offer

ROOT = Path(__file__).parents[2]
SEED = Path(__file__).parent / "seed_demo"
TOKEN = "a token for the tests"
PAIR = re.compile(r"recv~>  ([0-9a-f-]{36}) ([0-9a-f-]{36})")

Join = Callable[..., Any]


def free_port() -> str:
    """Return a port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@contextmanager
def running(*command: str, port: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server until the end of the block; it listens when the block begins."""
    env = {**os.environ, "PORT": port, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, *command], env=env, text=True) as process:
        try:
            while not listens(port):
                assert process.poll() is None
            yield process
        finally:
            process.terminate()


def listens(port: str) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.mark.parametrize("server", ["the seed's", "demos/server"])
def test_the_seeds_own_client_works(server: str) -> None:
    """Unchanged, with the seed's own server script and with ours: twenty strings, each reversed."""
    port = free_port()
    script = [str(SEED / "server.py")] if server == "the seed's" else ["demos/server", port]
    with running(*script, port=port):
        client = [sys.executable, str(SEED / "client.py")]
        env = {**os.environ, "PORT": port}
        done = subprocess.run(client, env=env, capture_output=True, text=True, timeout=30)
    pairs = PAIR.findall(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert len({left for left, _ in pairs}) == 20
    assert all(left == right[::-1] for left, right in pairs)


async def run(client: Any, graph: Any) -> tuple[list[Any], tuple[str, Any]]:
    """Run a graph; return what came, and how it ended."""
    await client.emit("process_msg", graph, "/")
    items = []
    while True:
        _, event, data = await asyncio.wait_for(client.events.get(), 10)
        if event != "recv":
            return items, (event, data[0])
        assert len(data) == 1
        items.append(data[0])


async def test_every_result_comes_once_and_in_order(server: Server, join: Join) -> None:
    """Of many items none is lost."""
    client = await join(server, "/")
    graph = {"nodes": {"a": {"func": "count", "args": {"stop": 3_000}}}}
    items, ended = await run(client, graph)
    assert items == list(range(1, 3_001))
    assert ended == ("done", {"reason": "done"})


async def test_a_library_client_loses_nothing_by_polling(serve: Any, no_task_left: None) -> None:
    """Also a poll that gets many packets at once gets no more than the client reads."""
    got: list[int] = []
    ended = asyncio.Event()
    async with serve(open_seed=True) as server:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        client.on("recv", got.append)
        client.on("done", lambda data: ended.set())
        await client.connect(f"http://127.0.0.1:{server.port}", transports=["polling"])
        graph = {"nodes": {"a": {"func": "count", "args": {"stop": 500}}}}
        await client.emit("process_msg", graph)
        await asyncio.wait_for(ended.wait(), 10)
        await client.disconnect()
        await client.wait()
    assert got == list(range(1, 501))


async def test_results_come_as_json(serve: Any, join: Join, no_task_left: None) -> None:
    """Tuples as lists, NaN as null, what is no JSON as its repr; of nothing nothing is sent."""

    class Odd:
        def __repr__(self) -> str:
            return "<odd>"

    class Broken:
        def __repr__(self) -> str:
            raise ValueError("no")

    values = [(1, (2, 3)), math.nan, -math.inf, b"ab", {1: {2}, "x": None}, None, [None], Odd()]
    values += [2**70, "\ud800", True, {"nested": [Odd()]}, Broken(), [], "", 0, False]
    offer = Offer()
    offer.add("values", lambda: iter(values), kind="source")
    async with serve(offer=offer) as server:
        client = await join(server, "/")
        items, ended = await run(client, {"nodes": {"a": {"func": "values"}}})
        await client.close()
    assert items == [
        [1, [2, 3]],
        None,
        None,
        "b'ab'",
        {"1": "{2}", "x": None},
        [None],
        "<odd>",
        2**70,
        "\ud800",
        True,
        {"nested": ["<odd>"]},
        items[11],
        [],
        "",
        0,
        False,
    ]
    assert items[11].startswith("<Broken instance at ")
    assert ended[0] == "done"


@pytest.mark.parametrize("kind", ["long", "shared", "deep", "itself"])
async def test_a_result_that_is_too_large_ends_the_run(serve: Any, join: Join, kind: str) -> None:
    """Also one that is small in memory because it shares its parts, or holds itself."""

    def large() -> Any:
        value: Any = "x" * 200
        for _ in range(40):
            value = [value, value] if kind == "shared" else [value]
        if kind == "deep":
            for _ in range(100):
                value = [value]
        if kind == "itself":
            value.append(value)
        yield "x" * 20_000 if kind == "long" else value

    offer = Offer()
    offer.add("large", large)
    async with serve({"item_bytes": 10_000}, offer=offer) as server:
        client = await join(server, "/")
        items, (event, data) = await run(client, {"nodes": {"a": {"func": "large"}}})
        await client.close()
    assert (items, event) == ([], "error")
    assert "--limit-item-bytes" in str(data) or "nested deeper" in str(data)


@pytest.mark.parametrize(
    ("graph", "code"),
    [
        ({"nodes": {"a": {"coro": "os:system"}}}, "unknown-step"),
        ({"nodes": {"a": {}}}, "unfed-input"),
        ({}, "missing-key"),
        ([], "bad-request"),
        (None, "bad-request"),
        ("nodes: [", "syntax"),
        (7, "bad-request"),
    ],
    ids=str,
)
async def test_what_can_not_run_is_an_error(
    server: Server, join: Join, graph: Any, code: str
) -> None:
    """The event says what is wrong, as does the acknowledgement for who asks for one."""
    client = await join(server, "/")
    items, (event, data) = await run(client, graph)
    assert (items, event) == ([], "error")
    ack = await client.ask_raw(json.dumps(["process_msg", graph]), "/")
    assert ack == {"ok": False, "errors": data["errors"]}
    assert data["errors"][0]["code"] == code or code == "syntax"


async def test_a_graph_may_come_as_text(server: Server, join: Join) -> None:
    """As it stands in a file."""
    client = await join(server, "/")
    items, _ = await run(client, "nodes: {a: {func: words, args: {text: a b}}}")
    assert items == ["a", "b"]


async def test_a_run_that_fails_is_an_error(server: Server, join: Join) -> None:
    """Behind the results that came before it."""
    client = await join(server, "/")
    nodes = {"a": {"func": "words", "args": {"text": "a"}}, "b": {"func": "square"}}
    _, (event, data) = await run(client, {"nodes": nodes, "graph": {"a": ["b"]}})
    assert event == "error"
    assert data["errors"][0]["path"] == ["nodes", "b"]
    items, ended = await run(client, {"nodes": {"a": nodes["a"]}})
    assert (items, ended[0]) == (["a"], "done")


async def test_a_limit_is_an_error(serve: Any, join: Join, no_task_left: None) -> None:
    """So that nobody takes what came for all there is."""
    async with serve({"items": 10}) as server:
        client = await join(server, "/")
        _, (event, data) = await run(client, {"nodes": {"a": {"func": "count"}}})
        assert (event, data["errors"][0]["code"]) == ("error", "limit")
        await client.close()


async def test_a_second_graph_waits_for_the_end_of_the_first(server: Server, join: Join) -> None:
    """Until then it is refused."""
    client = await join(server, "/")
    await client.emit("process_msg", {"nodes": {"a": {"func": "ticks"}}}, "/")
    await client.emit("process_msg", {"nodes": {"a": {"func": "ticks"}}}, "/")
    assert (await client.next("error"))["errors"][0]["code"] == "limit"


async def test_leaving_ends_the_run_at_once(server: Server, join: Join) -> None:
    """Nobody could come back for it."""
    client = await join(server, "/")
    await client.emit("process_msg", {"nodes": {"a": {"func": "ticks"}}}, "/")
    await client.next("recv")
    assert len(server.runs) == 1
    await client.close()
    await until(lambda: not len(server.runs))


async def test_a_slow_reader_slows_its_graph_down(
    serve: Any, join: Join, no_task_left: None
) -> None:
    """Its source makes no more than fits between them; the rest comes when it reads again."""
    made = 0

    def numbers() -> Iterator[str]:
        nonlocal made
        for made in range(1, 2_001):
            yield f"{made} {'x' * 10_000}"

    offer = Offer()
    offer.add("numbers", numbers)
    async with serve(offer=offer) as server:
        client = await join(server, "/")
        wire = client.socket.get_extra_info("transport") or client.socket._conn.transport
        wire.pause_reading()
        await client.emit("process_msg", {"nodes": {"a": {"func": "numbers"}}}, "/")
        (connection,) = server._transport.eio.sockets
        await until(lambda: server._transport.unread(connection) >= 64)
        assert made < 2_000
        wire.resume_reading()
        items = [await client.next("recv") for _ in range(2_000)]
        assert [int(item.split()[0]) for item in items] == list(range(1, 2_001))
        await client.close()
