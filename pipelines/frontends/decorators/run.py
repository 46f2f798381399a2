"""Running a pipeline: the steps become nodes as they are first sent something."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines.checks.signatures import Call, misfits
from pipelines.edge import Edge
from pipelines.errors import shorten
from pipelines.frontends.decorators.definition import Definition, definition_of
from pipelines.frontends.decorators.nodes import Pages
from pipelines.frontends.decorators.options import named_as
from pipelines.frontends.decorators.potato import Potato, Sender
from pipelines.frontends.decorators.tree import Tree
from pipelines.metrics import RunReport
from pipelines.plumber import Plumber
from pipelines.processor import Processor
from pipelines.spec import NodeSpec

__all__ = ["Run", "pipeline", "prepare"]


async def pipeline(entry: Any, /, *args: Any, **kwargs: Any) -> RunReport:
    """Run an entry point, and all that it and the steps behind it send, to the end.

    Cancelling this cancels the run.

    Args:
        entry: a function decorated with `entry_point`.
        args, kwargs: for it, for each step that takes them, and for the constructors of classes.

    Returns:
        What became of every item at every step.

    Raises:
        TypeError: `entry` is no entry point, or does not take the arguments.
        StepError: it or a step failed; its cause is what was raised.
    """
    return await prepare(entry, *args, **kwargs).run()


def prepare(entry: Any, /, *args: Any, **kwargs: Any) -> Plumber:
    """Return the `Plumber` of a pipeline, to look at it while it runs, to drain or to cancel it.

    The arguments are those of `pipeline`.
    """
    definition = definition_of(entry)
    if definition is None or definition.kind != "entry_point":
        name = getattr(entry, "__qualname__", None) or shorten(entry, 60)
        raise TypeError(
            f"{name} is no entry point: decorate an async def with @entry_point, and write "
            "await pipeline(start, *args)"
        )
    return Run(definition, args, kwargs).plumber


class Run:
    """One run of a pipeline: its arguments, and the names of its nodes.

    Attributes:
        plumber: runs it.
    """

    def __init__(self, entry: Definition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs
        self._names = {entry: entry.name}
        self.arguments(entry)
        assert entry.document is not None
        node = {**entry.document["nodes"][entry.name], "coro": self._start(entry)}
        document = {**entry.document, "nodes": {entry.name: node}}
        self.plumber = Plumber(document, reporters=entry.reporters)

    def _start(self, entry: Definition) -> Any:
        async def start(processor: Processor, output_q: object) -> None:
            potato = Potato(Sender(self, processor), entry.name)
            args, kwargs = self.arguments(entry)
            try:
                await entry.target(potato, *args, **kwargs)
            finally:
                potato.close()

        return named_as(entry.target, start)

    def arguments(self, definition: Definition) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return which of the pipeline's arguments a step is called with: all, or none.

        Raises:
            TypeError: it takes some, but not these.
        """
        given = definition.given
        if definition.kind != "entry_point" and not definition.takes_more:
            return (), {}
        call = Call(given + len(self._args), tuple(self._kwargs))
        if not list(misfits(definition.target, call)):
            return self._args, self._kwargs
        said = [shorten(arg, 40) for arg in self._args]
        said += [f"{key}={shorten(value, 40)}" for key, value in self._kwargs.items()]
        raise TypeError(
            f"{definition.name}{inspect.signature(definition.target)} can't take the pipeline's "
            f"arguments, which are ({', '.join(said)})"
        )

    def connect(self, source: Processor, definition: Definition) -> Edge:
        """Lead an edge from a node to a step, which becomes a node when it is not one yet."""
        name = self._names.get(definition)
        if name is not None:
            self.plumber.connect(source.name, name)
        else:
            name = self._add(source, definition)
        return next(edge for edge in source.outlet.edges if edge.target == name)

    def _add(self, source: Processor, definition: Definition) -> str:
        self.arguments(definition)
        name = self._free_name(definition)
        kind = Tree if definition.kind == "tree_traversal" else Pages
        members = {"run": self, "definition": definition, "name": name}
        step = named_as(definition.target, type(definition.name, (kind,), members))
        # A step's time-out leaves out what it waits for others; a tree's calls wait for turns.
        properties = replace(definition.properties, timeout=None)
        if issubclass(step, Tree):
            properties = replace(properties, concurrency=sys.maxsize)
        node = NodeSpec(name, func=step, properties=properties)
        inlet = step.way_in if issubclass(step, Tree) else None
        self.plumber.connect(source.name, node, inlet=inlet)
        self.plumber.hold(name)
        self._names[definition] = name
        return name

    def _free_name(self, definition: Definition) -> str:
        taken = set(self._names.values())
        target = definition.target
        whole = f"{target.__module__}:{target.__qualname__}"
        names = [definition.name, whole, *(f"{whole} {n}" for n in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)
