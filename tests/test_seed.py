"""The seed's own code, unchanged: what was written for the library before this one still runs."""

from __future__ import annotations

import asyncio
import logging
import string
import uuid
from typing import Any

import pytest
from running import ended, until

from pipelines.inputprocessor import InputProcessor
from pipelines.plumber import Plumber
from pipelines.processor import Processor


class StringFuncs:
    """The README's coroutines, and those of the seed's tests."""

    shown: list[tuple[Any, ...]]

    @classmethod
    async def reverse(cls, self: Processor = None, q_elt: tuple = None):  # type: ignore[assignment]  # noqa: RUF013
        """Reverse a string."""
        return q_elt[0][::-1]

    @classmethod
    async def input_coro(cls, self: Processor = None, output_q: asyncio.Queue = None):  # type: ignore[assignment]  # noqa: RUF013
        """Make 20 random strings."""
        acc = [str(uuid.uuid4()) for _ in range(20)]
        for i in acc:
            await output_q.put(i)
            # unnecessary but async
            await asyncio.sleep(0)

    @classmethod
    async def output_coro(cls, self, q_elt):
        """Keep what the README prints."""
        cls.shown.append(q_elt)

    @classmethod
    async def upper(cls, self, q_elt):
        """Change to capitals."""
        await asyncio.sleep(0.001)
        return q_elt[0].upper()

    @classmethod
    async def lower(cls, self, q_elt):
        """Change to small letters what n1 and n2 gave."""
        return tuple(each.lower() for each in q_elt)


@pytest.fixture(autouse=True)
def nothing_shown() -> None:
    """Start with nothing shown."""
    StringFuncs.shown = []


README = {
    "nodes": {
        "inp": {"coro": StringFuncs.input_coro},
        "rev": {"coro": StringFuncs.reverse},
        "out": {"coro": StringFuncs.output_coro},
    },
    "graph": {
        "inp": ("rev", "out"),
        "rev": ("out",),
        "out": None,
    },
}


def test_the_readme_runs_in_a_running_loop() -> None:
    """Two lines build and start the pipeline; it ends by itself, each string with its reverse."""

    async def main() -> None:
        _t = Plumber(README, coro_map=lambda x: x)
        _t.create_pipeline()
        await until(lambda: len(StringFuncs.shown) == 20)
        await _t.join()

    ended(main())
    assert all(pair[0][::-1] == pair[1] and len(pair) == 2 for pair in StringFuncs.shown)
    assert len({pair[0] for pair in StringFuncs.shown}) == 20


def test_nobody_need_join(caplog: pytest.LogCaptureFixture) -> None:
    """The seed had no `join`: a run that nobody waits for comes to its end all the same."""

    async def main() -> None:
        plumber = Plumber(README, coro_map=lambda x: x)
        plumber.create_pipeline()
        await until(lambda: plumber.report is not None)

    with caplog.at_level(logging.WARNING):
        ended(main())
    assert len(StringFuncs.shown) == 20
    assert not caplog.records


def test_the_map_may_be_the_second_argument() -> None:
    """`coro_map` maps whatever stands in the document."""
    names = {
        "make": StringFuncs.input_coro,
        "turn": StringFuncs.reverse,
        "show": StringFuncs.output_coro,
    }
    document = {
        "nodes": {"inp": {"coro": "make"}, "rev": {"coro": "turn"}, "out": {"coro": "show"}},
        "graph": README["graph"],
    }
    ended(Plumber(document, names.__getitem__).run())
    assert len(StringFuncs.shown) == 20


def seed_tests_graph(**last: Any) -> dict[str, Any]:
    """Return the graph of the seed's own tests, its nodes in no order."""
    return {
        "nodes": {
            "n4": {"coro": StringFuncs.output_coro, "properties": last},
            "n2": {"coro": StringFuncs.upper},
            "n1": {"coro": StringFuncs.reverse},
            "n3": {"coro": StringFuncs.lower},
            "inp": {"coro": StringFuncs.input_coro},
        },
        "graph": {
            "inp": ("n1",),
            "n1": ("n2", "n3"),
            "n2": ("n3", "n4"),
            "n3": ("n4",),
            "n4": None,
        },
    }


def test_the_seeds_test_graph_merges() -> None:
    """With aggregate_inputs false a node gets a tuple of one for each item of each edge."""
    report = ended(Plumber(seed_tests_graph(aggregate_inputs=False), lambda x: x).run())
    assert {len(row) for row in StringFuncs.shown} == {1}
    assert len(StringFuncs.shown) == 40
    strings = [row[0] for row in StringFuncs.shown if isinstance(row[0], str)]
    pairs = [row[0] for row in StringFuncs.shown if isinstance(row[0], tuple)]
    assert len(strings) == len(pairs) == 20
    assert [text.lower() for text in strings] == [b for _, b in pairs]
    assert report.nodes["n4"].received == 40


def test_the_seeds_test_graph_joins() -> None:
    """Aggregated, the same node gets what belongs together, in the order of the edges' sources."""
    ended(Plumber(seed_tests_graph(), lambda x: x).run())
    assert len(StringFuncs.shown) == 20
    assert all(upper.lower() == low and low == again for upper, (again, low) in StringFuncs.shown)


def test_the_order_of_a_row_is_that_of_the_graph() -> None:
    """A tuple's order comes from the order in `graph`, not from that of the nodes."""

    async def feed(self: Processor, output_q: Any) -> None:
        await output_q.put("x")

    async def name(self: Processor, q_elt: tuple[str, ...]) -> str:
        return self.name

    document = {
        "nodes": {
            "out": {"coro": StringFuncs.output_coro},
            "a": {"coro": name},
            "b": {"coro": name},
            "c": {"coro": name},
            "inp": {"coro": feed},
        },
        "graph": {"c": ("out",), "inp": ("b", "a", "c"), "a": "out", "b": ["out"]},
    }
    ended(Plumber(document, lambda x: x).run())
    assert StringFuncs.shown == [("c", "a", "b")]


def test_arguments_and_environment_reach_the_coroutines() -> None:
    """`args` come as keywords, and `env_vars` is the same object on every processor."""
    environment = {"greeting": "hello"}
    seen: list[Any] = []

    async def feed(self: InputProcessor, output_q: Any, count: int, first: int = 0) -> None:
        assert self.env_vars is environment
        for number in range(first, first + count):
            await output_q.put(number)

    async def greet(self: Processor, q_elt: tuple[int, ...], name: str, mark: str = ".") -> None:
        seen.append(f"{self.env_vars['greeting']} {name} {q_elt[0]}{mark}")

    document = {
        "nodes": {
            "inp": {"coro": feed, "args": {"count": 2, "first": 5}},
            "out": {"coro": greet, "args": {"name": "you", "mark": "!"}},
        },
        "graph": {"inp": ("out",), "out": None},
    }
    ended(Plumber(document, lambda x: x, env_vars=environment).run())
    assert seen == ["hello you 5!", "hello you 6!"]


def test_the_processors_are_there_to_see() -> None:
    """`nodes` has a processor for each node, with what the seed's had."""
    plumber = Plumber(README, coro_map=lambda x: x)
    inp, rev, out = plumber.nodes
    assert [each.name for each in plumber.nodes] == ["inp", "rev", "out"]
    assert isinstance(inp, InputProcessor)
    assert not isinstance(rev, InputProcessor)
    assert isinstance(rev, Processor)
    assert len({each.uuid for each in plumber.nodes}) == 3
    assert all(set(str(each.uuid)) <= set(string.hexdigits + "-") for each in plumber.nodes)
    assert rev.processor_coro == StringFuncs.reverse
    assert [len(queues) for queues in rev.liason_queues] == [1, 1]
    assert [len(queues) for queues in out.liason_queues] == [2, 0]
    assert inp.liason_queues[1][0] is rev.liason_queues[0][0]
    assert rev.liason_queues[0][0].qsize() == 0
    assert rev.env_vars is None


def test_a_coroutine_without_a_result_passes_none_on() -> None:
    """A coroutine that returns nothing gives `None`, which is an item like any other."""

    async def feed(self: Processor, output_q: Any) -> None:
        await output_q.put(1)

    async def forget(self: Processor, q_elt: tuple[int, ...]) -> None:
        pass

    document = {
        "nodes": {
            "inp": {"coro": feed},
            "f": {"coro": forget},
            "out": {"coro": StringFuncs.output_coro},
        },
        "graph": {"inp": ("f",), "f": ("out",)},
    }
    ended(Plumber(document, lambda x: x).run())
    assert StringFuncs.shown == [(None,)]


def test_the_queue_of_an_input_is_a_queue() -> None:
    """`output_q` knows `qsize`, `full`, `empty`, `maxsize` and `put_nowait`, as asyncio's does."""
    seen: list[Any] = []

    async def feed(self: Processor, output_q: Any) -> None:
        seen.append((output_q.maxsize, output_q.qsize(), output_q.empty(), output_q.full()))
        for number in range(3):
            output_q.put_nowait(number)
        seen.append((output_q.qsize(), output_q.empty(), output_q.full()))
        with pytest.raises(asyncio.QueueFull):
            output_q.put_nowait(3)
        await output_q.put(3)
        seen.append(output_q.qsize() <= 3)

    document = {
        "nodes": {
            "inp": {"coro": feed},
            "out": {"coro": StringFuncs.output_coro, "properties": {"buffer_size": 3}},
        },
        "graph": {"inp": ("out",)},
    }
    report = ended(Plumber(document, lambda x: x).run())
    assert seen == [(3, 0, True, False), (3, False, True), True]
    assert StringFuncs.shown == [(0,), (1,), (2,), (3,)]
    assert report.nodes["inp"].received == 4


def test_an_input_may_put_from_tasks_of_its_own() -> None:
    """Producers that an input coroutine starts share its queue, and wait for room like itself."""

    async def feed(self: Processor, output_q: Any) -> None:
        async def produce(name: str) -> None:
            for number in range(100):
                await output_q.put((name, number))

        await asyncio.gather(produce("a"), produce("b"))

    async def slow(self: Processor, q_elt: tuple[Any, ...]) -> None:
        await asyncio.sleep(0.001)
        StringFuncs.shown.append(q_elt[0])

    document = {
        "nodes": {
            "inp": {"coro": feed},
            "out": {"coro": slow, "properties": {"buffer_size": 2}},
        },
        "graph": {"inp": ("out",)},
    }
    ended(Plumber(document, lambda x: x).run())
    for name in "ab":
        assert [n for each, n in StringFuncs.shown if each == name] == list(range(100))


def test_a_failing_coroutine_names_its_node() -> None:
    """What the seed dropped with a log line is the run's error now."""

    async def fail(self: Processor, q_elt: tuple[str, ...]) -> None:
        raise KeyError(q_elt[0])

    document = {
        "nodes": {"inp": {"coro": StringFuncs.input_coro}, "bad": {"coro": fail}},
        "graph": {"inp": ("bad",)},
    }
    with pytest.raises(Exception, match=r"node 'bad' failed on item .*KeyError"):
        ended(Plumber(document, lambda x: x).run())
