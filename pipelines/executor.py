"""Where a step call runs when it is not in the event loop: a thread, or a process of its own.

A node with ``executor: thread`` or ``process`` gets an `Executor` of as many *lanes* as it may have
calls in flight. A lane is one daemon thread that makes one call after another; a process lane's
thread also owns one worker process and talks to it over a pipe, so a worker that is killed, hangs
or can't start is known by its lane, with the items it had. A call takes a chunk of items, because a
process call costs a hundred times what a small step costs.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from time import perf_counter as clock
from types import TracebackType
from typing import Any, Protocol, final

from pipelines.errors import ExecutorError, describe, shorten
from pipelines.step import Step, discard

__all__ = [
    "Caller",
    "Executor",
    "Failure",
    "Outcomes",
    "ProcessExecutor",
    "ThreadExecutor",
    "call_chunk",
    "portable_error",
    "processors",
]

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: What a lane sends back for a chunk: one outcome an item, and the seconds the calls took.
Outcomes = tuple[list[Any], float]

_Error = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


@final
class Failure:
    """Stands in a chunk's outcomes for an item whose call raised `error`."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


@final
class Yielded:
    """Stands in a chunk's outcomes for the values that a step yields, and what it then raised."""

    __slots__ = ("error", "values")

    def __init__(self, values: Iterable[Any]) -> None:
        self.values: list[Any] = []
        self.error: BaseException | None = None
        try:
            self.values.extend(values)
        except (Exception, asyncio.CancelledError) as error:
            self.error = error


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call_chunk(call: Callable[[Any], Any], chunk: Sequence[Any], yields: bool) -> Outcomes:
    """Call a step with each item; return an outcome each: a value, `Yielded`, or a `Failure`."""
    outcomes: list[Any] = []
    began = clock()
    for item in chunk:
        try:
            outcomes.append(Yielded(call(item)) if yields else call(item))
        except (Exception, asyncio.CancelledError) as error:
            outcomes.append(Failure(error))
    discard(outcomes)  # the node will say what is wrong with a coroutine; nobody may await it
    return outcomes, clock() - began


class Lane:
    """One daemon thread that runs calls one after another, for a loop to await.

    Daemon, because a user's call that never returns can't be ended and must not keep the program.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Return a future of ``function()``, called in the lane's thread."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._inbox.put((future, function))
        return future

    def stop(self) -> None:
        """Let the thread end once it has made its calls."""
        self._inbox.put(None)

    async def answers(self, seconds: float) -> bool:
        """Tell whether the thread has made its calls within `seconds`."""
        done, _ = await asyncio.wait([self.submit(lambda: None)], timeout=seconds)
        return bool(done)

    async def join(self, seconds: float) -> bool:
        """Wait for the thread's end, whatever is cancelled; tell whether it came in `seconds`."""
        last = self.submit(lambda: None)
        self.stop()
        try:
            await _outlast(last, seconds)
        finally:
            if last.done():
                self._thread.join()
        return last.done()

    def _work(self) -> None:
        while (job := self._inbox.get()) is not None:
            future, function = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = function()
            except StopIteration as raised:  # which no future takes
                error = RuntimeError(f"the step raised {describe(raised)}")
                error.__cause__ = raised
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop may be closed: nobody waits then
                self._loop.call_soon_threadsafe(_resolve, future, result, error)


async def _outlast(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait for a future, at most `seconds`; a cancellation is passed on behind that."""
    loop = asyncio.get_running_loop()
    cancelled = None
    until = loop.time() + seconds
    while not future.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait([future], timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Caller(Protocol):
    """Makes the calls of a chunk in one of its lanes; see `Executor.run`."""

    async def run(self, lane: int, chunk: list[Any], timeout: float | None = None) -> Outcomes:
        """Return the outcomes of a chunk."""


class Executor(abc.ABC):
    """Runs a node's step outside the event loop, in `size` lanes.

    Args:
        node: the node's name, for messages.
        step: what to call.
        size: the number of lanes, at most as many calls at once.
    """

    #: Seconds that a lane gets to end when the run does; then it is left behind and named.
    patience = 5.0

    def __init__(self, node: str, step: Step, size: int) -> None:
        self.node = node
        self.step = step
        self.size = size
        self.lanes: list[Lane] = []
        #: The lanes with a call under way, or in their inbox; also of a node that was cancelled.
        self.asked: set[int] = set()

    async def open(self) -> None:
        """Start the lanes and enter the step."""
        loop = asyncio.get_running_loop()
        self.lanes = [Lane(f"pipelines:{self.node}:{index}", loop) for index in range(self.size)]
        await self._enter()

    async def run(self, lane: int, chunk: list[Any], timeout: float | None = None) -> Outcomes:
        """Return the outcomes of a chunk, called in the given lane.

        A call that takes longer than `timeout` seconds, a worker that dies and an item that can't
        travel are outcomes too: a `Failure` for each item of the chunk that they concern.
        """
        try:
            await self._prepare(lane)
        except Exception as error:
            return [Failure(error)] * len(chunk), 0.0
        answer = self.lanes[lane].submit(functools.partial(self._call, lane, chunk))
        self.asked.add(lane)
        done, _ = await asyncio.wait([answer], timeout=timeout)
        self.asked.discard(lane)  # a cancelled call stays asked
        if done:
            return answer.result()  # type: ignore[no-any-return]
        assert timeout is not None
        answer.add_done_callback(lambda late: late.cancelled() or late.exception())
        self._give_up(lane)
        failure = Failure(TimeoutError(f"the call took longer than {timeout:g} s"))
        return [failure] * len(chunk), timeout

    async def close(self, error: BaseException | None = None) -> None:
        """Exit the step, as for a run that ended with `error`, and end the lanes."""
        try:
            await self._exit(error)
        finally:
            ended = await asyncio.gather(*(lane.join(self.patience) for lane in self.lanes))
            if not all(ended):
                logger.warning(
                    "node %r: a call is still running in a thread, which can't be ended; "
                    "give the step a time-out of its own, or executor: process",
                    self.node,
                )

    @abc.abstractmethod
    async def _enter(self) -> None: ...

    @abc.abstractmethod
    async def _prepare(self, lane: int) -> None:
        """Make the lane ready for a call, in time that no time-out counts."""

    @abc.abstractmethod
    def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        """Make the calls; runs in the lane's thread."""

    @abc.abstractmethod
    def _give_up(self, lane: int) -> None:
        """Make the lane usable again although its call has not returned."""

    @abc.abstractmethod
    async def _exit(self, error: BaseException | None) -> None: ...


class ThreadExecutor(Executor):
    """Runs the step in threads; a class is constructed, entered and exited in the first one.

    An instance with `enter_thread` and `exit_thread` has them called in each thread that makes
    calls: before the first of them, and at the end.
    """

    def __init__(self, node: str, step: Step, size: int) -> None:
        super().__init__(node, step, size)
        self._stack = contextlib.ExitStack()
        self._bound: Callable[[Any], Any] | None = None
        self._instance: Any = None
        self._entered: set[int] = set()

    async def _enter(self) -> None:
        def enter() -> tuple[Any, Callable[[Any], Any]]:
            return enter_step(self.step, self._stack)

        self._instance, self._bound = await self.lanes[0].submit(enter)
        await self._prepare(0)

    async def _prepare(self, lane: int) -> None:
        if lane not in self._entered and hasattr(self._instance, "enter_thread"):
            await self.lanes[lane].submit(self._instance.enter_thread)
            self._entered.add(lane)

    def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        assert self._bound is not None
        return call_chunk(self._bound, chunk, self.step.shape.yields)

    def _give_up(self, lane: int) -> None:
        # The call goes on until it returns; its outcome is forgotten.
        if lane in self._entered:
            self._entered.discard(lane)
            self.lanes[lane].submit(self._instance.exit_thread).add_done_callback(_forget)
        self.lanes[lane].stop()
        name = f"pipelines:{self.node}:{lane}"
        self.lanes[lane] = Lane(name, asyncio.get_running_loop())

    async def _exit(self, error: BaseException | None) -> None:
        if self._bound is None:
            return
        try:
            await self._exit_threads(error)
        finally:
            await self._exit_step(error)

    async def _exit_threads(self, error: BaseException | None) -> None:
        asked = [self.lanes[lane].submit(self._instance.exit_thread) for lane in self._entered]
        if asked:
            # After a failure a call that hangs is not waited for.
            await asyncio.wait(asked, timeout=None if error is None else self.patience)
        for answer in asked:
            if not answer.done():
                answer.add_done_callback(_forget)
        raised = [error for each in asked if each.done() and (error := each.exception())]
        if raised:
            raise raised[0]

    async def _exit_step(self, error: BaseException | None) -> None:
        if error is not None and not await self.lanes[0].answers(self.patience):
            # A call that hangs keeps the lane. The exit comes from another thread, or never.
            self.lanes.append(Lane(f"pipelines:{self.node}:exit", asyncio.get_running_loop()))
        lane = self.lanes[0] if error is None else self.lanes[-1]
        await lane.submit(lambda: self._stack.__exit__(*exc_info(error)))


class ProcessExecutor(Executor):
    """Runs the step in worker processes, each of which constructs and enters a class for itself.

    Workers are started afresh (``forkserver``, or ``spawn`` where there is none): a fork of a
    process that has threads can deadlock.
    """

    def __init__(self, node: str, step: Step, size: int) -> None:
        super().__init__(node, step, size)
        self._workers: list[_Worker] = []
        self._killed: set[int] = set()

    async def _enter(self) -> None:
        # Anew, as one that was closed may be opened again, and its workers start no more.
        self._workers = [_Worker(self.node, self.step) for _ in self.lanes]
        # The others start when they are first needed; one tells whether the step can start at all.
        await self.lanes[0].submit(self._workers[0].start)

    async def _prepare(self, lane: int) -> None:
        if not self._workers[lane].started or lane in self._killed:
            # In its thread, so behind the call that finds its worker killed.
            await self.lanes[lane].submit(self._workers[lane].start)
            self._killed.discard(lane)

    def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        return self._workers[lane].exchange(chunk)

    def _give_up(self, lane: int) -> None:
        self._killed.add(lane)
        self._workers[lane].kill()

    async def _exit(self, error: BaseException | None) -> None:
        for lane, worker in enumerate(self._workers):
            worker.retire()  # a start may wait in the lane's inbox
            if worker.calling or lane in self.asked:
                worker.kill()  # the run was cancelled in the middle of a call, or of a start
        pairs = zip(self.lanes, self._workers, strict=True)
        stops = [each.submit(functools.partial(worker.stop, error)) for each, worker in pairs]
        if error is not None and stops:
            # After a failure an exit that hangs is not waited for.
            await asyncio.wait(stops, timeout=self.patience)
            for stop, worker in zip(stops, self._workers, strict=True):
                if not stop.done():
                    logger.warning("node %r: a worker hangs in its exit, and is killed", self.node)
                    worker.kill()
        results = await asyncio.gather(*stops, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


def enter_step(step: Step, stack: contextlib.ExitStack) -> tuple[Any, Callable[[Any], Any]]:
    """Construct and enter a step that is a class; return it, and what to call with each item."""
    instance = step.construct()
    if hasattr(type(instance), "__enter__"):
        stack.enter_context(instance)
    return instance, step.bind(instance)


def _forget(answer: asyncio.Future[Any]) -> None:
    """Take note of what a call raised that nobody waits for any longer."""
    if not answer.cancelled() and (error := answer.exception()) is not None:
        logger.warning("a thread that was given up raised in its exit: %s", describe(error))


def exc_info(error: BaseException | None) -> _Error:
    """Return the three arguments of an ``__exit__``."""
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


#: Held where multiprocessing asks the fork server how a process ended, as it does of all of them
#: when one starts: of two threads that ask at the same time one would be told nothing, and say 255.
_PROCESSES = threading.Lock()


class _Worker:
    """One worker process, for its lane's thread; only `kill` and `retire` are for any thread."""

    def __init__(self, node: str, step: Step) -> None:
        self._node = node
        self._step = step
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._doomed = False
        self._retired = False
        #: Whether a chunk or the start is under way.
        self.calling = False

    @property
    def started(self) -> bool:
        """Whether the process runs, as far as is known."""
        return self._process is not None

    def start(self) -> None:
        """Start the process and wait until it has entered the step.

        Does nothing if it runs, or is never to run again; see `retire`.

        Raises:
            ExecutorError: the process died before it was ready, or the step can't travel to it.
            Exception: what the step's constructor or enter raised.
        """
        if self._process is not None:
            return
        self._doomed = False
        self.calling = True  # from here on `kill` is called, and not forgotten
        try:
            if not self._retired:
                self._start()
        finally:
            self.calling = False

    def _start(self) -> None:
        available = multiprocessing.get_all_start_methods()
        method = "forkserver" if "forkserver" in available else "spawn"
        context = multiprocessing.get_context(method)
        pipe, far_end = context.Pipe()
        with far_end:
            process = context.Process(  # type: ignore[attr-defined]
                target=_serve, args=(far_end,), name=f"pipelines:{self._node}", daemon=True
            )
            with _blocked_signals(), _PROCESSES:
                process.start()
        self._process, self._pipe = process, pipe
        if self._doomed:  # killed before there was a process to kill
            self.kill()
        try:
            self._pipe.send_bytes(_dump_step(self._node, self._step))
            ready = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            raise ExecutorError(
                f"node {self._node!r}: its worker process {self._bury()} before it was ready. In a "
                "script, start the run under: if __name__ == '__main__':"
            ) from error
        except BaseException:
            self.kill()
            self._bury()
            raise
        if isinstance(ready, Failure):
            self._bury()
            raise ready.error

    def exchange(self, chunk: list[Any]) -> Outcomes:
        """Send a chunk and return the outcomes; a worker that died is an outcome, and replaced."""
        try:
            payload = pickle.dumps(("call", chunk), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return self._exchange_singly(chunk, error)
        self.start()
        if self._process is None:
            fault = f"the worker process of node {self._node!r} was ended with the run"
            return [Failure(ExecutorError(fault))] * len(chunk), 0.0
        assert self._pipe is not None
        self.calling = True
        try:
            self._pipe.send_bytes(payload)
            answer = self._receive()
        except (EOFError, OSError):
            held = f"{len(chunk)} item{'s' * (len(chunk) != 1)} in hand, first {shorten(chunk[0])}"
            fault = f"the worker process of node {self._node!r} {self._bury()} with {held}"
            return [Failure(ExecutorError(fault))] * len(chunk), 0.0
        finally:
            self.calling = False
        if isinstance(answer, Failure):
            return self._exchange_singly(chunk, answer.error)
        return answer

    def _receive(self) -> Outcomes | Failure:
        """Return what the worker answers; where that can't be read, what can be of it."""
        assert self._pipe is not None
        try:
            return pickle.loads(self._pipe.recv_bytes())  # type: ignore[no-any-return]
        except (EOFError, OSError):
            raise
        except Exception:
            self._pipe.send_bytes(pickle.dumps(("again", None)))
            return pickle.loads(self._pipe.recv_bytes())  # type: ignore[no-any-return]

    def _exchange_singly(self, chunk: list[Any], error: BaseException) -> Outcomes:
        """Find the items of a chunk that can't travel: the others are called all the same."""
        if len(chunk) == 1:
            what = f"node {self._node!r}: item {shorten(chunk[0])}"
            fault = ExecutorError(f"{what} can't travel to a worker process: {describe(error)}")
            return [Failure(fault)], 0.0
        answers = [self.exchange([item]) for item in chunk]
        return [outcomes[0] for outcomes, _ in answers], sum(seconds for _, seconds in answers)

    def retire(self) -> None:
        """Start the process no more, also where that is to be done before long: the run ends."""
        self._retired = True

    def kill(self) -> None:
        """End the process at once; a pending `exchange` then finds it dead. Safe in any thread."""
        self._doomed = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ValueError):  # it was buried meanwhile
                process.kill()

    def stop(self, error: BaseException | None) -> None:
        """Have the process exit the step, and end it.

        Raises:
            Exception: what the step's exit raised.
        """
        if self._process is None or self._pipe is None:
            return
        answer = None
        with contextlib.suppress(EOFError, OSError):
            self._pipe.send_bytes(_dump_error(error))
            answer = pickle.loads(self._pipe.recv_bytes())
        self._bury()
        if isinstance(answer, Failure):
            raise answer.error

    def _bury(self) -> str:
        """Wait for the end of the process and say how it ended."""
        process, self._process = self._process, None
        assert process is not None
        assert self._pipe is not None
        self._pipe.close()
        wait([process.sentinel])
        with _PROCESSES:
            process.join()
        code = process.exitcode or 0
        process.close()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Have what is started meanwhile bear no signal until it says so, the fork server neither.

    Only this thread's mask changes, so the main thread hears signals all the while.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # The tracker that multiprocessing starts with the fork server would unblock them again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _dump_step(node: str, step: Step) -> bytes:
    try:
        return pickle.dumps(step)
    except Exception as error:
        raise ExecutorError(
            f"node {node!r}: its step or an argument can't travel to a worker process: "
            f"{describe(error)}. "
            "Use a function at the top of a module and plain arguments, or executor: thread."
        ) from error


def _dump_error(error: BaseException | None) -> bytes:
    if error is None:
        return pickle.dumps(("exit", None))
    request = pickle.dumps(("exit", RuntimeError(describe(error))))
    with contextlib.suppress(Exception):
        whole = pickle.dumps(("exit", error))
        pickle.loads(whole)
        request = whole
    return request


def _serve(pipe: Connection) -> None:
    """Be a worker: enter the step, answer chunks, exit when told to or when the parent is gone."""
    # Signals reach the whole group; the parent decides when its workers end.
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    stack = contextlib.ExitStack()
    try:
        step: Step = pickle.loads(pipe.recv_bytes())
        _, call = enter_step(step, stack)
    except Exception as error:
        pipe.send_bytes(pickle.dumps(_portable(Failure(error))))
        return
    pipe.send_bytes(pickle.dumps(None))
    outcomes: list[Any] = []
    seconds = 0.0
    while True:
        try:
            request, content = _load_request(pipe.recv_bytes())
        except EOFError:
            return
        if request == "exit":
            break
        if request == "call":
            outcomes, seconds = call_chunk(call, content, step.shape.yields)
            pipe.send_bytes(_dump_outcomes(outcomes, seconds))
        elif request == "again":
            pipe.send_bytes(pickle.dumps(([_portable(each) for each in outcomes], seconds)))
        else:
            pipe.send_bytes(pickle.dumps(content))
    answer = None
    try:
        stack.__exit__(*exc_info(content))
    except Exception as error:
        answer = _portable(Failure(error))
    pipe.send_bytes(pickle.dumps(answer))


def _load_request(payload: bytes) -> tuple[str, Any]:
    """Return what is asked for; ``bad`` and a failure where it can't be read here."""
    try:
        return pickle.loads(payload)  # type: ignore[no-any-return]
    except Exception as error:
        return "bad", _portable(Failure(error))


def _dump_outcomes(outcomes: list[Any], seconds: float) -> bytes:
    outcomes = [_portable(each) if _has_failed(each) else each for each in outcomes]
    try:
        return pickle.dumps((outcomes, seconds), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:
        return pickle.dumps(([_portable(each) for each in outcomes], seconds))


def _has_failed(outcome: Any) -> bool:
    return type(outcome) in (Failure, Yielded) and outcome.error is not None


def _pickled(value: object) -> object:
    return pickle.loads(pickle.dumps(value))


def portable_error(
    error: BaseException,
    place: str = "In the worker process",
    copy: Callable[[object], object] = _pickled,
) -> BaseException:
    """Return an error that survives the way back, or one that says the same, with its traceback.

    Args:
        error: what was raised.
        place: where that was, for the note that shows the traceback.
        copy: goes the way, and back.
    """
    frames = error.__traceback__
    text = "".join(traceback.format_tb(frames and frames.tb_next))
    if text:
        error.add_note(f"{place}:\n{text.rstrip()}")
    try:
        copy(error)
    except Exception:
        stand_in = ExecutorError(describe(error))
        stand_in.__notes__ = getattr(error, "__notes__", [])
        return stand_in
    return error


def _portable(outcome: Any) -> Any:
    """Return an outcome that survives the way back, or the failure that it does not."""
    if _has_failed(outcome):
        outcome.error = portable_error(outcome.error)
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception as error:
        return Failure(
            ExecutorError(
                f"result {shorten(outcome)} can't travel from a worker process: {describe(error)}"
            )
        )
    return outcome
