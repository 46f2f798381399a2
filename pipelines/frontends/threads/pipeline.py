"""A line of steps in threads, fed in whichever way suits."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from pipelines.channel import Channel
from pipelines.check import compile_graph
from pipelines.errors import PipelinesError
from pipelines.frontends.background import Background
from pipelines.frontends.threads.queues import POLL, QueueItems
from pipelines.frontends.threads.spec import line, steps_of
from pipelines.metrics import Reporter, RunReport
from pipelines.plumber import Plumber
from pipelines.spec import GraphSpec

__all__ = ["Pipeline"]

logger = logging.getLogger(__name__)


class Pipeline:
    """Takes items through steps, each of which runs in threads of its own.

    An item's results come in its order, however many threads a step has, unless the step says
    ``ordered=False``. The first failure that no property tolerates ends the run, and is raised by
    `run` or `stop` when all threads are gone. A pipeline runs once.

    Used as a context manager it runs in the background, and leaving the block is `stop`; an
    exception that leaves the block cancels the run instead.

    Args:
        steps: ``(step, n_threads)``, ``(step, n_threads, options)``, or `Step`. A step is a
            function of an item, a subclass of `AbstractStep`, or what `funcstep` or `iterstep`
            returned.
        in_queue: a queue to take items from; then `put` puts into it. Without it `put` keeps any
            number of items, so bound it with ``queue.Queue(maxsize)`` or use `put_iterable`.
        daemon: whether the program may end without waiting for a run in the background.
        fail_callback: called without arguments when the run has failed.
        max_retries: how often an item is tried again, at once; the property `retry` says more.
        dead_letter: the document of a step for dead letters: ``{"func": …, "args": …}``.
        runtime: of the whole run, such as ``{"max_failures": "5%"}``.
        reporters: are told how the run goes.
        properties: of every step that does not say otherwise, such as ``on_error="skip"``.

    Attributes:
        in_queue: as given.
        ok: whether nothing has failed.
        report: how the run ended; `None` before that.

    Raises:
        GraphError: a property is wrong, or does not go with its step; it lists every problem.
        TypeError, ValueError: a step is none.
    """

    def __init__(
        self,
        steps: Iterable[Any],
        in_queue: queue.Queue[Any] | None = None,
        daemon: bool = False,
        fail_callback: Callable[[], object] | None = None,
        *,
        max_retries: int = 0,
        dead_letter: Mapping[str, Any] | None = None,
        runtime: Mapping[str, Any] | None = None,
        reporters: Iterable[Reporter] = (),
        **properties: Any,
    ) -> None:
        if "concurrency" in properties:
            raise TypeError("a step's concurrency is its threads: (step, n_threads)")
        if max_retries:
            properties.setdefault("retry", {"attempts": max_retries + 1, "backoff": 0})
        said = {"defaults": properties, "dead_letter": dead_letter, "runtime": runtime}
        self._document = {key: value for key, value in said.items() if value}
        self._steps = steps_of(steps)
        self.in_queue = in_queue
        self.ok = True
        self.report: RunReport | None = None
        self._daemon = daemon
        self._fail_callback = fail_callback
        self._reporters = tuple(reporters)
        self._items = Channel()
        self._iterables: list[Any] = []
        self._finished = threading.Event()
        self._plumber: Plumber | None = None
        self._background: Background | None = None
        compile_graph(self.spec())

    # Feeding.

    def put(self, item: Any) -> None:
        """Put one item in, before the run or during it.

        It waits only where a bounded `in_queue` is full.

        Raises:
            PipelinesError: the pipeline takes no more items, or nothing takes them from a full
                `in_queue`.
        """
        if self.in_queue is not None and not self._finished.is_set():
            self._put_in_queue(self.in_queue, item)
        elif not self._items.put(item):
            raise PipelinesError(f"nothing more can be put: {self._why_closed()}")

    def put_all(self, iterable: Iterable[Any]) -> None:
        """Put all items of an iterable in, at once."""
        for item in iterable:
            self.put(item)

    def put_iterable(self, iterable: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        """Have the items of an iterable taken during the run, only as fast as they are needed.

        Args:
            iterable: is iterated over in a thread; or a function that returns it.

        Raises:
            TypeError: it is neither.
            PipelinesError: the run has begun.
        """
        if self._plumber is not None:
            raise PipelinesError("put_iterable() comes before the run; during it, use put()")
        if not (callable(iterable) or isinstance(iterable, Iterable)):
            raise TypeError(f"put_iterable() takes an iterable, not {type(iterable).__name__}")
        # In a graph a text would name a step, and a mapping is no source.
        self._iterables.append(
            list(iterable) if isinstance(iterable, str | bytes | Mapping) else iterable
        )

    def finish(self) -> None:
        """Say that nothing more will be put: the run then ends behind the last item."""
        self._finished.set()
        self._items.close()

    def _put_in_queue(self, items: queue.Queue[Any], item: Any) -> None:
        while not self._finished.is_set():
            try:
                return items.put(item, timeout=POLL)
            except queue.Full:
                if self._plumber is None:
                    raise PipelinesError(
                        "the in_queue is full, and nothing takes from it yet: "
                        "call run_forever(background=True) first"
                    ) from None
        raise PipelinesError(f"nothing more can be put: {self._why_closed()}")

    def _why_closed(self) -> str:
        if not self.ok:
            return "the run has failed"
        return "the run has ended" if self.report is not None else "finish() was called"

    # Running.

    def run(self) -> RunReport:
        """Run until all items are through, and return the report.

        In the main thread the first SIGINT or SIGTERM drains, see `Plumber.run_sync`.

        Raises:
            ValueError: that would never be, as nothing says which item is the last one.
            StepError: a step failed, and its properties do not tolerate it.
        """
        if not self._finished.is_set():
            if not self._iterables or self.in_queue is not None:
                raise ValueError(
                    "run() would wait for more items for ever: call finish() or put_iterable() "
                    "first, or use run_forever()"
                )
            self.finish()
        return self._run_here()

    def run_forever(self, background: bool = False) -> None:
        """Run until `finish` is called and all items are through.

        Args:
            background: do so in a thread, and return at once; `stop` then ends it.
        """
        if not background:
            self._run_here()
            return
        run = Background(self._start(), daemon=self._daemon, ended=self._ended)
        self._background = run
        run.start()

    def stop(self) -> None:
        """Finish, and wait for the end of a run in the background; once more changes nothing.

        Raises:
            RuntimeError: nothing runs in the background.
            StepError: a step failed, and its properties do not tolerate it.
        """
        run = self._background
        if run is None:
            raise RuntimeError(
                "nothing runs in the background: run_forever(background=True) starts it"
            )
        try:
            self.finish()
            run.result()
        except BaseException:
            run.cancel()  # also when it was this wait that Ctrl-C ended
            run.join()
            raise

    def __enter__(self) -> Self:
        self.run_forever(background=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run = self._background
        if run is None or error is None or (isinstance(error, PipelinesError) and run.failed):
            self.stop()
            return
        run.cancel()
        run.join()

    # What there is to see.

    @property
    def alive(self) -> bool:
        """Whether it runs, and nothing has failed."""
        return self._plumber is not None and self.ok and self.report is None

    @property
    def count(self) -> int:
        """How many items have come out of the last step."""
        if self._plumber is None:
            return 0
        nodes = self._plumber.snapshot().nodes
        return list(nodes.values())[-1].passed_on

    def spec(self) -> GraphSpec:
        """Return the pipeline as a graph; `to_yaml` writes it where its functions can be imported.

        Items that were put are no part of it: their input node is fed by `Plumber.put`.
        """
        return line(self._sources(running=False), self._steps, self._document)

    def _sources(self, running: bool) -> dict[str, dict[str, Any]]:
        """Return the documents of the input nodes, with what feeds them if they are to run."""
        found: dict[str, dict[str, Any]] = {}
        if self.in_queue is not None:
            found["in_queue"] = {"func": QueueItems(self.in_queue, self._finished)}
        for number, iterable in enumerate(self._iterables, 1):
            name = "iterable" if number == 1 else f"iterable_{number}"
            found[name] = {"func": iterable, "properties": {"executor": "thread"}}
        if not found or self._items or (running and not self._items.closed):
            found["put"] = {"func": self._items}
        if "executor" in self._document.get("defaults", {}):
            inline = {"properties": {"executor": "inline"}}
            found = {name: inline | node for name, node in found.items()}
        return found if running else {name: _unfed(node) for name, node in found.items()}

    def _start(self) -> Plumber:
        if self._plumber is not None:
            raise PipelinesError("a Pipeline runs once: make another one to run it again")
        graph = line(self._sources(running=True), self._steps, self._document)
        self._plumber = Plumber(graph, reporters=self._reporters)
        return self._plumber

    def _run_here(self) -> RunReport:
        _refuse_a_loop()
        plumber = self._start()
        try:
            return plumber.run_sync()
        finally:
            self._ended()

    def _ended(self) -> None:
        """Be told that the run is over, in the thread where it was."""
        report = self._plumber.report if self._plumber is not None else None
        self.ok = report is not None and report.ok
        self.report = report
        self.finish()
        if not self.ok and self._fail_callback is not None:
            try:
                self._fail_callback()
            except Exception:
                logger.exception("the fail_callback failed")


def _unfed(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input node's document without what only a run has."""
    ours = isinstance(node.get("func"), Channel | QueueItems)
    return {key: value for key, value in node.items() if not (ours and key == "func")}


def _refuse_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "this would block the event loop that runs here: use run_forever(background=True), or "
        "await asyncio.to_thread(pipeline.run)"
    )
