"""A graph as a generator step."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from time import perf_counter as clock
from typing import Any, cast

from pipelines.channel import Channel, Outbox
from pipelines.check import Examination, compile_graph
from pipelines.errors import GraphError, Problem
from pipelines.frontends.background import Background
from pipelines.metrics import Reporter
from pipelines.plumber import Graph, Plumber
from pipelines.registry import did_you_mean
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties

__all__ = ["as_step"]

#: Seconds for which items are put in before the results are looked at: threads that take turns at
#: every item are many times slower. A source that is slow is asked for one at a time.
MOMENT = 0.001


def as_step(
    graph: Graph,
    *,
    source: str | None = None,
    sink: str | None = None,
    reporters: Iterable[Reporter] = (),
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Return a generator step that takes its items through a graph.

    The graph runs in a thread of its own from the first item that is asked for until the last;
    closing the step cancels the run. The step's own iterator is pulled in the caller's thread, and
    only so far as the graph has room. What fails in the graph is raised where its results would
    have come.

    Args:
        graph: what `Plumber` takes. It may be run any number of times.
        source: the input node to feed; by default the only one, or the only one without a step.
            A step that it has is not called.
        sink: the node whose results to give; by default the only one that leads nowhere.
        reporters: are told how each run goes.

    Raises:
        GraphError: the graph is invalid, or it is not clear which node is meant.
    """
    spec = _spec_of(graph)
    fed = _choose("source", source, _inputs(spec), _unfed(spec))
    ends = [name for name in spec.nodes if not spec.outbound(name)]
    end = _choose("sink", sink, spec.nodes if sink is not None else ends)
    told = tuple(reporters)

    def step(iterator: Iterable[Any]) -> Iterator[Any]:
        results: Any = Bridge(spec, fed, end, told).pull(iterator)
        results.__name__ = step.__name__  # what a debugger calls it
        return cast(Iterator[Any], results)

    step.__name__ = step.__qualname__ = spec.name or "graph"
    return step


def _spec_of(graph: Graph) -> GraphSpec:
    found = graph if isinstance(graph, Examination) else compile_graph(graph)
    if found.spec is None:
        raise GraphError(found.problems)
    return found.spec


def _inputs(spec: GraphSpec) -> list[str]:
    return [name for name in spec.nodes if not spec.inbound(name)]


def _unfed(spec: GraphSpec) -> list[str]:
    return [name for name in _inputs(spec) if spec.nodes[name].target is None]


def _choose(
    what: str, said: str | None, known: Collection[str], likely: Collection[str] = ()
) -> str:
    """Return the node that is meant as the graph's source or sink."""
    if said is not None and said in known:
        return said
    if said is not None:
        raise _unclear(what, f"no {what} is named {said!r}.", did_you_mean(said, known))
    for names in (likely, known):
        if len(names) == 1:
            return next(iter(names))
    several = ", ".join(map(repr, known))
    message = f"the graph has several {what}s: {several}."
    raise _unclear(what, message, f"Say which, as_step(graph, {what}={next(iter(known))!r}).")


def _unclear(what: str, message: str, hint: str) -> GraphError:
    return GraphError([Problem(f"unclear-{what}", message, ("nodes",), hint)])


class Bridge:
    """Takes items into one run of a graph, and its results out, for a caller in another thread."""

    def __init__(
        self, spec: GraphSpec, source: str, end: str, reporters: Iterable[Reporter]
    ) -> None:
        size = spec.properties(source).buffer_size or 1
        self._changed = threading.Condition()
        self._items = Channel(size, self._changed)
        self._results = Outbox(size, self._changed)
        graph = _between(spec, source, self._items, end, self._results)
        self._run = Background(Plumber(graph, reporters=reporters), ended=self._ended)

    def pull(self, iterator: Iterable[Any]) -> Iterator[Any]:
        """Give the results of an iterator's items, and pull it as far as there is room for them."""
        source: Iterator[Any] | None = iter(iterator)
        try:
            self._run.start()
            while True:
                over = self._wait(has_more=source is not None)
                if self._results:
                    yield self._results.take()
                elif over:
                    self._run.result()
                    return
                elif source is not None:
                    source = self._feed(source)
        finally:
            self._run.cancel()
            self._run.join()

    def _wait(self, has_more: bool) -> bool:
        """Wait for a result, for room, or for the end; tell whether there was the end."""

        def can_go_on() -> bool:
            return bool(self._results) or self._run.over or (has_more and not self._items.full())

        with self._changed:
            self._changed.wait_for(can_go_on)
            return self._run.over  # looked at before the results: those are complete by then

    def _feed(self, source: Iterator[Any]) -> Iterator[Any] | None:
        """Put in what there is room for, for a moment; return what gives more, if anything does."""
        until = clock() + MOMENT
        for item in source:
            if not self._items.put(item):
                return None
            if self._items.full() or clock() > until:
                return source
        self._items.close()
        return None

    def _ended(self) -> None:
        self._items.close()  # which also wakes the caller


def _between(spec: GraphSpec, source: str, items: Channel, end: str, results: Outbox) -> GraphSpec:
    """Return a graph that takes its items from one queue and puts its results into another."""
    out = f"{end}: results"
    nodes = {
        **spec.nodes,
        source: dataclasses.replace(spec.nodes[source], coro=None, func=items, args={}),
        out: NodeSpec(out, func=results.put, properties=_BARE),
    }
    return dataclasses.replace(spec, nodes=nodes, edges=(*spec.edges, EdgeSpec(end, out)))


#: What keeps a graph's own `defaults` from the node that takes its results.
_BARE = Properties(concurrency=1, executor="inline", on_error="fail", buffer_size=1)
