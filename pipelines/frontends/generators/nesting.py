"""Steps nested around a source, as one would by hand."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from pipelines.errors import shorten

__all__ = ["Debugger", "Step", "checked", "combine_pipeline", "identity_step", "steps_of"]

#: A function from an iterator to an iterator.
Step = Callable[[Iterator[Any]], Iterable[Any]]


class Debugger(Protocol):
    """What looks on while a pipeline runs."""

    def nest(self, source: Iterable[Any], steps: list[Step]) -> Iterator[Any]:
        """Nest the steps around a source, as `combine_pipeline` would."""


def combine_pipeline(source: Any, steps: Any, debugger: Debugger | None = None) -> Any:
    """Nest `steps` around a source: ``c(b(a(source)))``, which the caller pulls from.

    Without a `debugger` nothing of ours stands between two steps, and the result costs what the
    same generators cost that are nested by hand.

    Args:
        source: an iterable; or a callable that returns one, and then the result is a callable too,
            which passes its arguments on.
        steps: functions from an iterator to an iterator, and objects with a method
            ``process(iterator)``; lists of them may be nested.
        debugger: looks on, see `PipelineRuntimeDebugger`.

    Returns:
        An iterator, or a callable that returns one.

    Raises:
        TypeError: the source or a step is none.
    """
    found = list(steps_of(steps))
    nest = _nest if debugger is None else debugger.nest
    if callable(source):
        return _deferred(source, functools.partial(nest, steps=found))
    return nest(checked(source), found)


def identity_step(iterator: Iterator[Any]) -> Iterator[Any]:
    """Be the step that changes nothing."""
    return iterator


def steps_of(steps: Any) -> Iterator[Step]:
    """Give each step as a function, in order, whatever they were nested in.

    Raises:
        TypeError: something is no step; it says what to write instead.
    """
    if inspect.isclass(steps) and hasattr(steps, "process"):
        raise TypeError(f"{steps.__name__} is a class: write {steps.__name__}()")
    if callable(getattr(steps, "process", None)):
        yield steps.process
    elif inspect.iscoroutinefunction(steps) or inspect.isasyncgenfunction(steps):
        raise TypeError(
            f"{steps.__name__} is async, and a chain of generators has no event loop: make it a "
            "node of a graph, and that a step with as_step(graph)"
        )
    elif callable(steps):
        yield steps
    elif isinstance(steps, Iterable) and not isinstance(steps, str | bytes):
        for each in steps:
            yield from steps_of(each)
    else:
        raise TypeError(
            f"{shorten(steps, 60)} is no step: give a function from an iterator to an iterator, "
            "or an object with process(iterator)"
        )


def _nest(source: Iterable[Any], steps: list[Step]) -> Iterator[Any]:
    found = source
    for step in steps:
        found = checked(step(found if isinstance(found, Iterator) else iter(found)), step)
    return iter(found)


def checked(found: Any, step: Any = None) -> Iterable[Any]:
    """Return what a step gave, or a source is.

    Raises:
        TypeError: it is no iterable.
    """
    if isinstance(found, Iterable):
        return found
    if step is None:
        raise TypeError(f"the source is {shorten(found, 60)}: give an iterable, or a callable")
    name = getattr(step, "__qualname__", type(step).__name__)
    raise TypeError(f"the step {name} gave {shorten(found, 60)}, no iterable; does it `yield`?")


def _deferred(source: Callable[..., Any], nest: Callable[..., Iterator[Any]]) -> Any:
    @functools.wraps(source, updated=())
    def pipeline(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return nest(checked(source(*args, **kwargs)))

    return pipeline
