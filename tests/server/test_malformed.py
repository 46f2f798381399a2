"""Whatever a client sends, it is answered, and the server goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_client import RawClient, raw_client

from pipelines.server.app import Server
from pipelines.server.limits import Limits

EVENTS = ["hello", "validate", "import", "export", "run", "credit", "stop", "push", "attach"]
KEYS = ["graph", "nodes", "func", "coro", "args", "properties", "run", "n", "mode", "node", "items"]
KEYS += ["yaml", "seq", "proto", "preview", "layout", "defaults", "runtime", "dead_letter", "to"]
WORDS = ["count", "show", "slow", "pair", "a", "b", "drain", "now", "all", "thread", "", "x-a"]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(KEYS + WORDS), st.text(max_size=5)), inner, max_size=5
        ),
    ),
    max_leaves=15,
)

#: Graphs that are nearly right, so that what is wrong lies deep.
NODES = st.fixed_dictionaries(
    {},
    optional={
        "func": st.one_of(st.sampled_from(WORDS), VALUES),
        "args": st.one_of(st.dictionaries(st.sampled_from(["stop", "seconds"]), SCALARS), VALUES),
        "properties": st.one_of(
            st.dictionaries(st.sampled_from(["concurrency", "batch", "executor", "join"]), VALUES),
            VALUES,
        ),
    },
)
NAMES = st.sampled_from(["a", "b", "c"])
GRAPHS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"nodes": st.dictionaries(NAMES, st.one_of(NODES, VALUES), max_size=3)},
        optional={
            "graph": st.one_of(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)), VALUES),
            "defaults": VALUES,
            "dead_letter": VALUES,
        },
    ),
)
DATA = st.one_of(
    VALUES,
    st.fixed_dictionaries({"graph": GRAPHS}),
    st.fixed_dictionaries({"yaml": st.one_of(st.text(), GRAPHS.map(json.dumps))}),
)
SENT = st.tuples(
    st.one_of(st.sampled_from(EVENTS), st.text(max_size=5)), st.lists(DATA, max_size=2)
)


def is_answer(ack: Any) -> bool:
    """Tell whether an acknowledgement has the form of one, and nothing of our inside in it."""
    if "Traceback" in json.dumps(ack) or not isinstance(ack.get("ok"), bool):
        return False
    return ack["ok"] or all(
        set(error) == {"path", "code", "message", "hint"}
        and error["message"]
        and error["code"] != "internal"
        for error in ack["errors"]
    )


async def answers(sent: list[tuple[str, list[Any]]]) -> list[Any]:
    """Return what a server answers to events of one client."""
    limits = Limits(events_per_second=10_000, client_runs=1_000, runs=1_000, seconds=1)
    async with Server(port=0, token="", limits=limits) as server:
        async with raw_client(f"http://127.0.0.1:{server.port}") as client:
            await client.connect()
            acks = [await client.ask_raw(json.dumps([event, *data])) for event, data in sent]
            assert (await client.ask("hello", {"proto": 1}))["ok"]
        return acks


@settings(max_examples=40)
@given(sent=st.lists(SENT, min_size=5, max_size=25))
def test_whatever_is_sent_is_answered(sent: list[tuple[str, list[Any]]]) -> None:
    """Any event with any data: in the agreed form, and never as a fault of the server."""
    for (event, data), ack in zip(sent, asyncio.run(answers(sent)), strict=True):
        assert is_answer(ack), (event, data, ack)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        " 7",
        "{}",
        "[]",
        "[[]]",
        "[null]",
        '[{"a":1}]',
        '["connect"]',
        '["disconnect"]',
        '["connect_error",{}]',
        '["hello",{"proto":1},{"proto":1}]',
        '["hello"]',
        '["hello",{"proto":NaN}]',
        '["hello",{"proto":1e999}]',
        '["hello",{"proto":1',
        "[" * 100_000,
        '["hello",' + "[" * 100_000,
        '["hello",{"proto":' + "9" * 10_000 + "}]",
        '["hello",{"proto":1.0}]',
        '["__init__",{}]',
        '["left",{}]',
        '["on_hello",{}]',
    ],
    ids=lambda data: data[:24],
)
async def test_what_is_no_event_is_refused(client: RawClient, data: str) -> None:
    """Names that the library below uses itself are none; text that is no JSON is not read."""
    ack = await client.ask_raw(data)
    assert not ack["ok"]
    assert is_answer(ack)
    assert (await client.ask("hello", {"proto": 1}))["ok"]


async def test_an_event_that_asks_for_no_answer_gets_none(client: RawClient) -> None:
    """It is handled all the same."""
    await client.emit("run", {"graph": {"nodes": {"a": {"func": "count", "args": {"stop": 1}}}}})
    assert (await client.next("done"))["reason"] == "done"
    await client.emit("nonsense", [])
    assert (await client.ask("hello", {"proto": 1}))["ok"]


async def test_another_version_is_refused(client: RawClient) -> None:
    """A page that was loaded long ago is told to load again."""
    ack = await client.ask("hello", {"proto": 2})
    assert ack["errors"][0]["code"] == "proto"


async def test_other_namespaces_are_refused(client: RawClient) -> None:
    """There are two."""
    assert not (await client.connect("/admin"))[0]


async def test_a_fault_of_the_server_is_no_traceback(
    server: Server,
    client: RawClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is logged, and the client is told that much."""

    def broken(*args: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("pipelines.server.judge.Judge.judge", broken)
    ack = await client.ask("validate", {"graph": {}})
    assert ack["errors"][0]["code"] == "internal"
    assert "secret" not in str(ack)
    assert "a secret" in caplog.text
