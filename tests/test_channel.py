"""Queues between threads and an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import graph, node, really_run

from pipelines.channel import Channel, Outbox


def in_thread(target: Any, *args: Any) -> threading.Thread:
    """Start a thread."""
    thread = threading.Thread(target=target, args=args)
    thread.start()
    return thread


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=200), st.one_of(st.none(), st.integers(1, 9)))
def test_all_that_was_put_comes_out_in_order(items: list[int], size: int | None) -> None:
    """Whatever the size, and the loop gets the end behind the last item."""
    channel = Channel(size)

    def put() -> None:
        for item in items:
            assert channel.put(item)
        channel.close()

    async def main() -> list[int]:
        return [item async for item in channel]

    thread = in_thread(put)
    assert asyncio.run(main()) == items
    thread.join()


def test_a_put_waits_for_room() -> None:
    """A thread is held up at the size, and goes on when the loop has taken half."""
    channel = Channel(4)
    for item in range(4):
        channel.put(item)
    assert channel.full()
    thread = in_thread(channel.put, 4)

    async def main() -> list[Any]:
        return [await anext(channel) for _ in range(5)]

    assert len(channel) == 4
    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    thread.join()


def test_a_close_lets_go_who_waits_to_put() -> None:
    """What could not be put is told to the one who put it."""
    channel = Channel(1)
    channel.put(1)
    told: list[bool] = []
    thread = in_thread(lambda: told.append(channel.put(2)))
    channel.close()
    thread.join()
    assert told == [False]
    assert channel.closed
    assert not channel.put(3)


async def test_an_error_comes_behind_what_was_put() -> None:
    """Nothing that came before it is lost."""
    channel = Channel()
    channel.put(1)
    channel.close(ValueError("broken"))
    assert await anext(channel) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(channel)


def test_an_outbox_waits_for_the_thread_that_takes() -> None:
    """At most `size` results lie in it, and none is lost."""
    changed = threading.Condition()
    outbox = Outbox(2, changed)
    most = 0

    async def main() -> None:
        for item in range(50):
            await outbox.put(item)

    thread = in_thread(asyncio.run, main())
    got: list[Any] = []
    while len(got) < 50:
        with changed:
            changed.wait_for(lambda: len(outbox))
        most = max(most, len(outbox))
        got.append(outbox.take())
    thread.join()
    assert got == list(range(50))
    assert most <= 2


def test_a_source_in_a_thread_holds_nothing_back() -> None:
    """What it has made goes on while it waits for the next item, also after quick ones."""
    quick = 100
    arrived = threading.Event()

    def source() -> Iterator[int]:
        yield from range(quick)
        assert arrived.wait(5)
        yield quick

    def sink(item: int) -> None:
        if item == quick - 1:
            arrived.set()

    report = really_run(graph("s > t", s=node(source, executor="thread"), t=sink))
    assert report.nodes["t"].received == quick + 1
