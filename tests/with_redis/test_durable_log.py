"""The log of a durable edge, on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_server import Line, line_to
from running import until

from pipelines.durable import Batch, DurableError, LeaseHeldError, LeaseLostError, Log
from pipelines.steps.redis import RedisError, RedisUnreachableError

SHORT = 0.03  # seconds of a lease that runs out while a test waits for it


@asynccontextmanager
async def opened(url: str, key: str = "g:a->b", **options: Any) -> AsyncIterator[Log]:
    """Open a log, and give it back unfinished."""
    log = Log(url, key, **options)
    await log.open()
    try:
        yield log
    finally:
        await log.close(finished=False)


async def crash(log: Log, line: Line) -> None:
    """Let a run vanish: the server hears nothing more of it, not even good-bye."""
    line.cut()
    await log.close(finished=False)


async def next_of(log: Log) -> Batch:
    """Read a batch where one must be."""
    batch = await log.read()
    assert batch is not None
    return batch


# The way of a batch.


async def test_what_is_appended_is_read_in_order(url: str, client: Any) -> None:
    """Then comes the end, and a finished log leaves nothing behind."""
    log = Log(url, "g:a->b")
    await log.open()
    assert (log.written, log.ended) == (0, False)
    assert await log.append(0, 3, b"abc")
    assert await log.append(3, 1, b"\x00\xff")
    await log.end(4)
    first, second = await next_of(log), await next_of(log)
    assert (first.first, first.count, first.data) == (0, 3, b"abc")
    assert (second.first, second.count, second.data) == (3, 1, b"\x00\xff")
    assert await log.read() is None
    await log.ack(second)
    await log.ack(first)
    assert (log.acknowledged, log.redelivered, log.waiting, log.ended) == (4, 0, 0, True)
    await log.close(finished=True)
    assert client.keys() == []


async def test_acknowledged_batches_take_no_room(url: str, client: Any) -> None:
    """The server holds what is under way, and nothing more."""
    async with opened(url) as log:
        for position in range(100):
            await log.append(position, 1, b"x")
            await log.ack(await next_of(log))
        assert client.xlen("{g:a->b}:entries") == 0


async def test_what_was_not_acknowledged_comes_again(url: str) -> None:
    """In order, before anything new, and it is counted."""
    async with opened(url) as log:
        for position in range(5):
            await log.append(2 * position, 2, b"%d" % position)
        batches = [await next_of(log) for _ in range(4)]
        await log.ack(batches[1])
        await log.ack(batches[3])
    async with opened(url) as log:
        assert (log.written, log.waiting) == (10, 3)
        assert not await log.append(0, 2, b"0")
        assert not await log.append(8, 2, b"4")
        await log.append(10, 1, b"5")
        await log.end(11)
        found = [await next_of(log) for _ in range(4)]
        assert [batch.data for batch in found] == [b"0", b"2", b"4", b"5"]
        assert await log.read() is None
        assert (log.redelivered, log.acknowledged) == (4, 0)
    async with opened(url) as log:
        await next_of(log)
    async with opened(url) as log:  # what a run before the last had out counts as well
        found = [await next_of(log) for _ in range(4)]
        assert log.redelivered == 7
        assert log.ended


async def test_two_logs_have_nothing_in_common(url: str) -> None:
    """Whatever their names; each has its own lease, positions and batches."""
    keys = ["a", "a}", "{a", "a:state", "{a}:state", "", "a b/ü"]
    logs = [Log(url, key) for key in keys]
    for number, log in enumerate(logs):
        await log.open()
        await log.append(0, number + 1, b"%d" % number)
    for number, log in enumerate(logs):
        assert (log.written, (await next_of(log)).data) == (number + 1, b"%d" % number)
        await log.close(finished=False)


# Room.


async def test_appending_waits_for_room(url: str, client: Any) -> None:
    """Until a batch is acknowledged: however slow the consumer, no more than `room` lie there."""
    async with opened(url, room=2) as log:

        async def produce() -> None:
            for position in range(20):
                await log.append(position, 1, b"")
            assert not await log.append(0, 20, b"")  # what is there needs no room
            await log.end(20)

        producer = asyncio.create_task(produce())
        lying = []
        while batch := await log.read():
            await asyncio.sleep(0.002)  # for a producer that would not wait
            lying.append(client.xlen("{g:a->b}:entries"))
            await log.ack(batch)
        await producer
        assert max(lying) == 2


async def test_waiting_can_be_cancelled(url: str) -> None:
    """For room, and for a batch; neither loses anything."""
    async with opened(url, room=1) as log:
        reader = asyncio.create_task(log.read())
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        await log.append(0, 1, b"a")
        writer = asyncio.create_task(log.append(1, 1, b"b"))
        await asyncio.sleep(0)
        writer.cancel()
        await asyncio.wait([writer])
        assert (reader.cancelled(), writer.cancelled(), log.written) == (True, True, 1)
        await log.ack(await next_of(log))
        assert await log.append(1, 1, b"b")


async def test_a_cancel_at_any_point_is_heard_and_harmless(url: str, client: Any) -> None:
    """Whatever the client is doing: the task ends, and the same call again puts it right."""

    async def cancelled(call: Callable[[], Awaitable[Any]], turns: int) -> None:
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    async with opened(url) as log:
        for turn in range(30):
            await cancelled(lambda turn=turn: log.append(turn, 1, b"%d" % turn), turn)
            if log.written == turn:
                await log.append(turn, 1, b"%d" % turn)
            reader: list[Batch] = []

            async def read(reader: list[Batch] = reader) -> None:
                reader.append(await next_of(log))

            await cancelled(read, turn)
            batch = reader[0] if reader else await next_of(log)
            assert batch.data == b"%d" % turn
            await cancelled(lambda batch=batch: log.ack(batch), turn)
            if log.waiting:
                await log.ack(batch)
        assert (log.written, log.acknowledged, log.redelivered) == (30, 30, 0)
        assert client.xlen("{g:a->b}:entries") == 0


# The lease.


async def test_a_second_run_is_refused(url: str) -> None:
    """As long as the first one lives, however short its lease; and the first one goes on."""
    async with opened(url, lease=1) as log:
        with pytest.raises(LeaseHeldError, match=rf"another run \(process {os.getpid()} on "):
            await Log(url, "g:a->b", lease=0.1).open()
        assert await log.append(0, 1, b"")


async def test_a_dead_run_is_replaced(url: str) -> None:
    """Once its lease has run out, which `open` waits for."""
    async with line_to(url) as line:
        dead = Log(line.url, "g:a->b", lease=SHORT)
        await dead.open()
        await dead.append(0, 1, b"a")
        await next_of(dead)
        await crash(dead, line)
    async with opened(url) as log:
        assert (await next_of(log)).data == b"a"
        assert log.redelivered == 1


async def test_a_run_that_was_replaced_can_do_nothing(url: str) -> None:
    """It may wake up later: all that it tries fails, and all who wait there are told."""
    async with line_to(url) as line, opened(line.url, lease=SHORT, room=1) as old:
        await old.append(0, 1, b"a")
        batch = await next_of(old)
        waiting = [
            asyncio.create_task(old.read()),
            asyncio.create_task(old.append(1, 1, b"b")),
        ]
        line.cut()
        async with opened(url) as new:
            line.mend()
            for task in waiting:
                with pytest.raises(LeaseLostError, match="taken over by another run"):
                    await task
            with pytest.raises(LeaseLostError):
                await old.ack(batch)
            with pytest.raises(LeaseLostError):
                await old.end(1)
            assert (new.written, new.waiting) == (1, 1)
            await old.close(finished=False)
            assert await new.append(1, 1, b"b")


async def test_a_run_that_slept_goes_on_if_nobody_came(url: str, client: Any) -> None:
    """A lease that has run out is taken again; only its loss to another ends a run."""
    async with opened(url, lease=60) as log:
        client.delete("{g:a->b}:lease")
        assert await log.append(0, 1, b"a")
    async with line_to(url) as line, opened(line.url, lease=SHORT) as log:
        line.cut()
        await until(lambda: not client.exists("{g:a->b}:lease"))
        line.mend()
        assert await log.append(1, 1, b"b")
        await until(lambda: client.exists("{g:a->b}:lease"))


def test_a_killed_process_leaves_all_to_the_next_one(url: str) -> None:
    """It can't say good-bye; what it had read and not acknowledged comes again."""
    code = (
        "import asyncio, sys\n"
        "from pipelines.durable import Log\n"
        "async def main():\n"
        "    log = Log(sys.argv[1], 'g:a->b', lease=0.3)\n"
        "    await log.open()\n"
        "    for n in range(4): await log.append(n, 1, b'%d' % n)\n"
        "    await log.ack(await log.read())\n"
        "    await log.read()\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)

    async def rest() -> tuple[list[bytes], int]:
        async with opened(url) as log:
            await log.end(4)
            return [(await next_of(log)).data for _ in range(3)], log.redelivered

    assert asyncio.run(rest()) == ([b"1", b"2", b"3"], 1)


# A model, with crashes.


OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("ack"), st.integers(0, 5)),
    st.tuples(st.just("lose an answer"), st.just(0)),
)
LIVES = st.lists(st.tuples(st.lists(OPERATIONS, max_size=12), st.booleans()), max_size=4)


class Model:
    """What must have become of every position."""

    def __init__(self) -> None:
        self.batches: dict[int, int] = {}  # that are not acknowledged: how many by the first
        self.written = 0
        self.read_before: set[int] = set()
        self.acknowledged: list[int] = []

    async def live(self, log: Log, line: Line, operations: list[tuple[str, int]]) -> None:
        """Go on where the last life ended."""
        assert (log.written, log.waiting) == (self.written, len(self.batches))
        out: list[Batch] = []
        unread = sorted(self.batches)
        again = 0
        for operation, number in operations:
            if operation == "lose an answer":
                line.answers_lost = 1
            elif operation == "append":
                await self._append(log, number)
                unread.append(self.written - number)
            elif operation == "read" and unread:
                batch = await next_of(log)
                assert batch.first == unread.pop(0)
                assert batch.count == self.batches[batch.first]
                assert batch.data == data_of(batch.first, batch.count)
                out.append(batch)
                again += batch.count if batch.first in self.read_before else 0
                assert log.redelivered == again
            elif operation == "ack" and out:
                await self._ack(log, out.pop(number % len(out)))
        line.answers_lost = 0
        self.read_before |= {batch.first for batch in out}

    async def finish(self, log: Log) -> None:
        """Append, read and acknowledge all that is left."""
        await self._append(log, 2)
        await log.end(self.written)
        while batch := await log.read():
            await self._ack(log, batch)
        assert self.batches == {}
        assert sorted(self.acknowledged) == list(range(self.written))

    async def _append(self, log: Log, count: int) -> None:
        if self.written:
            assert not await log.append(self.written - 1, 1, b"again")
        assert await log.append(self.written, count, data_of(self.written, count))
        self.batches[self.written] = count
        self.written += count

    async def _ack(self, log: Log, batch: Batch) -> None:
        await log.ack(batch)
        assert self.batches.pop(batch.first) == batch.count
        self.acknowledged += range(batch.first, batch.first + batch.count)


def data_of(first: int, count: int) -> bytes:
    """Return what a batch holds."""
    return b",".join(b"%d" % position for position in range(first, first + count))


@settings(max_examples=40)
@given(lives=LIVES)
def test_nothing_is_lost_or_done_twice(server: str, lives: list[Any]) -> None:
    """Each position is acknowledged once, whenever runs crash or close and answers get lost."""

    async def all_lives() -> None:
        model = Model()
        for operations, crashes in lives:
            async with line_to(server) as line:
                log = Log(line.url, "model", lease=SHORT)
                await log.open()
                await model.live(log, line, operations)
                await (crash(log, line) if crashes else log.close(finished=False))
        log = Log(server, "model")
        await log.open()
        await model.finish(log)
        await log.close(finished=True)

    asyncio.run(all_lives())
    with redis.Redis.from_url(server) as client:
        assert client.keys("{model}:*") == []


# What is refused.


async def test_positions_must_fit(url: str) -> None:
    """No gap, no overlap, nothing behind the end; each error says what would fit."""
    async with opened(url) as log:
        await log.append(0, 3, b"abc")
        with pytest.raises(DurableError, match=r"next position is 3, and 4 would leave a gap"):
            await log.append(4, 1, b"e")
        with pytest.raises(ValueError, match="cut off what is there: the next position is 3"):
            await log.append(2, 2, b"cd")
        with pytest.raises(ValueError, match="1 entry or more"):
            await log.append(3, 0, b"")
        with pytest.raises(DurableError, match="ended after 2 entries, and it holds 3"):
            await log.end(2)
        assert not log.ended
        await log.end(3)
        await log.end(3)
        with pytest.raises(DurableError, match="ended after 4 entries, and it holds 3"):
            await log.end(4)
    async with opened(url) as log:
        with pytest.raises(DurableError, match="it ended at 3, and now comes position 3"):
            await log.append(3, 1, b"d")


async def test_only_what_is_under_way_is_acknowledged(url: str) -> None:
    """A batch of another run, or one that is done, is a mistake of the caller."""
    async with opened(url) as log:
        await log.append(0, 1, b"a")
        with pytest.raises(ValueError, match="is not under way"):
            await log.ack(Batch("1-0", 0, 1, b"a"))
        batch = await next_of(log)
        await log.ack(batch)
        with pytest.raises(ValueError, match="is not under way"):
            await log.ack(batch)


async def test_an_unfinished_log_is_not_removed(url: str, client: Any) -> None:
    """Neither without an end, nor with something that is not acknowledged."""
    log = Log(url, "g:a->b")
    await log.open()
    await log.append(0, 1, b"a")
    with pytest.raises(ValueError, match="it has no end"):
        await log.close(finished=True)
    log = Log(url, "g:a->b")
    await log.open()
    await log.end(1)
    with pytest.raises(ValueError, match="1 batches are not acknowledged"):
        await log.close(finished=True)
    assert client.xlen("{g:a->b}:entries") == 1


async def test_a_log_that_vanishes_is_told(url: str, client: Any) -> None:
    """Somebody flushed the server: no run goes on as if nothing had been."""
    async with opened(url) as log:
        client.flushdb()
        with pytest.raises(LeaseLostError, match="is gone: somebody deleted it"):
            await log.append(0, 1, b"a")


async def test_a_server_that_forgot_is_told(url: str, client: Any) -> None:
    """It may have been started again with data that is some seconds old."""
    async with opened(url) as log:
        await log.append(0, 1, b"a")
        client.hset("{g:a->b}:state", "written", 0)
        with pytest.raises(DurableError, match="holds 0 entries where there should be 2"):
            await log.append(1, 1, b"b")
        client.hset("{g:a->b}:state", "written", 1)
        client.delete("{g:a->b}:entries")
        with pytest.raises(DurableError, match="from 0 to 1 has vanished"):
            await log.read()


async def test_a_server_that_stays_away_is_told(url: str) -> None:
    """After `patience`; until then whoever calls waits, and a reader that waits is told too."""
    async with line_to(url) as line, opened(line.url, lease=SHORT, patience=0.1) as log:
        reader = asyncio.create_task(log.read())
        await asyncio.sleep(0)
        line.cut()
        with pytest.raises(RedisUnreachableError, match=r"tried for 0\.1 s"):
            await log.append(0, 1, b"a")
        with pytest.raises(RedisUnreachableError, match=r"tried for 0\.1 s"):
            await reader


async def test_no_server_is_told(url: str, client: Any) -> None:
    """`open` leaves nothing behind where it fails, so it can be called again."""
    with pytest.raises(RedisUnreachableError):
        await Log("redis://127.0.0.1:1", "k", patience=0).open()
    client.set("{k}:state", "text")
    log = Log(url, "k")
    with pytest.raises(RedisError, match="another type"):
        await log.open()
    client.delete("{k}:state", "{k}:lease")
    await log.open()
    await log.close(finished=False)


@pytest.mark.parametrize("options", [{"lease": 0}, {"room": 0}, {"patience": -1}])
def test_odd_options_are_refused(options: dict[str, Any]) -> None:
    """Before anything is asked of a server."""
    with pytest.raises(ValueError, match="lease is more than 0"):
        Log("redis://localhost", "k", **options)
