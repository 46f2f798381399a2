"""Dead letters: what failed, where, and why, given to the graph's `dead_letter` step."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import Callable, Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from pipelines.errors import StepError, shorten
from pipelines.executor import exc_info
from pipelines.processor import enter_inline
from pipelines.spec import GraphSpec
from pipelines.step import Step, shape_of

__all__ = ["DeadLetters", "appending", "plain"]


class DeadLetters:
    """The step that a graph calls with each dead letter, one after another.

    A letter is a dict of its own: `node`, `item`, `args` (of the node, as plain data), `error`,
    `traceback`, `attempts`, `time` (seconds since 1970, UTC), `graph` (`GraphSpec.fingerprint`) and
    `source` (the absolute path of the graph's file, or `None`).

    One run's letters must not wipe those of the run before: a step that can write or append, as
    `write_jsonl` can, appends unless the graph's `args` say otherwise, and shares its file.

    Args:
        spec: the graph.
        target: its dead-letter callable, if it has one.
    """

    def __init__(self, spec: GraphSpec, target: Any) -> None:
        self._spec = spec
        self._step: Step | None = None
        if spec.dead_letter is not None and target is not None:
            self._step = Step(target, _lasting(target, spec.dead_letter.args), shape_of(target))
        # Now, as a step may change the current folder.
        self._source = None if spec.source is None else os.path.abspath(spec.source)
        self._graph: str | None = None
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
        """Have one letter written; raises what the step raises.

        Args:
            letter: without `graph` and `source`.
        """
        assert self._call is not None
        async with self._lock:
            result = self._call(self._complete(letter))
            if inspect.isawaitable(result):
                result = await result
        if isinstance(result, GeneratorType | AsyncGeneratorType):
            raise TypeError(
                "the dead_letter step returned a generator, of which nothing runs; return instead "
                "of yield"
            )

    def _complete(self, letter: Mapping[str, Any]) -> dict[str, Any]:
        if self._graph is None:
            self._graph = self._spec.fingerprint()
        args = plain(letter["args"])
        return {**letter, "args": args, "graph": self._graph, "source": self._source}

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


def _lasting(target: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which a step keeps what its file holds, where they don't say."""
    found = _defaults(target)
    if found.get("mode") != "write":
        return dict(args)
    shares = {"shared": True} if found.get("shared") is False else {}
    return {"mode": "append", **shares, **args}


def appending(target: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return `args` such that a step which would start its file anew goes on at its end.

    That is one with a `mode` whose default is ``write``, as the built-in ones have.
    """
    if _defaults(target).get("mode") == "write" and args.get("mode", "write") == "write":
        return {**args, "mode": "append"}
    return dict(args)


def _defaults(target: Any) -> dict[str, Any]:
    """Return the arguments that a callable takes by name, with their defaults."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return {}
    return {each.name: each.default for each in parameters if each.kind is not each.POSITIONAL_ONLY}


def plain(value: Any) -> Any:
    """Return a copy as JSON data: what JSON can't hold, such as a connection, becomes its repr."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return shorten(value)
