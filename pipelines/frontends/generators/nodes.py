"""A generator step as a node of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.frontends.generators.nesting import combine_pipeline, identity_step, steps_of
from pipelines.step import StreamStep, resolve

__all__ = ["GeneratorStep", "as_node"]


class GeneratorStep(StreamStep):
    """Takes a stream through generator steps; in a graph file the `func` of such a node.

    Args:
        steps: a step or a list of steps, as for `combine_pipeline`; each may be named, as
            ``module:name``.
    """

    def __init__(self, steps: Any) -> None:
        *self._steps, self._last = [identity_step, *steps_of(_resolved(steps))]

    def stream(self, items: Iterator[Any]) -> Iterable[Any] | None:
        """Return what comes out of the last step, which may give `None`: it is a sink then."""
        return self._last(combine_pipeline(items, self._steps))


GeneratorStep.__module__ = "pipelines.frontends.generators"  # where a graph file finds it


def as_node(steps: Any, **properties: Any) -> dict[str, Any]:
    """Return the document of a node that takes its stream through generator steps.

    Such a node runs in a thread of its own. Doomsday is the end of the steps' iterator; what they
    raise fails the run; when the run is cancelled, they are closed as generators are.

    Args:
        steps: a step or a list of steps, as for `combine_pipeline`.
        properties: of the node, such as ``buffer_size=10``. With ``concurrency=n, ordered=False`` n
            nests of them share the items.

    Returns:
        The document; with steps that can be imported by their names it can be written as YAML.

    Raises:
        TypeError: something is no step.
    """
    list(steps_of(_resolved(steps)))
    node: dict[str, Any] = {"func": GeneratorStep, "args": {"steps": _named(steps)}}
    return node | ({"properties": properties} if properties else {})


def _resolved(steps: Any) -> Any:
    if isinstance(steps, str):
        return resolve(steps)
    return [_resolved(each) for each in steps] if isinstance(steps, list | tuple) else steps


def _named(steps: Any) -> Any:
    """Return steps by name where a name leads back to them: a name can be written to a file."""
    if isinstance(steps, list | tuple):
        return [_named(each) for each in steps]
    name = f"{getattr(steps, '__module__', '')}:{getattr(steps, '__qualname__', '')}"
    try:
        return name if resolve(name) is steps else steps
    except (ImportError, LookupError, ValueError):
        return steps
