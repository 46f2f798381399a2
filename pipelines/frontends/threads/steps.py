"""Steps that live in threads: a class of your own, or a function made into one."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from pipelines.step import StreamStep

__all__ = ["AbstractIterStep", "AbstractStep", "Sibling", "funcstep", "iterstep"]


@dataclass(slots=True)
class Sibling:
    """What the instances of one step know of each other.

    Attributes:
        index: this one's number, from 0.
        storage: a dict that all of them share.
        threads: all of them, in the order of their numbers; some may still come.
    """

    index: int = 0
    storage: dict[Any, Any] = field(default_factory=dict)
    threads: list[Any] = field(default_factory=list)


class Hooks:
    """What a step may do besides processing items; see `AbstractStep`."""

    def step_initialize(self) -> None:
        """Prepare the step, once."""

    def initialize(self, **options: Any) -> None:
        """Prepare this instance."""

    def thread_initialize(self) -> None:
        """Prepare this thread."""

    def thread_shutdown(self) -> None:
        """Clean up after this thread."""

    def step_shutdown(self) -> None:
        """Clean up after the step, once."""


class AbstractStep(Hooks, abc.ABC):
    """The base of a step of which each thread has an instance of its own.

    Override `process`, and of the others what you need. In the order in which they are called:

    - `step_initialize`: once, in the first instance.
    - `initialize`: in each instance, with the step's options.
    - `thread_initialize`: in each instance, in its thread, before its first item.
    - `process`: for each item.
    - `thread_shutdown`: in each instance, in its thread, behind its last item.
    - `step_shutdown`: once, in the last instance, when all threads are done.

    All but `step_shutdown` are called in the instance's own thread. An instance is made when its
    thread gets its first item; the first one at once.

    Args:
        options: are passed to `initialize`.

    Attributes:
        options: the same.
        sibling: what it shares with the other instances of this step.
    """

    #: What `funcstep` or `iterstep` made this class of.
    function: ClassVar[Callable[..., Any] | None] = None

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sibling = Sibling()
        self._here = threading.local()
        self._lock = threading.Lock()

    @abc.abstractmethod
    def process(self, item: Any) -> Any:
        """Return what becomes of an item.

        Raises:
            SkipEntry: nothing does.
        """

    # What the engine calls: on one instance, which stands for those of the threads.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.exit_thread()
        if self.sibling.threads:
            self.sibling.threads[-1].step_shutdown()

    def enter_thread(self) -> Self:
        """Make the instance of the calling thread, unless it has one; return it."""
        if not hasattr(self._here, "step"):
            self._here.step = self._sibling()
            self._here.step.thread_initialize()
        step: Self = self._here.step
        return step

    def exit_thread(self) -> None:
        """End the instance of the calling thread, if it has one."""
        if hasattr(self._here, "step"):
            step = self._here.step
            del self._here.step
            step.thread_shutdown()

    def __call__(self, item: Any) -> Any:
        """Have the instance of the calling thread process an item."""
        return self.enter_thread().process(item)

    def _sibling(self) -> Self:
        """Return a new instance, made known to the others."""
        step = type(self)(**self.options)
        with self._lock:  # one at a time, so that all find what the first has prepared
            shared = self.sibling
            step.sibling = Sibling(len(shared.threads), shared.storage, shared.threads)
            if not shared.threads:
                step.step_initialize()
            shared.threads.append(step)
            step.initialize(**self.options)
        return step


class AbstractIterStep(AbstractStep, StreamStep):
    """The base of a step of which each thread takes its share of the items as an iterator.

    Its `process` gets the iterator, and gives an iterable of results, or `None`.
    """

    @abc.abstractmethod
    def process(self, item: Iterator[Any]) -> Iterable[Any] | None:
        """Return what becomes of all items that come to this thread."""

    def stream(self, items: Iterator[Any]) -> Iterator[Any]:
        """Give the results of the calling thread's instance."""
        step = self.enter_thread()
        try:
            yield from step.process(items) or ()
        finally:
            self.exit_thread()


def funcstep(function: Callable[[Any], Any], base: Any = AbstractStep) -> Any:
    """Return a step class of a function that takes an item and returns what becomes of it.

    Args:
        function: may raise `SkipEntry`: nothing goes on for this item.
        base: what the class derives from: `AbstractStep`, or a class that does so itself.
    """
    if not callable(function):
        raise TypeError(f"a step is made of a function, not of {function!r}")
    name = getattr(function, "__name__", type(function).__name__)
    own = {
        "process": staticmethod(function),
        "function": staticmethod(function),
        "__module__": getattr(function, "__module__", __name__),
        "__doc__": getattr(function, "__doc__", None),
    }
    return type(name, (base,), own)


def iterstep(function: Callable[[Iterator[Any]], Iterable[Any] | None]) -> Any:
    """Return a step class of a function that takes an iterator of items and returns one of results.

    With several threads each of them calls it, with an iterator over a share of the items. It may
    keep state from item to item. To leave an item out it does not yield; `SkipEntry` has no meaning
    in it, and ends the run.
    """
    return funcstep(function, base=AbstractIterStep)
