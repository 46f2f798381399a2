"""Steps that live in threads: classes, and functions made into them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from pipelines import StepError
from pipelines.frontends.generators import chunk, flatten
from pipelines.frontends.threads import (
    AbstractIterStep,
    AbstractStep,
    Pipeline,
    SkipEntry,
    Step,
    funcstep,
    iterstep,
)


def run(steps: list[Any], items: Any, **options: Any) -> list[Any]:
    """Run items through steps; return what comes out."""
    out: list[Any] = []
    pipeline = Pipeline([*steps, (out.append, 1)], **options)
    pipeline.put_all(items)
    pipeline.finish()
    pipeline.run()
    return out


class Told(AbstractStep):
    """Notes what it is told, and in which thread."""

    events: ClassVar[list[tuple[str, int, str]]] = []

    def note(self, what: str) -> None:
        """Note it."""
        self.events.append((what, self.sibling.index, threading.current_thread().name))

    def step_initialize(self) -> None:
        """Note it."""
        self.note("step_initialize")

    def initialize(self, **options: Any) -> None:
        """Note it."""
        self.note(f"initialize {options}")

    def thread_initialize(self) -> None:
        """Note it."""
        self.note("thread_initialize")

    def process(self, item: Any) -> Any:
        """Meet the other threads, so that each gets an item."""
        if self.options.get("together"):
            BARRIER.wait(5)
        return item

    def thread_shutdown(self) -> None:
        """Note it."""
        self.note("thread_shutdown")

    def step_shutdown(self) -> None:
        """Note it."""
        self.note("step_shutdown")


BARRIER = threading.Barrier(3)


@pytest.fixture
def events() -> list[tuple[str, int, str]]:
    """Return what `Told` notes."""
    Told.events.clear()
    return Told.events


def test_a_step_is_told_of_its_life(events: list[Any]) -> None:
    """In order, in its own thread, and also where no item comes."""
    assert run([(Told, 1, {"a": 1})], []) == []
    here = "pipelines:Told:0"
    assert events == [
        ("step_initialize", 0, here),
        ("initialize {'a': 1}", 0, here),
        ("thread_initialize", 0, here),
        ("thread_shutdown", 0, here),
        ("step_shutdown", 0, here),
    ]


def test_each_thread_has_an_instance_of_its_own(events: list[Any]) -> None:
    """Which begins and ends in that thread; the step begins and ends once."""
    assert run([Step(Told, 3, {"together": True}, timeout=5)], range(3)) == [0, 1, 2]
    begun = {(index, name) for what, index, name in events if what == "thread_initialize"}
    assert begun == {(index, name) for what, index, name in events if what == "thread_shutdown"}
    assert {index for index, _ in begun} == {0, 1, 2}
    assert len({name for _, name in begun}) == 3
    whats = [what for what, _, _ in events]
    assert whats[0] == "step_initialize"
    assert whats[-1] == "step_shutdown"
    assert whats.count("step_initialize") == whats.count("step_shutdown") == 1


def test_instances_share_a_storage() -> None:
    """And know of each other."""

    class Shared(AbstractStep):
        def process(self, item: int) -> tuple[int, bool]:
            seen = self.sibling.storage.setdefault("seen", [])
            seen.append(item)
            return len(seen), self in self.sibling.threads

    out = run([Step(Shared, 3, ordered=False)], range(30))
    assert max(count for count, _ in out) == 30
    assert all(known for _, known in out)


@pytest.mark.parametrize("executor", ["thread", "inline", "process"])
def test_a_class_runs_wherever_it_is_told_to(executor: str) -> None:
    """In threads by default; in the loop or in processes it is one instance each."""
    assert run([Step(Negate, 2, {"shift": 1}, executor=executor)], range(3)) == [1, 0, -1]


class Negate(AbstractStep):
    """Turns the sign."""

    def initialize(self, shift: int = 0) -> None:
        """Keep the shift."""
        self.shift = shift

    def process(self, item: int) -> int:
        """Turn the sign."""
        return self.shift - item


def test_an_entry_is_skipped() -> None:
    """By `SkipEntry`, from a class or a function; it is counted, and not retried."""

    class Filter(AbstractStep):
        def process(self, item: int) -> int:
            if not item:
                raise SkipEntry
            return item

    def skip_empty(item: int) -> int:
        if item == 1:
            raise SkipEntry("no ones")
        return item

    pipeline = Pipeline([(Filter, 2), (funcstep(skip_empty), 2)], max_retries=5)
    pipeline.put_all([0, 1, 2, 0])
    pipeline.finish()
    report = pipeline.run()
    assert pipeline.count == 1
    assert [report.nodes[name].skipped for name in ("Filter", "skip_empty")] == [2, 1]
    assert report.nodes["Filter"].retried == 0


def test_what_a_function_step_is_made_of() -> None:
    """A function, a builtin, a partial, an object: named after it, and with its docstring."""

    def shorten(item: str) -> str:
        """Shorten it."""
        return item[:2]

    made = funcstep(shorten)
    assert issubclass(made, AbstractStep)
    assert (made.__name__, made.__doc__) == ("shorten", "Shorten it.")
    assert made().process("abc") == "ab"
    base_two = funcstep(functools.partial(int, base=2))
    assert run([(made, 1), (base_two, 2)], ["10", "111"]) == [2, 3]
    with pytest.raises(TypeError, match="a step is made of a function, not of 7"):
        funcstep(7)  # type: ignore[arg-type]


def test_a_function_step_on_a_base_of_ones_own() -> None:
    """The base's life is that of the step."""
    begun: list[str] = []

    class Base(AbstractStep):
        def thread_initialize(self) -> None:
            begun.append(threading.current_thread().name)

    assert run([(funcstep(str, base=Base), 1)], [1, 2]) == ["1", "2"]
    assert begun == ["pipelines:str:0"]


def test_an_iterator_step() -> None:
    """It keeps state from item to item, and what it gives at the end comes too."""

    def count(items: Iterator[str]) -> Iterator[str]:
        number = 0
        for number, item in enumerate(items, 1):
            if item:
                yield f"{number} {item}"
        yield f"{number} in all"

    assert run([(iterstep(count), 1)], ["a", "", "c"]) == ["1 a", "3 c", "3 in all"]
    assert run([(iterstep(chunk(2)), 1), (iterstep(flatten), 1)], range(5)) == [0, 1, 2, 3, 4]
    assert run([(iterstep(lambda items: None), 1)], range(5)) == []


def test_an_iterator_step_with_options() -> None:
    """They are keyword arguments of its function."""

    def scale(items: Iterator[int], by: int) -> Iterator[int]:
        return (item * by for item in items)

    assert run([(iterstep(scale), 1, {"by": 3})], range(3)) == [0, 3, 6]


def test_an_iterator_step_in_several_threads() -> None:
    """Each has a share of the items; all are there in the end."""
    out = run([(iterstep(chunk(10)), 2)], range(95))
    assert sorted(item for each in out for item in each) == list(range(95))
    assert all(len(each) <= 10 for each in out)


def test_an_iterator_step_may_not_raise_skip_entry() -> None:
    """It has several items in hand, or none: the run ends, and says why."""

    def skip(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            if item == 2:
                raise SkipEntry
            yield item

    with pytest.raises(StepError, match="failed on item 2: SkipEntry"):
        run([(iterstep(skip), 1)], range(5))


def test_an_iterator_step_as_a_class() -> None:
    """With a life in its thread, as any class."""
    events: list[str] = []

    class Sums(AbstractIterStep):
        def thread_initialize(self) -> None:
            events.append(f"begin {threading.current_thread().name}")

        def process(self, items: Iterator[int]) -> Iterator[int]:
            total = 0
            for item in items:
                total += item
                yield total

        def thread_shutdown(self) -> None:
            events.append(f"end {threading.current_thread().name}")

        def step_shutdown(self) -> None:
            events.append("over")

    assert run([(Sums, 1)], range(4)) == [0, 1, 3, 6]
    assert events == ["begin pipelines:Sums:0", "end pipelines:Sums:0", "over"]


def test_threads_are_shut_down_after_a_failure_too() -> None:
    """Each in its own, and the step behind them."""
    events: list[str] = []

    class Fails(AbstractStep):
        def process(self, item: int) -> int:
            raise ValueError(item)

        def thread_shutdown(self) -> None:
            events.append(threading.current_thread().name)

        def step_shutdown(self) -> None:
            events.append("over")

    with pytest.raises(StepError, match="ValueError: 1"):
        run([(Fails, 1)], [1])
    assert events == ["pipelines:Fails:0", "over"]


@pytest.mark.parametrize("hook", ["step_initialize", "initialize", "thread_initialize"])
def test_a_beginning_that_fails_fails_the_run(hook: str) -> None:
    """Before any item."""

    def fail(self: Any, **options: Any) -> None:
        raise OSError("no such database")

    broken = type("Broken", (Negate,), {hook: fail})
    with pytest.raises(StepError, match="node 'Broken' failed while starting: OSError: no such"):
        run([(broken, 2)], [1])


@pytest.mark.parametrize("hook", ["thread_shutdown", "step_shutdown"])
def test_an_end_that_fails_fails_the_run(hook: str) -> None:
    """What is not written at the end is not written."""

    def fail(self: Any) -> None:
        raise OSError("disk full")

    broken = type("Broken", (Negate,), {hook: fail})
    with pytest.raises(StepError, match="node 'Broken' failed while closing: OSError: disk full"):
        run([(broken, 2, {"shift": 1})], [1])


def test_a_thread_that_was_given_up_is_shut_down_when_it_returns() -> None:
    """A call that took too long is not waited for, but its thread's end comes all the same."""
    hang, over = threading.Event(), threading.Event()
    BUSY.update(hang=hang, over=over)
    pipeline = Pipeline([Step(Hangs, 1, timeout=0.05, on_error="skip")])
    pipeline.put_all(["hang", "go on"])
    pipeline.finish()
    pipeline.run()
    assert pipeline.count == 1
    hang.set()
    assert over.wait(5)


BUSY: dict[str, threading.Event] = {}


class Hangs(AbstractStep):
    """Hangs on the first item."""

    hung = False

    def process(self, item: str) -> str:
        """Hang where it is said."""
        if item == "hang":
            self.hung = True
            BUSY["hang"].wait(5)
        return item

    def thread_shutdown(self) -> None:
        """Tell where it hung."""
        if self.hung:
            BUSY["over"].set()
