"""The steps on Redis streams, on a real server."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis_server
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_server import line_to
from running import turns

from pipelines import Plumber, StepError
from pipelines.registry import steps
from pipelines.steps.redis import Entry, RedisError, RedisUnreachableError, redis_read
from pipelines.steps.redis.connecting import without_password
from pipelines.steps.redis.entries import decoded, encoded


def write(url: str, items: Any, **args: Any) -> dict[str, Any]:
    """Return a graph that writes items."""
    properties = args.pop("properties", {})
    args = {"url": url, "stream": "s", **args}
    nodes = {
        "items": {"func": items},
        "write": {"func": "redis_write", "args": args, "properties": properties},
    }
    return {"nodes": nodes, "graph": {"items": ["write"]}}


def read(url: str, work: Callable[[Any], Any], ack: bool = True, **args: Any) -> dict[str, Any]:
    """Return a graph that reads entries, does some work on each, and acknowledges it then."""
    args = {"url": url, "stream": "s", **({} if args.keys() & {"idle", "end"} else EMPTY), **args}
    nodes: dict[str, Any] = {
        "read": {"func": "redis_read", "args": args},
        "work": {"func": work},
    }
    graph = {"read": ["work"]}
    if ack:
        nodes["ack"] = {"func": "redis_ack", "args": {"url": url}}
        graph = {"read": ["work", "ack"], "work": ["ack"]}
    return {"nodes": nodes, "graph": graph}


EMPTY = {"stop_when_empty": True}


async def entries_of(url: str, **args: Any) -> list[Entry]:
    """Return the entries that a reader gives."""
    args = {"url": url, "stream": "s", **({} if args.keys() & {"idle", "end"} else EMPTY), **args}
    return [entry async for entry in redis_read(**args)]


async def seen(url: str, **args: Any) -> list[int]:
    """Return the numbers that a reader gives."""
    return [entry["n"] for entry in await entries_of(url, **args)]


def fill(client: Any, numbers: Any, stream: str = "s") -> None:
    """Put numbers into a stream."""
    for number in numbers:
        client.xadd(stream, {"data": json.dumps({"n": number})})


def pending(client: Any) -> int:
    """Return how many entries of the usual group are pending."""
    return int(client.xpending("s", "plumber")["pending"])


# What is written and read.


async def test_what_is_written_is_read(url: str, client: Any) -> None:
    """Mappings come back as they were, any other value under the field `data`, in order."""
    items = [{"a": 1, "b": [None, 1.5, "ü"]}, {}, {"data": 2}, 5, "text", [1, 2], None]
    await Plumber(write(url, items[:5])).run()
    await Plumber(write(url, [[[1, 2]], None])).run()
    expected = [item if isinstance(item, dict) else {"data": item} for item in items]
    found = await entries_of(url)
    assert found == expected
    assert [entry.id for entry in found] == [name for name, _ in client.xrange("s")]


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.none() | st.floats(allow_nan=False) | st.lists(st.text())))
def test_any_mapping_survives(item: dict[str, Any]) -> None:
    """Whatever JSON can say, and whatever the text, but for text that is no Unicode."""
    try:
        raw = encoded(item)
    except RedisError:
        with pytest.raises(UnicodeEncodeError):
            json.dumps(item, ensure_ascii=False).encode()
    else:
        assert decoded({b"data": raw}) == item


@pytest.mark.parametrize(
    ("fields", "item"),
    [
        ({"a": "1", "b": "x"}, {"a": "1", "b": "x"}),
        ({"data": "1", "b": "x"}, {"data": "1", "b": "x"}),
        ({"data": "no JSON"}, {"data": "no JSON"}),
        ({"data": b"\xff"}, {"data": b"\xff"}),
        ({"data": "[" * 100_000}, {"data": "[" * 100_000}),
        ({b"\xff": "1"}, {"b'\\xff'": "1"}),
        ({"": ""}, {"": ""}),
    ],
    ids=range(7),
)
async def test_what_others_wrote_is_read(
    url: str, client: Any, fields: dict[Any, Any], item: dict[str, Any]
) -> None:
    """Fields are text, `data` alone is JSON where it can be, and nothing is refused."""
    client.xadd("s", fields)
    assert await entries_of(url) == [item]


def test_an_entry_travels_to_other_processes() -> None:
    """Pickled it keeps what it holds, and what it is."""
    entry = Entry({"a": 1}, "1-0", "s", "g")
    again = pickle.loads(pickle.dumps(entry))
    assert (again, again.id, again.stream, again.group) == (entry, "1-0", "s", "g")
    assert json.dumps(again) == '{"a": 1}'


async def test_a_batch_is_written_in_one_go(url: str, client: Any) -> None:
    """A list that the node gathers is an entry for each item."""
    await Plumber(write(url, range(5), properties={"batch": {"size": 2}})).run()
    assert [fields for _, fields in client.xrange("s")] == [{"data": str(n)} for n in range(5)]
    with pytest.raises(StepError, match="type set"):
        await Plumber(write(url, [1, {2}], properties={"batch": {"size": 2}})).run()
    assert client.xlen("s") == 5


async def test_many_items_at_a_time(url: str, client: Any) -> None:
    """More calls at once than there are connections wait for one."""
    await Plumber(write(url, range(500), properties={"concurrency": 100})).run()
    assert client.xlen("s") == 500


async def test_items_go_on(url: str) -> None:
    """A writer gives its items on, duplicates too, so that they can be acknowledged behind it."""
    taken: list[Any] = []
    graph = write(url, [{"n": 1}, {"n": 1}], key="n")
    graph["nodes"]["take"] = {"func": taken.append}
    graph["graph"]["write"] = ["take"]
    await Plumber(graph).run()
    assert taken == [{"n": 1}, {"n": 1}]


async def test_a_long_stream_is_cut(url: str, client: Any) -> None:
    """About `maxlen` entries stay."""
    await Plumber(write(url, range(2000), maxlen=10, properties={"batch": {"size": 100}})).run()
    assert 10 <= client.xlen("s") <= 200


# Duplicates.


@pytest.mark.parametrize("properties", [{}, {"batch": {"size": 4}}, {"concurrency": 8}])
async def test_duplicates_are_left_out(
    url: str, client: Any, properties: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever way they come, in one run or in two, and the log says how many there were."""
    caplog.set_level("INFO")
    items = [{"order": {"id": n % 5}} for n in range(20)]
    for _ in range(2):
        await Plumber(write(url, items, key="order.id", properties=properties)).run()
    assert client.xlen("s") == 5
    assert [r.getMessage() for r in caplog.records if "duplicates" in r.getMessage()] == [
        "s: 15 duplicates left out",
        "s: 20 duplicates left out",
    ]


async def test_keys_are_forgotten_some_time(url: str, client: Any) -> None:
    """What remembers a key has an end, and another stream remembers its own."""
    await Plumber(write(url, [{"n": 1}], key="n", remember=5)).run()
    await Plumber(write(url, [{"n": 1}, {"n": "1"}], key="n", stream="t")).run()
    [memory] = client.keys("{s}:seen:*")
    assert 0 < client.pttl(memory) <= 5000
    assert client.xlen("t") == 2


async def test_what_could_not_be_written_is_not_remembered(url: str, client: Any) -> None:
    """Or it would be taken for a duplicate the next time."""
    client.set("s", "text")
    with pytest.raises(StepError, match=r"'s' at redis://.* is no stream"):
        await Plumber(write(url, [{"n": 1}], key="n")).run()
    assert client.keys() == ["s"]


async def test_an_item_whose_answer_was_lost_is_written_once(url: str, client: Any) -> None:
    """With a key it may be tried again without harm."""
    retry = {"attempts": 3, "backoff": 0, "on": ["RedisUnreachableError"]}
    async with line_to(url) as line:

        def items() -> Iterator[dict[str, int]]:
            yield {"n": 1}
            line.answers_lost = 1
            yield {"n": 2}

        source = {"func": items}
        graph = write(line.url, [], key="n", properties={"retry": retry})
        graph["nodes"]["items"] = source
        graph["nodes"]["write"]["properties"]["buffer_size"] = 1
        report = await Plumber(graph).run()
    assert report.nodes["write"].retried > 0
    assert client.xlen("s") == 2


# Acknowledging.


async def test_only_what_had_its_effect_is_acknowledged(url: str, client: Any) -> None:
    """A run that fails leaves its items to the next one, and nothing else."""
    fill(client, range(10))
    done: list[int] = []
    errors = [OSError("out of paper")]

    def work(entry: Entry) -> int:
        if entry["n"] == 6 and errors:
            raise errors.pop()
        done.append(entry["n"])
        return 0

    graph = read(url, work, consumer="me", count=1)
    with pytest.raises(StepError, match="out of paper"):
        await Plumber(graph).run()
    left = pending(client)
    assert left > 0
    await Plumber(graph).run()
    assert pending(client) == 0
    assert set(done) == set(range(10))
    assert len(done) <= 10 + left


async def test_an_entry_that_goes_along_is_acknowledged(url: str, client: Any) -> None:
    """No join is needed where the step gives its item on, in batches too."""
    fill(client, range(10))
    graph = read(url, lambda entry: entry)
    graph["graph"] = {"read": ["work"], "work": ["ack"]}
    graph["nodes"]["ack"]["properties"] = {"batch": {"size": 3}}
    await Plumber(graph).run()
    assert (pending(client), client.xlen("s")) == (0, 10)


async def test_acknowledged_entries_can_be_deleted(url: str, client: Any) -> None:
    """With `delete` the stream keeps only what is to be done."""
    fill(client, range(10))
    graph = read(url, lambda entry: 0)
    graph["nodes"]["ack"]["args"]["delete"] = True
    await Plumber(graph).run()
    assert client.xlen("s") == 0


async def test_skipped_entries_stay_pending(url: str, client: Any) -> None:
    """What its node let fail is not acknowledged."""
    fill(client, range(4))
    graph = read(url, lambda entry: 1 / entry["n"])
    graph["nodes"]["work"]["properties"] = {"on_error": "skip"}
    await Plumber(graph).run()
    assert pending(client) == 1
    assert await seen(url, claim_after=0) == [0]


async def test_acknowledged_on_reading_nothing_is_repeated(url: str, client: Any) -> None:
    """At most once: a run that fails has taken what it was sent, and the next one has the rest."""
    fill(client, range(10))
    sent: list[int] = []

    def work(entry: Entry) -> None:
        sent.append(entry["n"])
        raise OSError("out of paper")

    graph = read(url, work, ack=False)
    graph["nodes"]["read"]["args"]["ack"] = "on_read"
    with pytest.raises(StepError):
        await Plumber(graph).run()
    rest = await seen(url, ack="on_read")
    assert sent == [0]
    assert rest == list(range(10 - len(rest), 10))
    assert pending(client) == 0


async def test_entries_of_elsewhere_are_noticed(
    url: str, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Acknowledging what is not pending there changes nothing, and is logged."""
    entries = [Entry({}, "1-0", "t", "g"), Entry({}, "2-0", "t", "g")]
    nodes = {"e": {"func": entries}, "ack": {"func": "redis_ack", "args": {"url": url}}}
    await Plumber({"nodes": nodes, "graph": {"e": ["ack"]}}).run()
    assert "2 entries were not pending" in caplog.text


async def test_an_item_without_an_entry_is_refused(url: str, client: Any) -> None:
    """The error says how the graph must be."""
    nodes = {"e": {"func": [1]}, "ack": {"func": "redis_ack", "args": {"url": url}}}
    with pytest.raises(StepError, match="lead an edge from the source"):
        await Plumber({"nodes": nodes, "graph": {"e": ["ack"]}}).run()


# The consumers of a group.


async def test_each_entry_goes_to_one_consumer(url: str, client: Any) -> None:
    """Two runs of one group share the work; one of another group gets all of it."""
    fill(client, range(300))
    done: list[int] = []
    graph = read(url, lambda entry: done.append(entry["n"]), count=7)
    await asyncio.gather(Plumber(graph).run(), Plumber(graph).run())
    assert sorted(done) == list(range(300))
    assert await seen(url, group="other", ack="on_read") == list(range(300))


async def test_a_dead_consumer_is_replaced(url: str, client: Any) -> None:
    """What it had and did not acknowledge is taken over, not before the time, by one that lives."""
    fill(client, range(250))
    client.xgroup_create("s", "plumber", "0")
    client.xreadgroup("plumber", "dead", {"s": ">"}, 120)
    assert await seen(url, ack="on_read") == list(range(120, 250))
    assert await seen(url, ack="on_read", claim_after=0, count=50) == list(range(120))
    assert pending(client) == 0


async def test_no_consumer_takes_over_from_itself(url: str, client: Any) -> None:
    """However long its items take, also where others have something to take over."""
    fill(client, range(20))
    assert await seen(url, claim_after=0, count=3, consumer="me") == list(range(20))
    fill(client, range(20, 30))
    client.xreadgroup("plumber", "dead", {"s": ">"}, 5)
    found = await seen(url, claim_after=0, count=3, consumer="new")
    assert sorted(found) == list(range(30))
    assert len(found) == 30


async def test_a_consumer_goes_on_with_its_own(url: str, client: Any) -> None:
    """One of the same name has it at once; what was deleted meanwhile is forgotten."""
    fill(client, range(20))
    assert await seen(url, consumer="me", count=6) == list(range(20))
    ids = [name for name, _ in client.xrange("s")]
    client.xdel("s", *ids[:8])
    fill(client, [20])
    assert await seen(url, consumer="me", count=6) == list(range(8, 21))
    assert pending(client) == 13


async def test_what_was_fetched_ahead_goes_back(url: str, client: Any) -> None:
    """A run that stops early leaves nothing waiting for its death."""
    fill(client, range(20))
    await Plumber(read(url, lambda entry: 0), limit=5).run()
    assert pending(client) == 15
    assert await seen(url, ack="on_read") == list(range(5, 20))


async def test_consumers_that_are_gone_are_forgotten(url: str, client: Any) -> None:
    """Each run has a new name, and the group does not grow with them; but none is lost."""
    fill(client, [1])
    for _ in range(3):
        await seen(url, claim_after=0, ack="on_read")
    assert client.xinfo_consumers("s", "plumber") == []
    fill(client, [2])
    await seen(url, consumer="keeps one")
    await seen(url, claim_after=3600)
    [consumer] = client.xinfo_consumers("s", "plumber")
    assert consumer["name"] == "keeps one"


# Where it begins and ends.


async def test_a_new_group_begins_where_it_is_told(url: str, client: Any) -> None:
    """With all, behind an entry, or with what is to come; an old one goes on."""
    fill(client, range(3))
    second = client.xrange("s")[1][0]
    assert await seen(url, group="a") == [0, 1, 2]
    assert await seen(url, group="b", start=second) == [2]
    assert await seen(url, group="c", start="$") == []
    assert await seen(url, group="d", start=0) == [0, 1, 2]  # as YAML reads it
    fill(client, [3])
    assert await seen(url, group="c", start="$") == [3]


async def test_it_ends_at_a_mark(url: str, client: Any) -> None:
    """The mark is no item, and what lies behind it is for the next reader."""
    fill(client, range(2))
    client.xadd("s", {"bye": "1"})
    fill(client, range(2, 4))
    assert await seen(url, end="bye", ack="on_read") == [0, 1]
    assert await seen(url, ack="on_read") == [2, 3]
    assert pending(client) == 0


async def test_it_ends_when_nothing_comes_any_more(url: str, client: Any) -> None:
    """After `idle` seconds, in which it waits and does not ask all the time."""
    fill(client, range(2))
    before = client.info("commandstats").get("cmdstat_xreadgroup", {"calls": 0})["calls"]
    assert await seen(url, idle=0.05) == [0, 1]
    after = client.info("commandstats")["cmdstat_xreadgroup"]["calls"]
    assert after - before < 20


async def test_a_drain_ends_it(url: str, client: Any) -> None:
    """While it waits for entries, and whatever has been read is still acknowledged."""
    plumber: Plumber

    def work(entry: Entry) -> int:
        plumber.stop_sources()
        return 0

    graph = read(url, work, idle=3600, block=3600)
    plumber = Plumber(graph)
    plumber.create_pipeline()
    await plumber.entered()
    fill(client, [1])
    report = await plumber.join()
    assert report.reason == "drained"
    assert pending(client) == 0


async def test_a_cancel_at_any_point_ends_it(url: str, client: Any) -> None:
    """Whatever it is doing, also while it waits for entries; the consumer is forgotten then."""
    for turn in range(0, 120, 2):
        reader = asyncio.create_task(entries_of(url, idle=3600, block=3600))
        await turns(turn)
        reader.cancel()
        await asyncio.wait([reader], timeout=5)
        assert reader.cancelled()
    assert client.xinfo_consumers("s", "plumber") == []


# A server that is away.


async def test_a_lost_answer_loses_and_repeats_nothing(url: str, client: Any) -> None:
    """Whichever command it belongs to: entries that never came are fetched again."""
    for lost in range(6):
        client.flushdb()
        fill(client, range(3))
        async with line_to(url) as line:
            args = {"url": line.url, "stream": "s", "idle": 0.05, "block": 0.02, "count": 2}
            found = []
            async for entry in redis_read(**args):
                found.append(entry["n"])
                if len(found) == 1 + lost % 3:
                    line.answers_lost = 1 + lost // 3
                    fill(client, [3])
            assert found == [0, 1, 2, 3]


async def test_an_absence_is_borne(url: str, client: Any) -> None:
    """The source goes on where it was when the server is back."""
    fill(client, range(3))
    async with line_to(url) as line:
        args = {"url": line.url, "stream": "s", "idle": 0.1, "count": 2}
        found = []
        async for entry in redis_read(**args):
            found.append(entry["n"])
            if entry["n"] == 1:
                line.cut()
                asyncio.get_running_loop().call_later(0.1, line.mend)
        assert found == [0, 1, 2]


async def test_a_server_that_stays_away_is_an_error(url: str, client: Any) -> None:
    """After `patience`, which the error says."""
    fill(client, range(3))
    async with line_to(url) as line:
        entries = redis_read(line.url, "s", patience=0.05, count=1)
        await anext(entries)
        line.cut()
        with pytest.raises(RedisUnreachableError, match=r"can't be reached \(tried for 0.05 s\)"):
            await anext(entries)


# What is refused.


@pytest.mark.parametrize("step", ["redis_read", "redis_write", "redis_ack"])
async def test_no_server_is_there(step: str) -> None:
    """The error names the server, and keeps its password."""
    url = "redis://me:secret@127.0.0.1:1/0?socket_keepalive=yes"
    with pytest.raises(StepError) as raised:
        await Plumber(one(step, url)).run()
    assert isinstance(raised.value.cause, RedisUnreachableError)
    assert "redis://me@127.0.0.1:1/0 can't be reached" in str(raised.value)
    assert "secret" not in str(raised.value)


def one(step: str, url: str, **args: Any) -> dict[str, Any]:
    """Return the smallest graph with a step."""
    args = {"url": url, **({} if step == "redis_ack" else {"stream": "s"}), **args}
    if step == "redis_read":
        args |= {"patience": 0} | args
    nodes = {"it": {"func": step, "args": args}, "items": {"func": [1]}}
    if step == "redis_read":
        return {"nodes": {"it": nodes["it"]}, "graph": {"it": []}}
    return {"nodes": nodes, "graph": {"items": ["it"]}}


@pytest.mark.parametrize("step", ["redis_read", "redis_write", "redis_ack"])
@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password_is_told(step: str, user: str) -> None:
    """At once, as an error of its own, however patient one is with a server that is away."""
    if why := redis_server.missing():
        pytest.skip(why)
    with redis_server.served("--requirepass", "secret") as url:
        wrong = url.replace("//", f"//{user}")
        args = {"patience": 3600} if step == "redis_read" else {}
        with pytest.raises(StepError, match="refuses the user or the password") as raised:
            await Plumber(one(step, wrong, **args)).run()
    assert not isinstance(raised.value.cause, RedisUnreachableError)
    assert "wrong@" not in str(raised.value)


async def test_a_key_of_another_type_is_told(url: str, client: Any) -> None:
    """By the reader too."""
    client.set("s", "text")
    with pytest.raises(RedisError, match=r"'s' at redis://.* is no stream"):
        await entries_of(url)


async def test_a_group_that_vanishes_is_told(url: str, client: Any) -> None:
    """The reader does not wait for ever for a group that somebody has deleted."""
    fill(client, range(3))
    entries = redis_read(url, "s", count=1)
    await anext(entries)
    client.xgroup_destroy("s", "plumber")
    with pytest.raises(RedisError, match="has lost its consumer group"):
        await anext(entries)


@pytest.mark.parametrize(
    ("args", "items", "message"),
    [
        ({}, [{1, 2}], "can't write the item {1, 2} of type set"),
        ({}, ["\ud800"], "can't write the item .* of type str"),
        ({"key": "a.b"}, [{"a": {"c": 1}}], "key is 'a.b'; .* has none"),
        ({"key": "a"}, [5], "key is 'a'; 5 has none"),
    ],
)
async def test_an_item_that_does_not_fit_is_told(
    url: str, args: dict[str, Any], items: list[Any], message: str
) -> None:
    """It fails by itself, and is named."""
    with pytest.raises(StepError, match=message):
        await Plumber(write(url, items, **args)).run()


@pytest.mark.parametrize(
    ("step", "args", "message"),
    [
        ("redis_read", {"ack": "never"}, "ack is"),
        ("redis_read", {"start": "now"}, "start is"),
        ("redis_read", {"count": 0}, "count is"),
        ("redis_read", {"block": 0}, "block is"),
        ("redis_read", {"block": float("nan")}, "block is"),
        ("redis_read", {"idle": -1}, "idle is"),
        ("redis_read", {"claim_after": float("inf")}, "claim_after is"),
        ("redis_read", {"idle": 1, "stop_when_empty": True}, "two ways to end"),
        ("redis_read", {"url": "http://localhost"}, "no URL of a Redis server"),
        ("redis_write", {"url": "localhost:6379"}, "no URL of a Redis server"),
        ("redis_write", {"url": "redis://localhost:port"}, "no URL of a Redis server"),
        ("redis_write", {"key": "a..b"}, "key is"),
        ("redis_write", {"maxlen": 0}, "maxlen is"),
        ("redis_write", {"remember": 0}, "remember is"),
        ("redis_ack", {"url": "redis://127.0.0.1:1/0?color=red"}, "option that is none"),
    ],
)
async def test_odd_arguments_are_refused(step: str, args: dict[str, Any], message: str) -> None:
    """Each with an error that says what would be right."""
    graph = one(step, **{"url": "redis://127.0.0.1:1/0", **args})
    with pytest.raises(StepError, match=message):
        await Plumber(graph).run()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://:secret@localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://me:se@cret@host/1?password=secret", "rediss://me@host/1"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://[::1", "what is given"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever it may stand."""
    assert without_password(url) == shown


@pytest.mark.parametrize("step", ["redis_read", "redis_write", "redis_ack"])
async def test_the_extra_is_named(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(StepError, match=r"pip install 'pipelines\[redis\]'"):
        await Plumber(one(step, "redis://localhost")).run()
    assert step in steps
