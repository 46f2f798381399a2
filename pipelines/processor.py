"""One node at run time: its step, its ways in and out, its counters, and how it bears failure."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pipelines.edge import GAP, Edge, Gap, Outlet
from pipelines.errors import StepError, describe, shorten
from pipelines.executor import Caller, Executor, ThreadExecutor, exc_info, processors
from pipelines.failure import Again, Buried, Tolerance, again, misused
from pipelines.inlet import Inlet, JoinInlet
from pipelines.metrics import NodeCounts, State
from pipelines.pace import Seats, Throttle, Watch
from pipelines.schedule import Schedule, clock
from pipelines.spec import NodeSpec, Properties
from pipelines.step import SKIP, Route, Shape, Skip, SkipEntry, Step

__all__ = ["ASYNC_CONCURRENCY", "Processor", "enter", "enter_inline", "is_cancelled"]

logger = logging.getLogger(__name__)

#: Calls in flight of an async node that passes items on and does not say.
ASYNC_CONCURRENCY = 16


class Processor:
    """One node of a running graph. A seed's coroutine gets it as its first argument.

    Attributes:
        name: the node's name.
        env_vars: what was given to the `Plumber`, the same object for all nodes.
        spec, properties: what the graph says, defaults filled in.
        shape: the kind of step.
        concurrency: calls it may have in flight.
        inlet, outlet: the way in (`None` on an input node) and out.
        received, finished, skipped, dead_lettered, failed, retried: counters, in items; see
            `metrics.NodeCounts`. `finished` counts every item that is done, however it went.
        yielded: values sent on, where they are not as many as the items passed on.
        refresh: brings the counters up to date; a pool derives them from its own.
        worked: seconds at work, where a line measures them; see `busy`.
        tolerated: failures that did not end the run.
        line: the nodes that this one runs as one with, as long as they do; see `gain`.
        regroup: nodes of the line that begins here have gained edges, or may.
        apart: it must run as one with no other node from now on.
        own_loop: what it runs instead of the loop of its kind; is given what `loops.Loop` is.
        seats, throttle: what bounds its calls together with those of others; see `borrow`.
        instance: what a step that is a class was constructed to, where that is in this process.
        gate: it waits for this before it begins, and `passage` is the gate of the next one.
    """

    # A dict of so many names takes five times the room, which shows in a graph of ten thousand
    # nodes. There is one all the same once a seed's coroutine keeps something of its own here.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_alone_since",
        "_bury",
        "_exits",
        "_gained",
        "_idle_before",
        "apart",
        "began",
        "blocked",
        "call",
        "concurrency",
        "dead_lettered",
        "ended",
        "env_vars",
        "executor",
        "failed",
        "finished",
        "inlet",
        "last_error",
        "line",
        "name",
        "outlet",
        "properties",
        "received",
        "refresh",
        "regroup",
        "retried",
        "schedule",
        "shape",
        "skipped",
        "spec",
        "star",
        "starved",
        "state",
        "step",
        "task",
        "tolerance",
        "tolerated",
        "worked",
        "yielded",
    )

    inlet: Inlet | None

    # What few nodes have is looked up at the class: it costs those that don't nothing.
    own_loop: Callable[[Any], Awaitable[None]] | None = None
    instance: Any = None
    seats: Seats | None = None
    throttle: Throttle | None = None
    gate: asyncio.Event | None = None
    passage: asyncio.Event | None = None
    _owner: Processor | None = None

    #: What a failure's message says was under way.
    doing = "on item"

    def __init__(
        self,
        spec: NodeSpec,
        properties: Properties,
        *,
        target: Any,
        shape: Shape,
        inlet: Inlet | None,
        outlet: Outlet,
        schedule: Schedule,
        tolerance: Tolerance,
        bury: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
        env_vars: Any = None,
    ) -> None:
        self.name = spec.name
        self.env_vars = env_vars
        self.spec = spec
        self.properties = properties
        self.shape = shape
        self.inlet = inlet
        self.outlet = outlet
        self.schedule = schedule
        self.tolerance = tolerance
        self.step = Step(
            target,
            spec.args,
            shape,
            spread=isinstance(inlet, JoinInlet),
            seed=self if spec.coro is not None else None,
        )
        self.concurrency = properties.concurrency or self._default_concurrency()
        self.executor: Caller | None = None
        self.call: Callable[[Any], Any] = _no_step
        self.star: Callable[..., Any] | None = None
        self.state: State = "waiting"
        self.starved = 0.0
        self.blocked = 0.0
        self.worked = 0.0
        self._alone_since: float | None = None
        self._idle_before = 0.0
        self.refresh: Callable[[], None] = _nothing
        self.began = self.ended = 0.0
        self.received = self.finished = self.skipped = self.dead_lettered = self.failed = 0
        self.retried = self.yielded = self.tolerated = 0
        self.last_error = ""
        self.task: asyncio.Task[Any] | None = None
        self.line: Sequence[Processor] = ()
        self.regroup = False
        self.apart = False
        self._gained: tuple[Edge, ...] = ()
        self._bury = bury
        self._exits: contextlib.AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @functools.cached_property
    def uuid(self) -> str:
        """What tells this run's node from all others, as text."""
        return str(uuid.uuid4())

    @property
    def processor_coro(self) -> Any:
        """The callable that the node runs."""
        return self.step.target

    @property
    def liason_queues(self) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
        """The queues that lead in and those that lead out."""
        return (() if self.inlet is None else self.inlet.edges), tuple(self.outlet.edges)

    @property
    def width(self) -> int:
        """How many edges' items make up one entry: several for an aggregated join."""
        return 1 if self.inlet is None else self.inlet.width

    def _default_concurrency(self) -> int:
        if not self.outlet.edges:
            return 1
        if self.properties.executor == "process":
            return processors()
        return ASYNC_CONCURRENCY if self.shape.is_async else 1

    async def enter(self) -> None:
        """Make the step ready to be called: construct and enter a class, open an executor.

        Raises:
            StepError: the step's constructor or enter raised.
        """
        if self._owner is not None:
            owner = self._owner
            self.call, self.star, self.executor = owner.call, owner.star, owner.executor
            return
        try:
            await self._enter()
        except Exception as error:
            raise StepError(self.name, None, error, doing="while starting") from error

    async def exit(self, error: BaseException | None) -> None:
        """Exit the step, once, as for a run that ended with `error`.

        Raises:
            StepError: the step's exit raised.
        """
        stack, self._exits = self._exits, None
        if stack is None:
            return
        try:
            await stack.__aexit__(*exc_info(error))
        except (Exception, asyncio.CancelledError) as raised:
            if raised is not error and not (is_cancelled() and not isinstance(raised, Exception)):
                raise StepError(self.name, None, raised, doing="while closing") from raised

    async def _enter(self) -> None:
        kind = self.properties.executor
        if kind != "inline" and self.inlet is not None and not self.shape.streams:
            runs = ThreadExecutor if kind == "thread" else _process_executor()
            self.executor = executor = runs(self.name, self.step, self.concurrency)
            self._to_exit().push_async_exit(_Closing(executor))
            await executor.open()
            return
        if self.shape.is_class:
            self.instance = await enter_inline(self.step, self._to_exit())
        self.call = self.step.bind(self.instance)
        self.star = self.step.star(self.instance)

    def _to_exit(self) -> contextlib.AsyncExitStack:
        """Return what `exit` exits; most steps have nothing, and a stack takes a kilobyte."""
        if self._exits is None:
            self._exits = contextlib.AsyncExitStack()
        return self._exits

    # Taking turns with others that run the same step.

    def borrow(self, owner: Processor) -> None:
        """Run the step of another node that has been entered, and share what bounds its calls."""
        self._owner = owner
        self.seats, self.throttle = owner.seats, owner.throttle

    @property
    def gated(self) -> bool:
        """Whether it has to wait for another one before it begins."""
        return self.gate is not None and not self.gate.is_set()

    def pass_gate(self) -> None:
        """Let the one that waits for this one begin: it has taken all its items."""
        if self.passage is not None:
            self.passage.set()

    # Gaining edges.

    def gain(self, edge: Edge) -> None:
        """Send over one more edge: from now on, or from where a line is between two runs.

        In the middle of a run a line has taken items into account that it has not sent yet.
        """
        edge.outlet = self.outlet
        self._gained += (edge,)
        if self.line:
            self.reconsider()
        else:
            self.adopt()

    def reconsider(self) -> None:
        """Have those that this node runs as one with look whether they still can."""
        if not self.line:
            return
        first, last = self.line[0], self.line[-1]
        first.regroup = True
        last.outlet.interrupt()
        if first.inlet is not None:
            first.inlet.rouse()

    def separate(self) -> None:
        """Run as one with no other node from now on."""
        self.apart = True
        self.reconsider()

    def adopt(self) -> None:
        """Begin to send over the edges that were gained."""
        if self._gained:
            self.refresh()
            for edge in self._gained:
                self.outlet.gain(edge, self.emitted)
            self._gained = ()

    def count_sent(self, count: int) -> None:
        """Count values that the step has sent by itself; see `Outlet.steer`."""
        self.yielded += count

    def end_stream(self) -> None:
        """Let doomsday come for all edges that lead on."""
        self.adopt()
        self.pass_gate()
        self.outlet.close()

    # Waiting.

    def starve(self) -> asyncio.Future[None]:
        """Return what to await until the way in has something or has ended."""
        inlet, schedule = self.inlet, self.schedule
        assert inlet is not None
        event = schedule.loop.create_future()
        self.state = "waiting"
        inlet.arm(functools.partial(self._fed, event, clock()))
        if not inlet.external:
            schedule.pause()
        return event

    def _fed(self, event: asyncio.Future[None], began: float) -> None:
        self.starved += clock() - began
        if self.state == "waiting":  # else the node has ended meanwhile
            self.state = "running"
        assert self.inlet is not None
        if not self.inlet.external:
            self.schedule.wake(event)
        elif not event.done():
            event.set_result(None)

    def block(self) -> asyncio.Future[None]:
        """Return what to await until the way out has room or is deserted: the back-pressure."""
        event = self.schedule.loop.create_future()
        self.state = "blocked"
        self.outlet.arm(functools.partial(self._unblocked, event, clock()))
        self.schedule.pause()
        return event

    def _unblocked(self, event: asyncio.Future[None], began: float) -> None:
        self.blocked += clock() - began
        if self.state == "blocked":
            self.state = "running"
        self.schedule.wake(event)

    # What is no plain value.

    def weight(self, item: Any) -> int:
        """Return how many items an entry counts for: a batch for all that it holds."""
        return 1 if self.properties.batch is None else len(item)

    def account(self, item: Any, outcome: Any) -> Gap | Route:
        """Count an outcome of a special type; return the mark that stands for it in the stream.

        Raises:
            StepError: the step returned what it may not, or routed to where no edge leads.
        """
        kind = type(outcome)
        if kind is Route and outcome.values:
            self.check_route(item, outcome)
            return outcome  # type: ignore[no-any-return]
        if kind is Skip or kind is Route:
            self.skipped += self.weight(item)
        elif kind is Buried:
            self.dead_lettered += self.weight(item)
        else:
            self.failed += self.weight(item)
            raise StepError(self.name, item, misused(outcome))
        return GAP

    def check_route(self, item: Any, route: Route) -> None:
        """Look whether edges lead to all that a step's `Route` names.

        Raises:
            StepError: one names what no edge leads to.
        """
        targets = {edge.target for edge in self.outlet.edges}
        unknown = [name for name in route.values if name not in targets]
        if unknown:
            self.failed += self.weight(item)
            error = LookupError(
                f"Route names {', '.join(map(repr, unknown))}, but no edge leads from "
                f"{self.name!r} there; edges lead to {', '.join(sorted(targets)) or 'nowhere'}"
            )
            raise StepError(self.name, item, error)

    def send(self, mark: Gap | Route) -> None:
        """Send on what `account` returned."""
        if isinstance(mark, Route):
            self.outlet.route(mark.values)
        else:
            self.outlet.gap()

    def send_yielded(self, value: Any) -> None:
        """Send on a special value that a step yielded: a `Route`, or nothing for `SKIP`.

        Raises:
            StepError: it is of no use here.
        """
        if type(value) is Skip:
            return
        if type(value) is not Route:
            raise StepError(self.name, value, misused(value))
        self.check_route(value, value)
        self.outlet.route(value.values)
        self.yielded += 1

    # Failure.

    async def caught(self, item: Any, error: BaseException, attempt: int = 1) -> Any:
        """Return the outcome of an item whose call raised: `Again`, `SKIP` or `Buried`.

        Raises:
            StepError: the node does not tolerate it.
            BaseException: it is none for a node to handle: the node was cancelled, or the program
                is to exit.
        """
        if not isinstance(error, Exception | asyncio.CancelledError):
            self.failed += self.weight(item)
            raise error
        if isinstance(error, asyncio.CancelledError) and (is_cancelled() or self.schedule.over):
            raise error
        if isinstance(error, SkipEntry) and self.doing == Processor.doing:
            return SKIP
        self.last_error = describe(error)
        size = self.weight(item)
        if (retry := again(self.properties.retry, error, attempt)) is not None:
            self.retried += size
            return retry
        if self.properties.on_error == "fail":
            self.failed += size
            raise StepError(self.name, item, error, attempt=attempt, doing=self.doing)
        self.tolerated += size
        logger.info("node %r: %s", self.name, self.last_error)
        buried = self.properties.on_error == "dead_letter"
        if buried:
            await self._dead_letter(item, error, attempt)
        self.refresh()
        self.tolerance.add(self)
        return Buried() if buried else SKIP

    async def _dead_letter(self, item: Any, error: BaseException, attempt: int) -> None:
        assert self._bury is not None
        letter = {
            "node": self.name,
            "item": item,
            "args": dict(self.spec.args),
            "error": describe(error),
            "traceback": "".join(traceback.format_exception(error)),
            "attempts": attempt,
            "time": time.time(),
        }
        try:
            await self._bury(letter)
        except Exception as fault:
            self.failed += self.weight(item)
            doing = f"and the dead letter of {shorten(item)} could not be written"
            raise StepError(self.name, item, fault, attempt=attempt, doing=doing) from error

    async def insist(self, item: Any, error: BaseException, watch: Watch | None = None) -> Any:
        """Return the outcome of an item whose call raised, after retries made in its place."""
        attempt = 1
        error = error if watch is None else watch.judge(error)
        while type(outcome := await self.caught(item, error, attempt)) is Again:
            await asyncio.sleep(outcome.seconds)
            attempt = outcome.attempt
            if watch is not None:
                watch.begin()
            try:
                result = self.call(item)
                return await result if self.shape.is_async else result
            except (Exception, asyncio.CancelledError) as raised:
                error = raised if watch is None else watch.judge(raised)
        return outcome

    # Counters.

    @property
    def in_flight(self) -> int:
        """Items received that are neither finished nor failed."""
        return self.received - self.finished - self.failed

    @property
    def passed_on(self) -> int:
        """Items whose result went on."""
        return self.finished - self.skipped - self.dead_lettered

    @property
    def emitted(self) -> int:
        """Values sent on."""
        several = self.shape.yields or self.properties.batch is not None
        return self.yielded if several else self.passed_on

    @property
    def busy(self) -> float:
        """Seconds at work: measured in a line, and what was not spent waiting outside of one."""
        pulled = 0.0 if self.inlet is None else self.inlet.seconds
        if self._alone_since is None:
            return self.worked + pulled
        idle = self.starved + self.blocked - self._idle_before
        return self.worked + max(0.0, (self.ended or clock()) - self._alone_since - idle)

    def leave_line(self, since: float) -> None:
        """Count as work what is not spent waiting, since a point in time; no line measures it."""
        self._alone_since = since
        self._idle_before = self.starved + self.blocked
        self.line = ()
        self.adopt()

    def counts(self) -> NodeCounts:
        """Return the counters as they are now."""
        self.refresh()
        rows = 0 if self.inlet is None else self.inlet.dropped
        return NodeCounts(
            state=self.state,
            received=self.received,
            passed_on=self.passed_on,
            skipped=self.skipped,
            dead_lettered=self.dead_lettered,
            failed=self.failed,
            in_flight=self.in_flight,
            retried=self.retried,
            dropped=rows
            + sum(edge.dropped for edge in self.outlet.edges if edge.when_full != "block"),
            emitted=self.emitted,
            starved=self.starved,
            blocked=self.blocked,
            busy=self.busy,
            errors=self.tolerated + self.retried,
            last_error=self.last_error,
        )


def _process_executor() -> type[Executor]:
    from pipelines.processes import ProcessExecutor  # late: multiprocessing takes 10 ms to import

    return ProcessExecutor


class _Closing:
    """Ends an executor as the exit of a stack."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def __aenter__(self) -> None:
        """Do nothing: the executor opens after its end is certain."""

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._executor.close(error)


async def enter_inline(step: Step, stack: contextlib.AsyncExitStack) -> Any:
    """Construct and enter a step that is a class, in the event loop; return the instance."""
    instance = step.construct()
    await enter(instance, stack)
    return instance


async def enter(instance: Any, stack: contextlib.AsyncExitStack) -> None:
    """Enter an object that can be entered, in the event loop."""
    if hasattr(type(instance), "__aenter__"):
        await stack.enter_async_context(instance)
    elif hasattr(type(instance), "__enter__"):
        stack.enter_context(instance)


def _nothing() -> None:
    """Be the `refresh` of a node whose loop keeps the counters itself."""


def _no_step(item: Any) -> Any:
    return item


def is_cancelled() -> bool:
    """Tell whether somebody cancelled the running task, so that a `CancelledError` is its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
