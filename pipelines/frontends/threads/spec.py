"""A line of steps as the graph that it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pipelines.errors import shorten
from pipelines.frontends.generators.nodes import as_node
from pipelines.frontends.threads.steps import AbstractIterStep, AbstractStep
from pipelines.load import load
from pipelines.spec import GraphSpec

__all__ = ["Step", "line", "steps_of"]


class Step:
    """One step of a `Pipeline`: what runs, in how many threads, and how.

    Args:
        step: a subclass of `AbstractStep`, what `funcstep` or `iterstep` returned, or a function
            that takes an item.
        threads: how many.
        options: what the step's `initialize` gets; of a function, keyword arguments.
        name: the node's name; by default that of the class or function.
        properties: of the node, such as ``retry={"attempts": 3}`` or ``on_error="skip"``.

    Raises:
        TypeError: the step is none, or `threads` is no number.
        ValueError: `threads` is below 1.
    """

    def __init__(
        self,
        step: Any,
        threads: int = 1,
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        **properties: Any,
    ) -> None:
        _check(step, threads, properties)
        self.step = step
        self.threads = threads
        self.options = dict(options or {})
        self.name = str(name or getattr(step, "__name__", type(step).__name__))
        self.properties = properties

    def __repr__(self) -> str:
        return f"Step({self.name}, {self.threads})"

    def to_node(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document of the step's node, in a graph with these defaults."""
        said: dict[str, Any] = {"concurrency": self.threads}
        if _is_step(self.step) and issubclass(self.step, AbstractIterStep):
            said |= {"ordered": False} if self.threads > 1 else {}
        elif "executor" not in defaults:
            said |= {"executor": "thread"}
        return {**self._target(), "properties": {**said, **self.properties}}

    def _target(self) -> dict[str, Any]:
        """Return what the node runs: a function itself, where its class adds nothing to it."""
        options = {"args": self.options} if self.options else {}
        if not _is_step(self.step) or self.step.function is None:
            return {"func": self.step, **options}
        function, base = self.step.function, self.step.__bases__[0]
        if base is AbstractIterStep:
            return as_node(functools.partial(function, **self.options) if options else function)
        return {"func": function if base is AbstractStep else self.step, **options}


def _check(step: Any, threads: Any, properties: Mapping[str, Any]) -> None:
    if isinstance(step, AbstractStep):
        name = type(step).__name__
        raise TypeError(f"give the class, not an instance: ({name}, {threads!r})")
    if not callable(step):
        raise TypeError(
            f"{shorten(step, 60)} is no step: give a function of an item, a subclass of "
            "AbstractStep, funcstep(f) or iterstep(f)"
        )
    if _is_step(step) and inspect.isabstract(step):
        raise TypeError(f"{step.__name__} has no process(self, item): write one")
    if not isinstance(threads, int) or isinstance(threads, bool):
        raise TypeError(f"the threads of a step are a number, not {threads!r}: (step, n_threads)")
    if threads < 1:
        raise ValueError(f"a step has at least one thread, not {threads}")
    if "concurrency" in properties:
        raise TypeError("a step's concurrency is its threads: Step(step, threads)")


def _is_step(step: Any) -> bool:
    return inspect.isclass(step) and issubclass(step, AbstractStep)


def steps_of(steps: Iterable[Any]) -> list[Step]:
    """Return what a `Pipeline` was given as `Step`s.

    Raises:
        TypeError: something is no ``(step, n_threads)``, or there is nothing at all.
        ValueError: a step has less than one thread.
    """
    if isinstance(steps, tuple) and len(steps) in (2, 3) and isinstance(steps[1], int):
        raise TypeError("a Pipeline takes a list of steps: Pipeline([(step, n_threads), …])")
    found = [_step(each) for each in steps]
    if not found:
        raise ValueError("a Pipeline has at least one step: Pipeline([(step, n_threads), …])")
    return found


def _step(said: Any) -> Step:
    if isinstance(said, Step):
        return said
    if isinstance(said, tuple | list) and len(said) in (2, 3):
        return Step(*said)
    raise TypeError(
        f"{shorten(said, 60)} is no step of a Pipeline: write (step, n_threads), "
        "(step, n_threads, options), or Step(step, n_threads, retry=…)"
    )


def line(
    sources: Mapping[str, dict[str, Any]], steps: Iterable[Step], document: Mapping[str, Any]
) -> GraphSpec:
    """Return the graph in which the sources lead to the first step, and each step to the next.

    Args:
        sources: documents of input nodes, by name.
        steps: in order.
        document: what else the graph's document says.

    Raises:
        GraphError: a property is wrong; it lists every problem.
    """
    nodes = dict(sources)
    before, graph = list(sources), {}
    for step in steps:
        name = _unique(step.name, nodes)
        node = step.to_node(document.get("defaults", {}))
        if len(before) > 1:
            node["properties"].setdefault("aggregate_inputs", False)
        nodes[name] = node
        graph.update({source: [name] for source in before})
        before = [name]
    return load({**document, "nodes": nodes, "graph": graph})


def _unique(name: str, known: Container[str]) -> str:
    unique, number = name, 2
    while unique in known:
        unique, number = f"{name}_{number}", number + 1
    return unique
