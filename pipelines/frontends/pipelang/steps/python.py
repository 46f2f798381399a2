"""A step that calls a function in Python."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pipelines.executor import Failure, processors
from pipelines.frontends.pipelang.functions import find_function
from pipelines.frontends.pipelang.steps.step import KINDS, PipeStep, within
from pipelines.processes import ProcessExecutor
from pipelines.step import Shape, Step, shape_of

__all__ = ["Python"]


@dataclass(kw_only=True, eq=False)
class Python(PipeStep):
    """Call a function with each value; an async one in the event loop, any other in a thread.

    A class with ``__call__`` is constructed once, entered where it has an enter, called with each
    value, and exited at the end.

    Args:
        function: its name.
        file: the file that holds it. One with a relative path is looked for where Python finds
            modules, which begins with the folder of the graph.
        code: the program that holds it, if no file does.
        executor: ``thread``, ``process`` (a worker process) or ``inline`` (the event loop).
        processes: how many worker processes; by default one for each processor.
        lazy: a loop goes over the result, so what a generator yields is left for it. Everywhere
            else it goes on as a list: it can be read once only, and a retry would find nothing.
    """

    function: str
    file: str | None = None
    code: str | None = None
    executor: str | None = None
    processes: int | None = None
    lazy: bool = False

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        found: Any = find_function(self.function, self.file, self.code)
        self._workers: _Processes | None = None
        shape = shape_of(found)
        if self.executor == "process":
            if shape.is_async:
                raise TypeError(f"{self.function} is async, so it can't run in a process")
            self._workers = _Processes(self, self.processes or processors())
            stack.push_async_exit(self._workers.close)
            return
        if shape.is_class:
            found = found()
            if hasattr(found, "__aenter__"):
                await stack.enter_async_context(found)
            elif hasattr(found, "__enter__"):
                stack.enter_context(found)
        self._function: Callable[..., Any] = found
        self._inline = self.executor == "inline" or shape.is_async

    def _room(self) -> contextlib.AbstractAsyncContextManager[Any]:
        return super()._room() if self._workers is None else self._workers.room

    async def _work(self, values: Sequence[Any], seconds: float | None) -> Any:
        if self._workers is not None:
            return await self._workers.call(values, seconds)
        return await within(seconds, self._call(values))

    async def _call(self, values: Sequence[Any]) -> Any:
        function = functools.partial(self._function, *values)
        result = function() if self._inline else await self._desk.call(function)
        return await self._whole(await result if inspect.isawaitable(result) else result)

    async def _whole(self, result: Any) -> Any:
        """Return what a generator yields as a list, unless a loop is to go over it."""
        if self.lazy:
            return result
        if isinstance(result, AsyncIterator):
            return [each async for each in result]
        if isinstance(result, Iterator):
            return await self._desk.call(functools.partial(list, result))
        return result


KINDS["python"] = Python


class _Processes:
    """Worker processes for one function, started with its first call.

    Attributes:
        room: to be held during a call; as many may be made at once as there are processes.
    """

    def __init__(self, step: Python, size: int) -> None:
        args = {"function": step.function, "file": step.file, "code": step.code}
        self._executor = ProcessExecutor(
            step.function, Step(_Remote, args, Shape(is_class=True)), size
        )
        self._free = list(range(size))
        self._opened = False
        self._opening = asyncio.Lock()
        self.room = asyncio.Semaphore(size)

    async def call(self, values: Sequence[Any], seconds: float | None) -> Any:
        """Return the result of a call in a worker; one that takes too long is killed."""
        async with self._opening:
            if not self._opened:
                await self._open()
        lane = self._free.pop()
        try:
            (outcome,), _ = await self._executor.run(lane, [values], seconds)
        finally:
            self._free.append(lane)
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome[0]

    async def _open(self) -> None:
        try:
            await self._executor.open()
        except BaseException as error:
            await self._executor.close(error)
            raise
        self._opened = True

    async def close(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the workers."""
        if self._opened:
            await self._executor.close(error)


class _Remote:
    """The function in a worker process."""

    def __init__(self, function: str, file: str | None, code: str | None) -> None:
        found: Any = find_function(function, file, code)
        self._function: Callable[..., Any] = found() if shape_of(found).is_class else found
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if hasattr(type(self._function), "__enter__"):
            self._stack.enter_context(self._function)  # type: ignore[arg-type]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """Return the result in a list: whatever it is, no worker makes anything of it."""
        result = self._function(*values)
        return [list(result) if isinstance(result, Iterator) else result]
