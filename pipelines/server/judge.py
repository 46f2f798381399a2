"""A stranger's graph: whether it may run here, by what is offered and how much is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipelines.check import Examination, examine
from pipelines.errors import GraphError, Problem, shorten
from pipelines.places import Path
from pipelines.registry import did_you_mean
from pipelines.server.arguments import faults
from pipelines.server.limits import Limits, over
from pipelines.server.offer import Offer
from pipelines.server.sanity import insane
from pipelines.server.wire import KEYS, Document, named, on_wire, steps_in, to_library

__all__ = ["Judge", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a graph.

    Attributes:
        document: the graph as it goes over the wire.
        examination: what the library knows of it; there is none of a graph beyond the limits.
        problems: all faults and warnings, at their places on the wire.
    """

    document: Document
    examination: Examination | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that refuse the graph."""
        return tuple(each for each in self.problems if each.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Those that do not."""
        return tuple(each for each in self.problems if each.severity != "error")

    def accepted(self) -> Examination:
        """Return what is known of a graph that may run.

        Raises:
            GraphError: it may not.
        """
        if self.errors or self.examination is None:
            raise GraphError(self.errors)
        return self.examination

    @property
    def inputs(self) -> list[str]:
        """The input nodes without a step, which take what is pushed."""
        spec = self.examination.spec if self.examination is not None else None
        if spec is None:
            return []
        fed = {edge.target for edge in spec.edges}
        return [
            name for name, node in spec.nodes.items() if node.target is None and name not in fed
        ]


class Judge:
    """Judges graphs by what is offered and how much is allowed."""

    def __init__(self, offer: Offer, limits: Limits) -> None:
        self._offer = offer
        self._limits = limits

    def judge(self, document: Document) -> Verdict:
        """Return all that is wrong with a graph."""
        if first := insane(document, self._limits):
            return Verdict(document, None, tuple(first))
        whole = to_library(self._with_known_args(document), self._offer)
        result = examine(whole, coro_map=self._target_of, trusted=False)
        problems = [
            *self._not_offered(document),
            *self._bad_args(document),
            *map(on_wire(document), result.problems),
        ]
        if result.spec is not None:
            problems += self._too_much(result)
        return Verdict(document, result, tuple(_distinct(problems)))

    def _with_known_args(self, document: Document) -> Document:
        """Leave out the arguments that a step does not take: they are reported here."""
        nodes = document.get("nodes")
        if not isinstance(nodes, dict):
            return document
        return {**document, "nodes": {name: self._known_args(node) for name, node in nodes.items()}}

    def _known_args(self, node: Any) -> Any:
        step = self._offer.find(named(node))
        if step is None or not isinstance(node.get("args"), dict):
            return node
        known = step.description["args"]["properties"]
        return {
            **node,
            "args": {name: node["args"][name] for name in node["args"] if name in known},
        }

    def _target_of(self, name: Any) -> Any:
        offered = self._offer.find(name)
        return _anything if offered is None else offered.target

    def _not_offered(self, document: Document) -> Iterator[Problem]:
        for path, node in steps_in(document):
            for key in KEYS:
                name = node.get(key)
                if name is None or self._offer.find(name) is not None:
                    continue
                if isinstance(name, str):
                    what = f"no step {shorten(name, 60)} is offered here."
                    hint = did_you_mean(name, self._offer)
                    yield Problem("unknown-step", what, (*path, key), hint)
                else:
                    what = f"a step is named by a text, not by {shorten(name, 60)}."
                    yield Problem("wrong-type", what, (*path, key))

    def _bad_args(self, document: Document) -> Iterator[Problem]:
        for path, node in steps_in(document):
            step, args = self._offer.find(named(node)), node.get("args")
            if step is None or not isinstance(args, dict):
                continue
            schema = {
                **step.description["args"],
                "required": [],
            }  # the library says what is missing
            for fault in faults(schema, args, (*path, "args")):
                unknown = fault.code == "unknown-key"
                what = f"{step.name} takes no argument {fault.path[-1]!r}."
                yield replace(fault, code="unknown-arg", message=what) if unknown else fault

    def _too_much(self, graph: Examination) -> Iterator[Problem]:
        spec, limits = graph.spec, self._limits
        assert spec is not None
        workers = {"thread": 0, "process": 0}
        for name in spec.nodes:
            properties, path = spec.properties(name), ("nodes", name, "properties")
            if (properties.buffer_size or 0) > limits.queue:
                yield over(limits, "queue", properties.buffer_size, (*path, "buffer_size"))
            if properties.batch is not None and properties.batch.size > limits.queue:
                yield over(limits, "queue", properties.batch.size, (*path, "batch", "size"))
            if (properties.concurrency or 0) > limits.concurrency:
                yield over(limits, "concurrency", properties.concurrency, (*path, "concurrency"))
            if properties.executor in workers:
                workers[properties.executor] += properties.concurrency or 1
        for edge in spec.edges:
            if (edge.buffer_size or 0) > limits.queue:
                yield over(limits, "queue", edge.buffer_size, ("graph", edge.source))
        if workers["thread"] > limits.threads:
            yield over(limits, "threads", workers["thread"])
        if workers["process"] > limits.processes:
            yield over(limits, "processes", workers["process"])


def _anything(*items: Any, **args: Any) -> Any:
    """Stand for a step that is not offered: nothing more is to be said of it."""


def _distinct(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield each fault once: the library finds some of those again that are found here."""
    seen: set[tuple[str, Path]] = set()
    for problem in problems:
        if (key := (problem.code, problem.path)) not in seen:
            seen.add(key)
            yield problem
