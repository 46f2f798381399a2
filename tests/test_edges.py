"""Edges, ways in and the schedule by themselves, where a whole run would hide what they do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from running import ended

from pipelines.edge import GAP, UNBOUNDED, Edge, Outlet
from pipelines.errors import JoinError, PipelinesError
from pipelines.inlet import BatchInlet, Inlet, JoinInlet, MergeInlet, SourceInlet
from pipelines.schedule import Schedule
from pipelines.spec import Batch


def edge(source: str = "s", target: str = "t", maxsize: int = 3, **options: Any) -> Edge:
    """Return an edge whose both ends are known."""
    made = Edge(source, target, maxsize, **options)
    Outlet([made])
    Inlet([made])
    return made


def _never() -> None:
    raise AssertionError("stalled")


# Edges.


def test_an_edge_is_a_queue_to_look_at() -> None:
    """It tells its size, and whether it is full or empty; a gap mark takes a place, as no item."""
    queue = edge(maxsize=2)
    assert (queue.qsize(), queue.empty(), queue.full()) == (0, True, False)
    queue.accept("x")
    queue.add_gap()
    assert (queue.qsize(), queue.empty(), queue.full()) == (1, False, True)
    assert queue.take(2) == ["x", GAP]
    assert queue.gaps == 0
    assert "s -> t 0/2" in repr(queue)


def test_when_full() -> None:
    """A full edge that drops gives up the newest, or the oldest, and counts it."""
    newest, oldest = edge(when_full="drop_newest"), edge(when_full="drop_oldest")
    for number in range(5):
        newest.accept(number)
        oldest.accept(number)
    assert (list(newest.items), newest.dropped) == ([0, 1, 2], 2)
    assert (list(oldest.items), oldest.dropped) == ([2, 3, 4], 2)


def test_an_abandoned_edge_counts_what_it_gives_up() -> None:
    """What lay in it, and what is still sent to it, is dropped; gap marks are no loss."""
    queue = edge(gapped=True)
    queue.accept(1)
    queue.add_gap()
    queue.outlet.abandon(queue)
    queue.accept(2)
    queue.add_gap()
    assert (queue.dropped, list(queue.items), queue.gaps) == (2, [], 0)


# Ways out.


def _outlet(*edges: Edge) -> Outlet:
    outlet = Outlet(edges)
    for each in edges:
        Inlet([each])
    return outlet


def test_room_is_that_of_the_fullest_edge_that_blocks() -> None:
    """An edge that drops never holds its producer up."""
    a, b = Edge("s", "a", 3), Edge("s", "b", 9)
    c = Edge("s", "c", 1, when_full="drop_newest")
    outlet = _outlet(a, b, c)
    outlet.append(1)
    assert (outlet.room(), outlet.capacity()) == (2, 3)
    assert Outlet().room() == UNBOUNDED
    assert _outlet(c).room() == UNBOUNDED


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_item_goes_to_every_edge(count: int) -> None:
    """Appended one by one or several at once, each edge gets the same."""
    edges = [Edge("s", f"t{index}", 9) for index in range(count)]
    outlet = _outlet(*edges)
    outlet.append(1)
    outlet.extend([2, 3])
    assert [list(each.items) for each in edges] == [[1, 2, 3]] * count


def test_a_route_reaches_the_edges_it_names() -> None:
    """The others get a gap mark where they need one, and count what was withheld."""
    a, b, c = Edge("s", "a", 9), Edge("s", "b", 9, gapped=True), Edge("s", "c", 9)
    outlet = _outlet(a, b, c)
    outlet.route({"a": 1})
    assert [list(each.items) for each in (a, b, c)] == [[1], [GAP], []]
    assert [each.withheld for each in (a, b, c)] == [0, 1, 1]
    with pytest.raises(LookupError, match="no edge leads to 'd'"):
        outlet.route({"d": 1})


def test_a_wakeup_comes_once() -> None:
    """Whoever waits for room is told once, and not if it no longer waits."""
    queue = edge(maxsize=1)
    told: list[str] = []
    keep, forget = (lambda: told.append("keep")), (lambda: told.append("forget"))
    queue.outlet.append(1)
    queue.outlet.arm(keep)
    queue.outlet.arm(forget)
    queue.outlet.disarm(forget)
    for _ in range(3):
        queue.take(len(queue.items))
        queue.inlet.release()
    assert told == ["keep"]


def test_nobody_is_told_of_room_that_is_not_there() -> None:
    """Room on one of two full edges is none."""
    a, b = Edge("s", "a", 1), Edge("s", "b", 1)
    outlet = _outlet(a, b)
    told: list[int] = []
    outlet.append(1)
    outlet.arm(lambda: told.append(1))
    a.take(1)
    a.inlet.release()
    assert told == []
    b.take(1)
    b.inlet.release()
    assert told == [1]


def test_an_outlet_is_deserted_when_all_have_gone() -> None:
    """Whoever waits to send is told of that too; one that has nobody by nature is not deserted."""
    a, b = Edge("s", "a", 1), Edge("s", "b", 1)
    outlet = _outlet(a, b)
    outlet.append(1)
    told: list[int] = []
    outlet.arm(lambda: told.append(1))
    outlet.abandon(a)
    assert not outlet.deserted
    outlet.abandon(b)
    assert (outlet.deserted, outlet.room(), told) == (True, 0, [1])
    assert not Outlet().deserted


# Ways in.


def test_an_inlet_ends_behind_its_last_item() -> None:
    """Doomsday is seen when the queue is empty, not before; the waiting consumer is told."""
    queue = edge()
    told: list[int] = []
    queue.inlet.arm(lambda: told.append(1))
    queue.outlet.append("x")
    queue.outlet.feed()
    queue.outlet.close()
    assert told == [1]
    assert not queue.inlet.ended
    queue.take(1)
    assert queue.inlet.ended


def test_a_merge_takes_from_all_in_turn() -> None:
    """An edge that is always full does not keep the others waiting."""
    busy, rare = Edge("a", "m", 100), Edge("b", "m", 100)
    outlets = [Outlet([busy]), Outlet([rare])]
    merge = MergeInlet([busy, rare])
    outlets[1].append("rare")
    for number in range(100):
        outlets[0].append(number)
    first: list[Any] = []
    while len(first) < 16:
        count = min(merge.ready(8), 8)
        first += [merge.items.popleft() for _ in range(count)]
    assert "rare" in first
    assert [each for each in first if each != "rare"] == list(range(len(first) - 1))


def test_a_merge_of_one_at_a_time_starves_nobody() -> None:
    """Not even where the consumer takes one item at a time."""
    edges = [Edge(name, "m", 100) for name in "abc"]
    outlets = [Outlet([each]) for each in edges]
    merge = MergeInlet(edges)
    for outlet, name in zip(outlets, "abc", strict=True):
        for _ in range(50):
            outlet.append(name)
    first = []
    for _ in range(30):
        assert merge.ready(1)
        first.append(merge.items.popleft())
    assert {name: first.count(name) for name in "abc"} == {"a": 10, "b": 10, "c": 10}


def _join(on_missing: str | None, *columns: list[Any]) -> JoinInlet:
    edges = [Edge(f"s{index}", "j", 100, gapped=True) for index in range(len(columns))]
    outlets = [Outlet([each]) for each in edges]
    join = JoinInlet(edges, "j", on_missing)
    for each, outlet, column in zip(edges, outlets, columns, strict=True):
        for entry in column:
            each.add_gap() if entry is GAP else outlet.append(entry)
    return join


def _rows(join: JoinInlet) -> list[Any]:
    rows: list[Any] = []
    while join.ready(2):
        rows += [join.items.popleft() for _ in range(len(join.items))]
    return rows


def test_a_join_makes_rows() -> None:
    """As many as the shortest edge holds; the rest waits."""
    join = _join(None, [1, 2, 3], ["a", "b"])
    assert _rows(join) == [(1, "a"), (2, "b")]
    assert [len(each.items) for each in join.edges] == [1, 0]
    assert not join.ended


def test_a_join_with_gaps() -> None:
    """A row with a gap is a gap, or is filled, or fails; a row of gaps is a gap in any case."""
    columns: list[list[Any]] = [[1, GAP, GAP, 4], [1, 2, GAP, 4]]
    dropping, filling = _join(None, *columns), _join("none", *columns)
    assert _rows(dropping) == [(1, 1), GAP, GAP, (4, 4)]
    assert (dropping.dropped, dropping.gaps, dropping.filled) == (1, 2, 0)
    assert _rows(filling) == [(1, 1), (None, 2), GAP, (4, 4)]
    assert (filling.dropped, filling.gaps, filling.filled) == (0, 1, 1)
    with pytest.raises(JoinError, match="nothing came from 's0'"):
        _rows(_join("fail", *columns))


def test_a_source_is_asked_for_no_more_than_it_may() -> None:
    """The iterator is not run ahead of the room there is."""
    given: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            given.append(number)
            yield number

    inlet = SourceInlet(source(), 5, False)
    assert inlet.ready(3) == 3
    assert given == [0, 1, 2]
    assert inlet.ready(9) == 3
    assert given == [0, 1, 2]


def test_a_source_on_a_machine_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is not an answer, however long ago it was asked: else a region is divided for it."""
    monkeypatch.setattr("pipelines.inlet.clock", itertools.count().__next__)
    inlet = SourceInlet(itertools.count(), 5, False)
    assert inlet.ready(3) > 0


def test_a_source_that_breaks_has_ended() -> None:
    """What came before the error lies there, the error is kept."""

    def source() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    inlet = SourceInlet(source(), 5, False)
    assert inlet.ready(9) == 1
    assert isinstance(inlet.error, OSError)
    assert inlet.items.popleft() == 1
    assert inlet.ended


def test_put_and_close() -> None:
    """An inlet that is held open takes what is put after its iterator's end, until it closes."""

    async def main() -> None:
        inlet = SourceInlet(iter(()), 5, True)
        assert inlet.ready(1) == 0
        assert not inlet.ended
        await inlet.put(1)
        inlet.close()
        assert not inlet.ended
        assert inlet.items.popleft() == 1
        assert inlet.ended
        with pytest.raises(PipelinesError, match="ended"):
            await inlet.put(2)

    ended(main())


def test_a_put_that_is_cancelled_puts_nothing() -> None:
    """A caller that gives up while it waits for room leaves no trace, and no gap in the line."""

    async def main() -> None:
        inlet = SourceInlet(iter(()), 1, True)
        await inlet.put(1)
        waiting = [asyncio.create_task(inlet.put(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert inlet.ready(1)
        assert inlet.items.popleft() == 1
        inlet.ready(1)
        await asyncio.wait([waiting[1]], timeout=1)
        assert list(inlet.items) == [3]

    ended(main())


def test_a_batch_is_ready_when_full_or_at_the_end() -> None:
    """Gap marks are not in it; what it holds counts as queued."""

    async def main() -> None:
        schedule = Schedule(_never)
        schedule.start(asyncio.get_running_loop())
        queue = edge(maxsize=100, gapped=True)
        batch = BatchInlet(queue.inlet, Batch(3), schedule)
        for entry in (1, GAP, 2, 3, 4):
            queue.add_gap() if entry is GAP else queue.outlet.append(entry)
        assert batch.ready(1)
        assert batch.items.popleft() == [1, 2, 3]
        assert not batch.ready(1)
        assert (batch.queued, batch.ended) == (1, False)
        queue.outlet.close()
        assert batch.ready(1)
        assert batch.items.popleft() == [4]
        assert batch.ended

    ended(main())


# The schedule.


def test_the_account_of_who_waits() -> None:
    """The last one to wait, or to leave while others wait, is told that the run is stuck."""

    async def main() -> None:
        stalls: list[int] = []
        schedule = Schedule(lambda: stalls.append(1))
        schedule.start(asyncio.get_running_loop())
        schedule.busy = 2
        event = schedule.loop.create_future()
        schedule.pause()
        assert stalls == []
        schedule.wake(event)
        schedule.wake(event)
        assert schedule.busy == 2
        schedule.leave()
        schedule.leave()
        assert stalls == []
        schedule.busy = 1
        schedule.pause()
        assert stalls == [1]

    ended(main())


def test_a_timer_is_no_stall() -> None:
    """Until it has rung, or is cancelled, something will happen by itself."""

    async def main() -> None:
        stalls: list[int] = []
        rung: list[int] = []
        schedule = Schedule(lambda: stalls.append(1))
        schedule.start(asyncio.get_running_loop())
        schedule.busy = 1
        schedule.call_later(5, lambda: rung.append(1))
        schedule.pause()
        assert stalls == []
        await asyncio.sleep(6)
        assert (rung, stalls) == ([1], [1])
        timer = schedule.call_later(5, lambda: rung.append(2))
        schedule.cancel_later(timer)
        schedule.cancel_later(timer)
        await asyncio.sleep(6)
        assert rung == [1]
        assert schedule.busy == 0

    ended(main())


def test_turns_are_shared_out() -> None:
    """Those who are past the deadline go on in later turns of the loop, first come first served."""

    async def main() -> None:
        schedule = Schedule(_never)
        schedule.start(asyncio.get_running_loop())
        order: list[int] = []

        async def breathe(number: int) -> None:
            await schedule.breath()
            order.append(number)

        await asyncio.gather(*(breathe(number) for number in range(100)))
        assert order == list(range(100))

    ended(main())


def test_whoever_is_cancelled_in_the_queue_is_passed_over() -> None:
    """A task that is cancelled while it waits for its turn holds up nobody."""

    async def main() -> None:
        schedule = Schedule(_never)
        schedule.start(asyncio.get_running_loop())

        async def breathe() -> None:
            await schedule.breath()

        tasks = [asyncio.create_task(breathe()) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[1:5]:
            task.cancel()
        done, pending = await asyncio.wait(tasks, timeout=1)
        assert not pending
        assert sum(task.cancelled() for task in done) in (0, 4)

    ended(main())
