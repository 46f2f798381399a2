"""What strangers try: each is refused or bounded, and the server goes on answering the others."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import psutil
import pytest
from raw_client import RawClient, raw_client
from running import until

from pipelines.errors import ServerError
from pipelines.server.app import Server
from pipelines.server.judge import Judge
from pipelines.server.limits import Limits
from pipelines.server.offer import Offer
from pipelines.server.outputs import SomeItems
from pipelines.server.runs import Runs
from pipelines.server.session import Session

Join = Callable[..., Any]

TOKEN = "a token for the tests"
PATHS = ("/", "/assets/none.js", "/socket.io/?EIO=4&transport=polling")


def url_of(server: Server) -> str:
    """Return the address that clients connect to."""
    return f"http://127.0.0.1:{server.port}"


async def is_alive(server: Server, join: Join) -> bool:
    """Tell whether the server answers somebody else."""
    other = await join(server)
    return bool((await other.ask("hello", {"proto": 1}))["ok"])


@pytest.fixture
async def session(no_task_left: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


# 1, 2: steps and arguments.


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:run",
        "__import__",
        "builtins:eval",
        "pipelines.steps.files:read_lines",
        "read_lines",
        "http_get",
        "write_lines",
        "stdin",
        "glob",
        "pipelines.server.samples:count",
        "count.__globals__",
        "antigravity:fly",
        "",
        0,
        True,
        ["count"],
        {"a": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["func", "coro"])
async def test_only_offered_steps_can_be_named(client: RawClient, key: str, name: Any) -> None:
    """No dotted import, file, URL or shell step by default, and nothing is imported for a name."""
    before = set(sys.modules)
    graph = {"nodes": {"a": {key: name}}}
    errors = (await client.ask("run", {"graph": graph}))["errors"]
    assert errors[0]["path"] == ["nodes", "a", key]
    assert errors[0]["code"] in ("unknown-step", "wrong-type")
    assert not {module for module in set(sys.modules) - before if module in ("antigravity", "pty")}


async def test_a_dead_letter_step_must_be_offered_too(client: RawClient) -> None:
    """It is a step like any other."""
    graph = {"nodes": {"a": {"func": "count"}}, "dead_letter": {"func": "os:system"}}
    errors = (await client.ask("run", {"graph": graph}))["errors"]
    assert errors[0]["path"] == ["dead_letter", "func"]


async def test_no_edge_leads_to_a_redis_of_a_stranger(client: RawClient) -> None:
    """What lies there would be unpickled, and the server would connect to anywhere."""
    edge = {"to": "b", "durable": "redis://127.0.0.1:1/0"}
    graph = {"nodes": {"a": {"func": "count"}, "b": {"func": "count"}}, "graph": {"a": [edge]}}
    errors = (await client.ask("run", {"graph": graph}))["errors"]
    assert "not-offered" in [error["code"] for error in errors]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"seconds": "0.1"}, "wrong-type"),
        ({"seconds": True}, "wrong-type"),
        ({"seconds": None}, "wrong-type"),
        ({"seconds": [1]}, "wrong-type"),
        ({"seconds": -1}, "out-of-range"),
        ({"seconds": 1e9}, "out-of-range"),
        ({"secs": 1}, "unknown-arg"),
        ({"item": 1}, "unknown-arg"),
        ([1], "wrong-type"),
    ],
    ids=str,
)
async def test_arguments_are_held_to_their_schema(client: RawClient, args: Any, code: str) -> None:
    """Types and ranges as annotated, and no argument that is not there."""
    graph = {
        "nodes": {"a": {"func": "count"}, "b": {"func": "slow", "args": args}},
        "graph": {"a": ["b"]},
    }
    errors = (await client.ask("run", {"graph": graph}))["errors"]
    assert [error["code"] for error in errors] == [code]
    assert errors[0]["path"][:3] == ["nodes", "b", "args"]


# 3: who may come in.


@pytest.mark.parametrize("auth", [None, {}, {"token": ""}, {"token": "x"}, {"token": 1}, [], "x"])
@pytest.mark.parametrize("namespace", ["/", "/v1"])
async def test_without_the_token_nobody_comes_in(server: Server, namespace: str, auth: Any) -> None:
    """The answer is that, and nothing that is sent after it is heard."""
    async with raw_client(url_of(server)) as client:
        granted, said = await client.connect(namespace, auth)
        assert (granted, said) == (False, {"message": "unauthorized"})
        await client.emit("process_msg", {"nodes": {"a": {"func": "count"}}}, "/")
        await client.emit("run", {"graph": {"nodes": {"a": {"func": "count"}}}})
        granted, _ = await client.connect("/v1", {"token": TOKEN})
        assert granted
        assert not len(server.runs)


async def test_the_simple_protocol_can_be_open(serve: Any) -> None:
    """The editor's asks for the token all the same."""
    async with serve(open_seed=True) as server, raw_client(url_of(server)) as client:
        assert (await client.connect("/"))[0]
        assert not (await client.connect("/v1"))[0]


@pytest.mark.parametrize(
    "options",
    [
        {"host": "0.0.0.0", "token": ""},
        {"host": "0.0.0.0", "token": "short"},
        {"host": "0.0.0.0", "open_seed": True},
        {"host": "::", "token": ""},
    ],
    ids=str,
)
def test_others_reach_no_server_without_a_good_token(options: dict[str, Any]) -> None:
    """Such a server is not even made."""
    with pytest.raises(ServerError, match="can be reached from outside"):
        Server(**options)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "", "a b", "127.0.0.1.evil"]
)
@pytest.mark.parametrize("path", PATHS)
async def test_other_hosts_are_not_answered(
    server: Server, session: aiohttp.ClientSession, path: str, host: str
) -> None:
    """A name that somebody else had lead here (DNS rebinding): page, assets and polling."""
    headers = {"Host": host.format(port=server.port)}
    async with session.get(url_of(server) + path, headers=headers) as answer:
        assert answer.status == 421


async def test_other_hosts_get_no_websocket(server: Server) -> None:
    """Nor do they where the origin is the same as the host."""
    for headers in (
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with raw_client(url_of(server), **headers):
                pass
        assert caught.value.status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_other_origins_are_refused(
    server: Server, session: aiohttp.ClientSession, origin: str
) -> None:
    """Pages of other servers, of this machine's too, get neither polling nor a websocket."""
    for path in PATHS:
        async with session.get(url_of(server) + path, headers={"Origin": origin}) as answer:
            assert answer.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with raw_client(url_of(server), Origin=origin):
            pass
    assert caught.value.status == 403


async def test_the_page_itself_comes_in(server: Server) -> None:
    """By each name of this machine; an origin behind a proxy may speak https."""
    for name in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", "localhost:9999"):
        for origin in (f"http://{name}", f"https://{name}"):
            async with raw_client(url_of(server), Host=name, Origin=origin) as client:
                assert (await client.connect("/v1", {"token": TOKEN}))[0]


async def test_other_names_can_be_allowed(serve: Any, session: aiohttp.ClientSession) -> None:
    """Such as that of a proxy."""
    async with (
        serve(names=("pipes.example",)) as server,
        session.get(url_of(server), headers={"Host": "Pipes.Example"}) as answer,
    ):
        assert answer.status == 200


async def test_the_token_is_not_in_what_the_server_gives(
    server: Server, session: aiohttp.ClientSession
) -> None:
    """It stands in the link's fragment, which is never sent, and there are no cookies."""
    assert server.link == f"http://127.0.0.1:{server.port}/#token={quote(TOKEN)}"
    for path in PATHS:
        async with session.get(url_of(server) + path) as answer:
            assert TOKEN not in await answer.text()
            assert not answer.cookies


# 4: limits.


def many(count: int) -> dict[str, Any]:
    """Return a line of so many nodes."""
    names = [f"n{index}" for index in range(count)]
    nodes = {name: {"func": "show"} for name in names} | {"n0": {"func": "count"}}
    return {"nodes": nodes, "graph": {a: [b] for a, b in itertools.pairwise(names)}}


def dense(count: int) -> dict[str, Any]:
    """Return a graph in which each node leads to all that follow."""
    names = [f"n{index}" for index in range(count)]
    nodes = {name: {"func": "pair"} for name in names} | {"n0": {"func": "count"}}
    return {"nodes": nodes, "graph": {a: names[i + 1 :] for i, a in enumerate(names)}}


def one(**node: Any) -> dict[str, Any]:
    """Return a graph of a source and one more node."""
    nodes = {"a": {"func": "count"}, "b": {"func": "show", **node}}
    return {"nodes": nodes, "graph": {"a": ["b"]}}


@pytest.mark.parametrize(
    ("graph", "flag"),
    [
        (many(51), "--limit-nodes"),
        (dense(21), "--limit-edges"),
        (one(func="words", args={"text": "x" * 16_001}), "--limit-args-bytes"),
        (one(properties={"buffer_size": 1_001}), "--limit-queue"),
        (one(properties={"batch": {"size": 1_001}}), "--limit-queue"),
        ({**one(), "graph": {"a": [{"to": "b", "buffer_size": 1_001}]}}, "--limit-queue"),
        ({**one(), "defaults": {"buffer_size": 1_001}}, "--limit-queue"),
        (one(func="slow", properties={"concurrency": 101}), "--limit-concurrency"),
        (one(properties={"executor": "thread", "concurrency": 9}), "--limit-threads"),
        (one(properties={"executor": "process"}), "--limit-processes"),
    ],
    ids=[
        "nodes",
        "edges",
        "args",
        "queue",
        "batch",
        "edge",
        "defaults",
        "calls",
        "threads",
        "processes",
    ],
)
async def test_a_graph_beyond_a_limit_is_refused(
    client: RawClient, graph: dict[str, Any], flag: str
) -> None:
    """The error names the limit, and which flag sets it; validate says the same."""
    errors = (await client.ask("run", {"graph": graph}))["errors"]
    assert flag in str(errors)
    assert {error["code"] for error in errors} == {"limit"}
    assert (await client.ask("validate", {"graph": graph}))["problems"] == errors


async def test_graphs_at_the_limits_are_valid(client: RawClient) -> None:
    """As many as the limits say are no fault."""
    for graph in (many(50), dense(20), one(properties={"buffer_size": 1_000})):
        assert (await client.ask("validate", {"graph": graph}))["problems"] == []


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nnodes: {n: {func: count}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 64_001, "--limit-yaml-bytes"),
        (LAUGHS, "alias"),
        ("nodes: {n: !!python/object/apply:os.system [ls]}", "tag"),
        ("nodes: {n: {func: count}, n: {func: count}}", "'n'"),
        ("nodes: {n: {func: words, args: {text: '${HOME}'}}}", "variables are not filled in"),
        ("nodes: {n: {func: words, args: {text: '$$${HOME:x}'}}}", "variables are not filled in"),
        ("nodes: {__proto__: {func: count}}", "__proto__"),
        ("/etc/passwd", "mapping"),
        ("", "no graph"),
        ("{", "expected"),
        ("nodes: [" + "[" * 5_000, ""),
    ],
    ids=[
        "long",
        "aliases",
        "tag",
        "twice",
        "env",
        "dollar",
        "proto",
        "path",
        "empty",
        "open",
        "deep",
    ],
)
async def test_text_that_is_no_plain_graph_is_refused(
    client: RawClient, text: str, said: str
) -> None:
    """No aliases, tags or variables, and no file is opened for it."""
    ack = await client.ask("import", {"yaml": text})
    assert not ack["ok"]
    assert said in str(ack["errors"])


async def test_a_run_ends_after_its_time(serve: Any, join: Join) -> None:
    """Its reason is the limit, which the error names."""
    async with serve({"seconds": 0.1}) as server:
        client = await join(server)
        await client.ask("run", {"graph": {"nodes": {"a": {"func": "ticks"}}}})
        done = await client.next("done")
        assert done["reason"] == "limit"
        assert done["error"]["code"] == "limit"
        assert "--limit-seconds" in done["error"]["hint"]
        assert done["balance"]["ok"]
        await client.close()


async def test_a_run_ends_after_its_items(serve: Any, join: Join) -> None:
    """Of a source or by a step that gives many for one; as many as allowed are no fault."""

    def explode(item: Any) -> Any:
        yield from range(1_000)

    offer = Offer.allowing()
    offer.add("explode", explode)
    for nodes, reason in (
        ({"a": {"func": "count"}}, "limit"),
        ({"a": {"func": "count", "args": {"stop": 100}}}, "done"),
        ({"a": {"func": "count", "args": {"stop": 101}}}, "limit"),
        ({"a": {"func": "count", "args": {"stop": 1}}, "b": {"func": "explode"}}, "limit"),
        (
            {
                "a": {"func": "count", "args": {"stop": 3}},
                "b": {"func": "explode"},
                "c": {"func": "show"},
            },
            "limit",
        ),
    ):
        async with serve({"items": 100}, offer=offer) as server:
            client = await join(server)
            names = list(nodes)
            graph = {
                "nodes": nodes,
                "graph": {a: [b] for a, b in itertools.pairwise(names)},
            }
            assert (await client.ask("run", {"graph": graph}))["ok"]
            done = await client.next("done")
            assert done["reason"] == reason, nodes
            assert ("--limit-items" in str(done.get("error"))) == (reason == "limit")
            await client.close()


async def test_there_are_no_more_runs_than_allowed(serve: Any, join: Join) -> None:
    """Of one client, and of all; those of lost clients count until they have ended."""
    graph = {"graph": {"nodes": {"a": {"func": "ticks"}}}}
    async with serve({"runs": 2, "grace": 60}) as server:
        first, second, third = [await join(server) for _ in range(3)]
        assert (await first.ask("run", graph))["ok"]
        assert "--limit-client-runs" in str((await first.ask("run", graph))["errors"])
        ack = await second.ask("run", graph)
        assert ack["ok"]
        assert "--limit-runs" in str((await third.ask("run", graph))["errors"])
        await first.close()
        assert "--limit-runs" in str((await third.ask("run", graph))["errors"])
        await second.ask("stop", {"run": ack["run"], "mode": "now"})
        await second.next("done")
        assert (await third.ask("run", graph))["ok"]
        await second.close()
        await third.close()


async def test_a_run_that_has_ended_takes_no_room() -> None:
    """Also while it is put away, as those of many clients may be at the same time."""
    limits = Limits(runs=1)
    runs = Runs(limits)
    nodes = {"s": {"func": "count", "args": {"stop": 1}}, "o": {"func": "show"}}
    verdict = Judge(Offer.allowing(), limits).judge({"nodes": nodes, "graph": {"s": ["o"]}})
    runs.add("one", session := Session(verdict, SomeItems(), limits))
    await until(lambda: session.ended is not None)
    runs.release("one", grace=0)
    runs.check_room("another")
    await runs.close()


async def test_there_are_no_more_clients_than_allowed(serve: Any, join: Join) -> None:
    """One too many is told so; when another leaves there is room again."""
    async with serve({"sockets": 2}) as server:
        first, second = await join(server), await join(server)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await join(server)
        assert caught.value.status == 503
        async with (
            aiohttp.ClientSession() as session,
            session.get(url_of(server) + "/socket.io/?EIO=4&transport=polling") as answer,
        ):
            assert "--limit-sockets" in await answer.text()
        await first.close()
        await (await join(server)).close()
        await second.close()


async def test_there_are_no_more_connections_than_allowed(serve: Any, join: Join) -> None:
    """Also of those that ask for nothing: one too many is closed at once."""
    async with serve({"sockets": 1}) as server:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        ended = [asyncio.create_task(reader.read()) for reader, _ in idle]
        done, _ = await asyncio.wait(ended, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [b""]
        for _, writer in idle:
            writer.close()
        await asyncio.gather(*ended)
        assert await is_alive(server, join)


async def test_who_sends_too_many_events_is_hung_up_on(serve: Any, join: Join) -> None:
    """The last answer names the limit; others go on."""
    async with serve({"events_per_second": 5}) as server:
        client = await join(server)
        for _ in range(5):
            assert (await client.ask("validate", {"graph": {}}))["ok"]
        ack = await client.ask("validate", {"graph": {}})
        assert "--limit-events-per-second" in ack["errors"][0]["hint"]
        await client.closed()
        assert await is_alive(server, join)


async def test_a_flood_is_bounded(server: Server, join: Join) -> None:
    """Twenty thousand events at once cost the sender the connection, and nobody else anything."""
    client = await join(server)
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for _ in range(20_000):
            await client.emit("hello", {"proto": 1})
    await client.closed()
    assert await is_alive(server, join)


async def test_too_long_a_message_ends_the_connection(server: Server, join: Join) -> None:
    """It is not even read to its end."""
    client = await join(server)
    await client.emit("import", {"yaml": "x" * 300_000})
    await client.closed()
    assert await is_alive(server, join)


# 5: connections.


async def test_who_never_finishes_connecting_is_hung_up_on(serve: Any, join: Join) -> None:
    """Even if it answers pings; one that has connected stays."""
    async with serve({"handshake": 0.2}) as server:
        good = await join(server)
        async with raw_client(url_of(server)) as idle, raw_client(url_of(server)) as refused:
            await refused.connect("/v1", {"token": "wrong"})
            await idle.closed()
            await refused.closed()
        assert (await good.ask("hello", {"proto": 1}))["ok"]
        await good.close()


async def test_who_never_asks_for_anything_is_hung_up_on(serve: Any, join: Join) -> None:
    """A bare connection, and one that stops in the middle of a request."""
    async with serve({"handshake": 0.2}) as server:
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: local"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await writer.wait_closed()
        assert await is_alive(server, join)


async def test_a_polling_client_that_never_connects_is_forgotten(
    serve: Any, session: aiohttp.ClientSession
) -> None:
    """Its session is closed: what it asks later is refused."""
    async with serve({"handshake": 0.2}) as server:
        address = url_of(server) + "/socket.io/?EIO=4&transport=polling"
        async with session.get(address) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]

        async with session.get(f"{address}&sid={sid}") as answer:  # waits for a packet, or the end
            await answer.read()
        async with session.post(f"{address}&sid={sid}", data="3") as answer:
            assert answer.status == 400


@pytest.mark.parametrize(
    "frame",
    [
        b"binary",
        '459999999999-["hello",{"_placeholder":true,"num":0}]',
        '451-/v1,["hello",{"_placeholder":true,"num":0}]',
        "461-/v1,0[{}]",
        "4",
        "",
        "9",
        "x",
        "b4AAAA",
        "1" + "[" * 200_000,
        "4" + "[" * 200_000,
        "2" + "x" * 100,
    ],
    ids=lambda frame: repr(frame[:12]),
)
async def test_frames_that_are_no_text_of_ours_end_the_connection(
    server: Server, join: Join, frame: str | bytes
) -> None:
    """Binary ones, attachments that never come, and what is no packet."""
    client = await join(server)
    if isinstance(frame, bytes):
        await client.socket.send_bytes(frame)
    else:
        await client.send(frame)
    await client.closed()
    assert await is_alive(server, join)


async def test_a_reader_that_reads_nothing_grows_no_memory(serve: Any, join: Join) -> None:
    """Its graph makes no more than fits in the sockets, and then it is hung up on."""
    made = 0

    def flood() -> Any:
        nonlocal made
        while True:
            made += 1
            yield "x" * 10_000

    offer = Offer()
    offer.add("flood", flood)
    async with serve({"stall": 0.3}, offer=offer) as server:
        before = psutil.Process().memory_info().rss
        writer = await stalled_reader(server)
        await send_frame(writer, '42["process_msg",{"nodes":{"a":{"func":"flood"}}}]')
        await until(lambda: made)
        await until(lambda: len(server.runs) == 0)
        grown = psutil.Process().memory_info().rss - before
        assert grown < 20_000_000
        assert made < 5_000
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert await is_alive(server, join)


async def stalled_reader(server: Server) -> asyncio.StreamWriter:
    """Connect to `/` by hand, and read nothing any more; the socket's buffers are small."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_000)
    writer.write(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await send_frame(writer, f"40{json.dumps({'token': TOKEN})}")
    return writer


async def send_frame(writer: asyncio.StreamWriter, text: str) -> None:
    """Send one text frame, masked with zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    writer.write(b"\x81" + size + bytes(4) + data)
    await writer.drain()


# 6: each its own.


async def test_clients_see_nothing_of_each_other(server: Server, join: Join) -> None:
    """Each gets the frames and results of its own run only."""
    clients = [await join(server, "/") for _ in range(5)]
    for index, client in enumerate(clients):
        args = {"start": 1_000 * index, "stop": 1_000 * index + 99}
        graph = {"nodes": {"a": {"func": "count", "args": args}}}
        await client.emit("process_msg", graph, "/")
    for index, client in enumerate(clients):
        got = [await client.next("recv") for _ in range(100)]
        assert got == list(range(1_000 * index, 1_000 * index + 100))
        assert await client.next("recv", "done") == {"reason": "done"}


# 7: the browser.


@pytest.mark.parametrize("name", ["__proto__", "constructor", "prototype"])
async def test_names_that_mean_something_else_to_a_browser_are_refused(
    client: RawClient, name: str
) -> None:
    """As a node, an argument, deep in an argument, and in the edges."""
    for graph in (
        {"nodes": {name: {"func": "count"}}},
        {"nodes": {"a": {"func": "count", "args": {name: 1}}}},
        {"nodes": {"a": {"func": "count", "args": {"x": [{name: 1}]}}}},
        {"nodes": {"a": {"func": "count"}}, "graph": {name: ["a"]}},
        {"nodes": {"a": {"func": "count"}}, name: {}},
    ):
        errors = (await client.ask("run", {"graph": graph}))["errors"]
        assert errors[0]["code"] == "bad-name"
        assert not (await client.ask("export", {"graph": graph}))["ok"]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "\u200b", "x" * 65, " a", "\ud800"])
async def test_names_that_can_not_be_read_are_refused(client: RawClient, name: str) -> None:
    """Up to 64 characters that are seen."""
    errors = (await client.ask("validate", {"graph": {"nodes": {name: {"func": "count"}}}}))[
        "problems"
    ]
    assert errors


async def test_items_are_only_ever_text(client: RawClient) -> None:
    """Whatever they hold: it is shown, and cut."""
    evil = "<img src=x onerror=alert(1)>"
    graph = {"nodes": {"in": {}, "show": {"func": "show"}}, "graph": {"in": ["show"]}}
    run = (await client.ask("run", {"graph": graph}))["run"]
    items = [evil, "x" * 1_000, {"a": [evil]}, 10**4000, 2**60, None, [[[[[[[]]]]]]]]
    await client.ask("push", {"run": run, "node": "in", "items": items})
    await client.ask("stop", {"run": run, "mode": "drain"})
    texts = [item["text"] for item in (await client.next("frame"))["items"]]
    assert texts[0] == repr(evil)
    assert all(isinstance(text, str) and len(text) <= 200 for text in texts)
    assert len(texts) == len(items) - 1


async def test_every_answer_has_the_headers_that_bind_a_browser(
    server: Server, session: aiohttp.ClientSession
) -> None:
    """Also those that refuse."""
    for path, headers in (
        ("/", {}),
        ("/nothing", {}),
        ("/", {"Host": "evil.example"}),
        ("/", {"Origin": "null"}),
        ("/socket.io/?EIO=4&transport=polling", {}),
        ("/socket.io/?EIO=3", {}),
    ):
        async with session.get(url_of(server) + path, headers=headers) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_libraries_below_are_new_enough() -> None:
    """Older ones have holes that are known."""
    from importlib.metadata import version

    def parts(name: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version(name).split(".")[:3])

    assert parts("python-socketio") >= (5, 16, 2)
    assert parts("python-engineio") >= (4, 13, 2)
