"""Where a step call runs in a process of its own.

A worker process is started and buried in its lane's thread, as both may take long, and spoken to
from the event loop. So a worker that is killed, hangs or can't start is known by its lane, with the
items it had, and a chunk costs two turns of the loop and no change of threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import pickle
import signal
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from pipelines.errors import ExecutorError, describe, shorten
from pipelines.executor import Executor, Failure, Outcomes
from pipelines.lane import Lane, outlast
from pipelines.step import Step
from pipelines.wire import Client
from pipelines.worker import SIGNALS, serve

__all__ = ["ProcessExecutor"]

logger = logging.getLogger(__name__)


class ProcessExecutor(Executor):
    """Runs the step in worker processes, each of which constructs and enters a class for itself.

    Workers are started afresh (``forkserver``, or ``spawn`` where there is none): a fork of a
    process that has threads can deadlock.
    """

    def __init__(self, node: str, step: Step, size: int) -> None:
        super().__init__(node, step, size)
        self._workers: list[_Worker] = []

    async def _enter(self) -> None:
        # Anew, as one that was closed may be opened again, and its workers start no more.
        self._workers = [_Worker(self.node, self.step, lane) for lane in self.lanes]

    async def _prepare(self, lane: int) -> None:
        await self._workers[lane].start()

    async def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        return await self._workers[lane].exchange(chunk)

    async def _give_up(self, lane: int) -> None:
        self._workers[lane].kill()

    async def _exit(self, error: BaseException | None) -> None:
        for worker in self._workers:
            worker.retire()
        stops = [asyncio.ensure_future(worker.stop(error)) for worker in self._workers]
        ended = asyncio.gather(*stops, return_exceptions=True)
        try:
            # After a failure an exit that hangs is not waited for.
            await asyncio.wait([ended], timeout=None if error is None else self.patience)
            if not ended.done():
                logger.warning("node %r: a worker hangs in its exit, and is killed", self.node)
        finally:
            for stop, worker in zip(stops, self._workers, strict=True):
                if not stop.done():
                    worker.kill()
            await outlast(ended, self.patience)
        for result in ended.result() if ended.done() else ():
            if isinstance(result, BaseException):
                raise result


#: Held where multiprocessing asks the fork server how a process ended, as it does of all of them
#: when one starts: of two threads that ask at the same time one would be told nothing, and say 255.
_PROCESSES = threading.Lock()


class _Worker:
    """One worker process; its methods are for the event loop.

    Args:
        node: the node's name, for messages.
        step: what it is to call.
        lane: the thread where it is started and buried.
    """

    def __init__(self, node: str, step: Step, lane: Lane) -> None:
        self._node = node
        self._step = step
        self._lane = lane
        self._process: multiprocessing.process.BaseProcess | None = None
        self._end: socket.socket | None = None
        self._client: Client | None = None
        #: Whether there is a process to bury, or one is being started.
        self._started = False
        #: Whether the process has entered the step and is asked nothing.
        self._idle = False
        self._doomed = False
        self._retired = False

    async def start(self) -> None:
        """Start the process and wait until it has entered the step.

        Does nothing if it is idle, or is never to run again; see `retire`. One that still makes a
        call that nobody waits for is killed before.

        Raises:
            ExecutorError: the process died before it was ready, or the step can't travel to it.
            Exception: what the step's constructor or enter raised.
        """
        if self._idle:
            return
        if self._started:
            self.kill()
            await self._bury()
        self._started = True
        await self._lane.submit(self._start)
        if self._end is not None and self._process is not None:
            await self._enter_step(self._end, self._process)

    def _start(self) -> None:
        """Start the process; runs in the lane's thread."""
        if self._retired:
            return
        available = multiprocessing.get_all_start_methods()
        method = "forkserver" if "forkserver" in available else "spawn"
        context = multiprocessing.get_context(method)
        end, far_end = socket.socketpair()
        with far_end:
            process = context.Process(  # type: ignore[attr-defined]
                target=serve, args=(far_end,), name=f"pipelines:{self._node}", daemon=True
            )
            try:
                with _blocked_signals(), _PROCESSES:
                    process.start()
            except BaseException:
                end.close()
                raise
        self._process, self._end = process, end
        if self._doomed:  # killed before there was a process to kill
            self.kill()

    async def _enter_step(
        self, end: socket.socket, process: multiprocessing.process.BaseProcess
    ) -> None:
        try:
            self._client = await Client.over(end)
            self._mind(process.sentinel, self._client)
            failure = pickle.loads(await self._client.ask(_dump_step(self._node, self._step)))
        except EOFError as error:
            raise ExecutorError(
                f"node {self._node!r}: its worker process {await self._bury()} before it was "
                "ready. In a script, start the run under: if __name__ == '__main__':"
            ) from error
        except Exception:
            self.kill()
            await self._bury()
            raise
        if isinstance(failure, Failure):
            await self._bury()
            raise failure.error
        self._idle = True

    def _mind(self, sentinel: int, client: Client) -> None:
        """Have the client know of the end of the process, also where a fork of it lives on.

        A fork holds the other end of the line, and there are none where no sentinel can be read.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            loop.add_reader(sentinel, _gone, loop, sentinel, client)

    async def exchange(self, chunk: list[Any]) -> Outcomes:
        """Send a chunk and return the outcomes; a worker that died is an outcome, and replaced."""
        try:
            payload = pickle.dumps(("call", chunk), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return await self._exchange_singly(chunk, describe(error))
        try:
            await self.start()
        except Exception as error:
            return [Failure(error)] * len(chunk), 0.0
        if not self._idle:
            fault = f"the worker process of node {self._node!r} was ended with the run"
            return [Failure(ExecutorError(fault))] * len(chunk), 0.0
        self._idle = False
        try:
            answer = await self._ask(payload)
        except EOFError:
            held = f"{len(chunk)} item{'s' * (len(chunk) != 1)} in hand, first {shorten(chunk[0])}"
            fault = f"the worker process of node {self._node!r} {await self._bury()} with {held}"
            return [Failure(ExecutorError(fault))] * len(chunk), 0.0
        self._idle = True
        if isinstance(answer, str):
            return await self._exchange_singly(chunk, answer)
        return answer

    async def _ask(self, payload: bytes) -> Outcomes | str:
        """Return what the worker answers; where that can't be read, what can be of it.

        Returns:
            The outcomes, or what is wrong where the worker can't read the chunk.
        """
        assert self._client is not None
        answer = await self._client.ask(payload)
        try:
            return pickle.loads(answer)  # type: ignore[no-any-return]
        except Exception:
            answer = await self._client.ask(pickle.dumps(("again", None)))
            outcomes, seconds = pickle.loads(answer)
            return [_load_outcome(each) for each in outcomes], seconds

    async def _exchange_singly(self, chunk: list[Any], wrong: str) -> Outcomes:
        """Find the items of a chunk that can't travel: the others are called all the same."""
        if len(chunk) == 1:
            what = f"node {self._node!r}: item {shorten(chunk[0])}"
            fault = ExecutorError(f"{what} can't travel to a worker process: {wrong}")
            return [Failure(fault)], 0.0
        answers = [await self.exchange([item]) for item in chunk]
        return [outcomes[0] for outcomes, _ in answers], sum(seconds for _, seconds in answers)

    def retire(self) -> None:
        """Start the process no more; kill it unless it is idle, as the run was cancelled."""
        self._retired = True
        if not self._idle:
            self.kill()

    def kill(self) -> None:
        """End the process at once; who waits for its answer then finds it dead."""
        self._doomed = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ValueError):  # it was buried meanwhile
                process.kill()

    async def stop(self, error: BaseException | None) -> None:
        """Have the process exit the step, and end it.

        Raises:
            Exception: what the step's exit raised.
        """
        answer = None
        try:
            if self._idle and self._client is not None:
                with contextlib.suppress(EOFError):
                    answer = pickle.loads(await self._client.ask(_dump_error(error)))
        except BaseException:
            self.kill()
            raise
        finally:
            await self._bury()
        if isinstance(answer, Failure):
            raise answer.error

    async def _bury(self) -> str:
        """Wait for the end of the process, if there is one, and say how it ended."""
        self._idle = False
        client, self._client = self._client, None
        if client is not None:
            assert self._process is not None
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().remove_reader(self._process.sentinel)
            await client.close()
        ended: str = await self._lane.submit(self._wait)
        if self._end is not None:
            self._end.close()
        self._end = None
        self._started = self._doomed = False
        return ended

    def _wait(self) -> str:
        """Wait for the end of the process; runs in the lane's thread, so behind its start."""
        process = self._process
        if process is None:
            return "did not start"
        wait([process.sentinel])
        with _PROCESSES:
            process.join()
        code = process.exitcode or 0
        self._process = None
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


def _gone(loop: asyncio.AbstractEventLoop, sentinel: int, client: Client) -> None:
    """Be told that a process has ended."""
    loop.remove_reader(sentinel)
    client.finish()


def _load_outcome(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)
    except Exception as error:
        fault = f"a result can't travel from a worker process: {describe(error)}"
        return Failure(ExecutorError(fault))


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
