"""Dead letters: what failed, where, and why, given to the graph's `dead_letter` step."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.errors import StepError
from pipelines.executor import exc_info
from pipelines.processor import enter_inline
from pipelines.spec import GraphSpec
from pipelines.step import Step, shape_of

__all__ = ["DeadLetters"]


class DeadLetters:
    """The step that a graph calls with each dead letter, one after another.

    A letter is a dict: `node`, `item`, `args` (of the node), `error`, `traceback`, `attempts`,
    `time` (seconds since 1970, UTC) and `graph` (`GraphSpec.fingerprint`).

    Args:
        spec: the graph.
        target: its dead-letter callable, if it has one.
    """

    def __init__(self, spec: GraphSpec, target: Any) -> None:
        self._spec = spec
        self._step: Step | None = None
        if spec.dead_letter is not None and target is not None:
            self._step = Step(target, spec.dead_letter.args, shape_of(target))
        self._stack = contextlib.AsyncExitStack()
        self._call: Callable[[Any], Any] | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Construct and enter the step.

        Raises:
            StepError: that failed.
        """
        if self._step is None:
            return
        try:
            self._call = self._step.bind(await enter_inline(self._step, self._stack))
        except Exception as error:
            raise StepError("dead_letter", None, error, doing="while starting") from error

    async def write(self, letter: Mapping[str, Any]) -> None:
        """Have one letter written; raises what the step raises."""
        assert self._call is not None
        async with self._lock:
            result = self._call({**letter, "graph": self._spec.fingerprint()})
            if inspect.isawaitable(result):
                await result

    async def close(self, error: BaseException | None) -> None:
        """Exit the step, as for a run that ended with `error`.

        Raises:
            StepError: that failed.
        """
        try:
            await self._stack.__aexit__(*exc_info(error))
        except Exception as raised:
            if raised is not error:
                raise StepError("dead_letter", None, raised, doing="while closing") from raised
