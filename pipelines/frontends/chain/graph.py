"""A chain as a graph document: a node for each step, and those that its options ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.check import check, compile_graph
from pipelines.errors import GraphError, Problem
from pipelines.frontends.chain.nodes import (
    CALLS,
    free_name,
    is_source,
    make_node,
    name_nodes,
    reference,
)
from pipelines.frontends.chain.order import linked_with, links_of, source_order
from pipelines.frontends.chain.record import Record
from pipelines.frontends.chain.step import Step, record_of
from pipelines.spec import GraphSpec

__all__ = ["Chain"]

_START = f"{CALLS}:start"

#: Faults of a step that a node that calls it through another one would hide.
_HIDDEN = {"unknown-step", "import-failed", "not-callable"} | {
    "unknown-arg",
    "missing-arg",
    "wrong-inputs",
    "arg-twice",
    "not-picklable",
    "async-enter",
}
_INPUTS = {"missing-arg", "wrong-inputs"}


@dataclass
class Chain:
    """The steps of one builder and how they hang together, with the names of their nodes.

    Args:
        added: the steps that were added; those that they are linked with belong to the chain too.
        settings: what the document says beside its nodes and edges.
        notify: whom to tell how the whole chain ended.

    Raises:
        ValueError: there is no step, or one is linked with no other, or was changed after it was
            made.
        GraphError: two steps have one name, or want their inputs in contrary orders.
    """

    added: Sequence[Step]
    settings: Mapping[str, Any]
    notify: Any = None
    names: dict[int, str] = field(init=False)  # of the steps, by their identity

    def __post_init__(self) -> None:
        if not self.added:
            raise ValueError("the pipeline has no steps: add_step(PythonStep(function))")
        linked = any(record_of(each).before or record_of(each).after for each in self.added)
        self._steps = linked_with(self.added) if linked else [*self.added]
        self._records = [record_of(step) for step in self._steps]
        for step, record in zip(self._steps, self._records, strict=True):
            _refuse_changed(step, record)
        self._links = links_of(self._steps, self.added)
        self._nodes = name_nodes(self._records)
        self.names = {id(s): name for s, name in zip(self._steps, self._nodes, strict=True)}
        self._order = source_order(self._links, self._nodes)

    def spec(self) -> GraphSpec:
        """Return the graph, checked in every respect.

        Raises:
            GraphError: it is not sound; it lists every fault.
        """
        document = self._document()
        bare = check(self._document(bare=True))
        hidden = [problem for problem in bare if self._is_hidden(problem, document["nodes"])]
        if hidden:
            raise GraphError([*hidden, *(p for p in check(document) if p.severity == "error")])
        spec = compile_graph(document).spec
        assert spec is not None
        return spec

    def use_up(self) -> None:
        """Note that a run takes what can be taken once: the items of an iterator.

        Raises:
            ValueError: another run has taken them.
        """
        for record in self._records:
            if isinstance(record.target, Iterator | AsyncIterator):
                if record.used_up:
                    raise ValueError(
                        f"the items of step {record.name!r} are an iterator, which the run before "
                        "has used up: give a list, or a function that makes them"
                    )
                record.used_up = True

    def _is_hidden(self, problem: Problem, nodes: Mapping[str, Any]) -> bool:
        """Tell whether a fault of a step is not seen, as the node calls it through another one."""
        if problem.code not in _HIDDEN or problem.path[:1] != ("nodes",):
            return False
        if problem.path[1] not in self._nodes:
            return False  # it is one that tells somebody
        record = self._records[self._nodes.index(str(problem.path[1]))]
        if problem.code in _INPUTS and (not record.inputs or record.first == "item"):
            return False
        return str(nodes[str(problem.path[1])]["func"]).startswith(CALLS)

    def _document(self, bare: bool = False) -> dict[str, Any]:
        """Return the document; a `bare` one calls every step as it is, and is only for checks."""
        nodes = {name: self._node(place, bare) for place, name in enumerate(self._nodes)}
        graph = {self._nodes[place]: self._targets(place) for place in self._order}
        waiting = [name for place, name in enumerate(self._nodes) if self._waits_for_start(place)]
        if waiting and not bare:
            start = free_name("start", nodes)
            nodes, graph = {start: {"func": _START}, **nodes}, {start: waiting, **graph}
        self._add_notices(nodes, graph)
        return {**self.settings, "nodes": nodes, "graph": graph}

    def _targets(self, place: int) -> list[str]:
        record = self._records[place]
        followers = [name for i, name in enumerate(self._nodes) if place in self._links[i]]
        linked = [self.names[id(each)] for each in record.after]
        return sorted(followers, key=linked.index) if linked else followers

    def _node(self, place: int, bare: bool) -> dict[str, Any]:
        first = not self._links[place]
        return make_node(self._records[place], self._nodes[place], first=first, bare=bare)

    def _waits_for_start(self, place: int) -> bool:
        return not self._links[place] and not is_source(self._records[place])

    def _add_notices(self, nodes: dict[str, Any], graph: dict[str, Any]) -> None:
        """Give each step that is to tell somebody a node behind it that does so at its end."""
        last = [name for name in self._nodes if not graph[name]]
        for record, name in zip(self._records, self._nodes, strict=True):
            if (told := record.options.get("notify")) is not None:
                self._add_notice(nodes, graph, [name], told, name)
        if self.notify is not None:
            self._add_notice(nodes, graph, last, self.notify, None)

    def _add_notice(
        self,
        nodes: dict[str, Any],
        graph: dict[str, Any],
        behind: Sequence[str],
        told: Any,
        of: str | None,
    ) -> None:
        title = free_name("notify" if of is None else f"{of} notify", nodes)
        args = {"to": [reference(each) for each in _listed(told)]}
        by_url = all(isinstance(to, str) and "://" in to for to in args["to"])
        func = "notify" if by_url else "pipelines.steps.notifying:tell"
        nodes[title] = {"func": func, "args": args if of is None else {**args, "of": of}}
        if len(behind) > 1:
            nodes[title]["properties"] = {"aggregate_inputs": False}
        for name in behind:
            if not graph[name]:
                self._keep_alone(nodes[name])
            graph[name] = [*graph[name], title]

    def _keep_alone(self, node: dict[str, Any]) -> None:
        """Let the last step of a chain make one call at a time also where one tells of it."""
        defaults = self.settings.get("defaults")
        said = defaults.get("concurrency", 1) if isinstance(defaults, Mapping) else 1
        node["properties"] = {"concurrency": said, **node.get("properties", {})}


def _refuse_changed(step: Step, record: Record) -> None:
    now = vars(step)
    for key, value in record.made.items():
        if key in now and now[key] is not value:
            raise ValueError(
                f"the {key!r} of step {record.name!r} was changed after it was made, and a run "
                "makes a step of its own from the arguments: give it to the constructor"
            )


def _listed(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list | tuple) else (value,)
