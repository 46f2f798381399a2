"""What a node calls where it can't call your step as it is: without input, or through a cache.

They are steps like any other, so that a graph that was made from a chain can be written as a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from pipelines.frontends.chain.cache import Memo
from pipelines.processor import enter
from pipelines.step import Step, resolve, shape_of

__all__ = ["AsyncCall", "Call", "start"]


def start() -> Iterator[None]:
    """Give the one item that the first steps of a chain wait for."""
    yield None


class Call:
    """Call another step: without its inputs, or only where its result is not known yet.

    Args:
        step: the callable, or its name.
        args: its keyword arguments.
        inputs: whether it is given what comes in.
        cache: true to keep results in memory, or the folder to keep them in.
    """

    def __init__(
        self,
        step: Any,
        args: Mapping[str, Any] | None = None,
        inputs: bool = True,
        cache: Literal[True] | str | None = None,
    ) -> None:
        target = resolve(step) if isinstance(step, str) else step
        bound = Step(target, dict(args or {}), shape_of(target), spread=True)
        self._instance = bound.construct()
        self._function = bound.bind(self._instance)
        self._inputs = inputs
        self._memo = Memo(cache, target, bound.args) if cache else None
        self._entered = contextlib.ExitStack()
        self._entered_async = contextlib.AsyncExitStack()

    def __enter__(self) -> Self:
        if hasattr(type(self._instance), "__enter__"):
            self._entered.enter_context(self._instance)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        await enter(self._instance, self._entered_async)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._entered_async.__aexit__(kind, error, traceback)

    def __call__(self, *inputs: Any) -> Any:
        """Return the result for a row of inputs."""
        row = inputs if self._inputs else ()
        if self._memo is None:
            return self._function(row)
        return self._memo.recall(self._function, row)


class AsyncCall(Call):
    """Call another step that is async, as `Call` does."""

    async def __call__(self, *inputs: Any) -> Any:
        """Return the result for a row of inputs."""
        row = inputs if self._inputs else ()
        if self._memo is None:
            return await self._function(row)
        return await self._memo.recall_async(self._function, row)
