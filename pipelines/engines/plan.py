"""Which nodes run where: a graph is cut into hosts, each with one node that it is entered by.

A host is a process, maybe on another machine, that runs neighbouring nodes of one scope on a batch
of items a call. A call costs about a millisecond, so what makes it fast is that one call takes a
batch through all of a host's nodes.

Every node of a host but its *head* gets all that it gets from nodes of the same host. So joins and
merges of what comes from several hosts are at heads, where the driver pairs batches without looking
into them; and hosts can form no circle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipelines.check import Examination
from pipelines.errors import GraphError, Problem
from pipelines.processor import ASYNC_CONCURRENCY
from pipelines.spec import EdgeSpec, GraphSpec, Properties, Rate
from pipelines.step import Shape
from pipelines.streams import topological_order

__all__ = ["DRIVER", "HostPlan", "Plan", "make_plan"]

#: The scope of the process that starts the graph.
DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host.

    Attributes:
        name: what its nodes' `host` says, or its head; unique in the graph.
        spec: its nodes, the head first, and the edges between them.
        inbound: the edges that lead to its head, in the order of a join's row.
        outbound: the edges that lead from its nodes to other hosts or to the driver.
        scope: which workers can run it; `None` for all.
        replicas: how many processes share its batches.
        priority: which of several hosts goes first where processors are short; higher is first.
        stateful: its steps remember earlier items: batches go one by one, to one process.
        ordered: results of a batch go on behind those of the batch before.
        window: items that may be under way in each of its processes.
    """

    name: str
    spec: GraphSpec
    inbound: tuple[EdgeSpec, ...]
    outbound: tuple[EdgeSpec, ...]
    scope: str | None
    replicas: int
    priority: int
    stateful: bool
    ordered: bool
    window: int

    @property
    def head(self) -> str:
        """The node that it is entered by."""
        return next(iter(self.spec.nodes))


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph, cut.

    Attributes:
        hosts: in topological order.
        local: the nodes that run in the driver's own process: input nodes, those that take a
            whole stream, and those that say so or write to standard output.
    """

    hosts: tuple[HostPlan, ...]
    local: frozenset[str]


def make_plan(graph: Examination, elsewhere: bool) -> Plan:
    """Cut a graph that may run into hosts.

    Args:
        graph: the graph.
        elsewhere: the hosts are in other processes than the driver.

    Raises:
        GraphError: a node says where it runs, and can't run there; it lists every problem.
    """
    spec = graph.spec
    assert spec is not None
    inbound: dict[str, list[EdgeSpec]] = {name: [] for name in spec.nodes}
    for edge in spec.edges:
        inbound[edge.target].append(edge)
    local = {}
    for name in spec.nodes:
        if why := _why_local(graph, name, bool(inbound[name]), elsewhere):
            local[name] = why
    if problems := [each for name in spec.nodes for each in _misplaced(spec, name, local)]:
        raise GraphError(problems)
    groups = _groups(spec, inbound, frozenset(local))
    return Plan(tuple(_hosts(graph, groups, inbound)), frozenset(local))


def _why_local(graph: Examination, name: str, fed: bool, elsewhere: bool) -> str:
    """Return why a node runs in the driver, if it does."""
    assert graph.spec is not None
    node = graph.spec.nodes[name]
    if not fed:
        return "makes items"
    if _shape(graph, name).streams:
        return "takes a whole stream"
    if not elsewhere:
        return ""
    if graph.spec.properties(name).scope == DRIVER:
        return f"has the scope {DRIVER}"
    runs_here = getattr(graph.targets[name], "runs_here", None)
    if node.properties.scope is None and runs_here is not None and runs_here(node.args):
        return "writes to standard output"
    return ""


def _shape(graph: Examination, name: str) -> Shape:
    return graph.shapes.get(name, Shape())


def _misplaced(spec: GraphSpec, name: str, local: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what a node says of where it runs and can't have."""
    properties = spec.properties(name)
    own = spec.nodes[name].properties  # defaults are for nodes that can have them
    for option in ("scope", "host", "replicas", "stateful") if name in local else ():
        if getattr(own, option) not in (None, False, DRIVER):
            what = f"node {name!r} {local[name]}, so it runs where the graph was started: "
            what += f"{option} is of no use there."
            hint = f"Remove {option}, or do the work in a node behind it."
            yield _problem(spec, "not-remote", what, name, option, hint)
    if name not in local and properties.stateful and (properties.replicas or 1) > 1:
        what = f"node {name!r} is stateful: one process must see all its items, not several."
        yield _problem(
            spec, "stateful-replicas", what, name, "replicas", "Remove replicas, or stateful."
        )


def _problem(spec: GraphSpec, code: str, what: str, name: str, option: str, hint: str) -> Problem:
    path = ("nodes", name, "properties", option)
    line, column = spec.locations.get(path, (None, None))
    return Problem(code, what, path, hint, file=spec.source, line=line, column=column)


#: What neighbouring nodes must have in common to share a host.
_Place = tuple[str | None, str | None, int, int, bool]


def _place(properties: Properties) -> _Place:
    return (
        properties.scope,
        properties.host,
        properties.replicas or 1,
        properties.priority or 0,
        bool(properties.stateful),
    )


def _groups(
    spec: GraphSpec, inbound: Mapping[str, list[EdgeSpec]], local: frozenset[str]
) -> dict[str, list[str]]:
    """Return the nodes of each host, by its head; both in topological order."""
    groups: dict[str, list[str]] = {}
    head_of: dict[str, str] = {}
    for name in topological_order(spec):
        if name in local:
            continue
        before = _head_before(inbound[name], head_of)
        head = before if before is not None and _shares(spec, before, name) else name
        groups.setdefault(head, []).append(name)
        head_of[name] = head
    return groups


def _head_before(edges: list[EdgeSpec], head_of: Mapping[str, str]) -> str | None:
    """Return the head of the one host that all of a node's edges come from, if there is one."""
    heads = {head_of.get(edge.source) for edge in edges}
    kept = any(edge.durable is not None for edge in edges)
    return None if kept or len(heads) > 1 else heads.pop()


def _shares(spec: GraphSpec, head: str, name: str) -> bool:
    """Tell whether a node may share the host of those before it.

    One that takes lists of items is a head: they may be made of items of several batches.
    """
    properties = spec.properties(name)
    return properties.batch is None and _place(properties) == _place(spec.properties(head))


def _hosts(
    graph: Examination, groups: Mapping[str, list[str]], inbound: Mapping[str, list[EdgeSpec]]
) -> Iterator[HostPlan]:
    spec = graph.spec
    assert spec is not None
    names: set[str] = set()
    for head, members in groups.items():
        inside = set(members)
        outbound = [e for e in spec.edges if e.source in inside and e.target not in inside]
        scope, host, replicas, priority, stateful = _place(spec.properties(head))
        name = host if host is not None and host not in names else head
        names.add(name)
        yield HostPlan(
            name=name,
            spec=_part(spec, members, replicas),
            inbound=tuple(inbound[head]),
            outbound=tuple(outbound),
            scope=scope,
            replicas=replicas,
            priority=priority,
            stateful=stateful,
            ordered=not _unordered(spec, members, outbound),
            window=max(_window(graph, each) for each in members),
        )


def _part(spec: GraphSpec, members: list[str], replicas: int) -> GraphSpec:
    """Return the graph of a host's own nodes; replicas share what a rate allows.

    What is said of the whole run stays with the driver: how many failures it allows, say.
    """
    inside = set(members)
    nodes = {}
    for name in members:
        nodes[name] = node = spec.nodes[name]
        rate = spec.properties(name).rate_limit
        if rate is not None and replicas > 1:
            share = replace(node.properties, rate_limit=Rate(rate.count / replicas, rate.per))
            nodes[name] = replace(node, properties=share)
    edges = tuple(each for each in spec.edges if each.source in inside and each.target in inside)
    return GraphSpec(nodes=nodes, edges=edges, name=spec.name, defaults=spec.defaults)


def _unordered(spec: GraphSpec, members: list[str], outbound: list[EdgeSpec]) -> bool:
    """Tell whether all that a host sends away comes through unordered nodes of its own."""
    loose: set[str] = set()
    for name in members:
        before = [edge.source for edge in spec.inbound(name)]
        if not spec.properties(name).ordered or not loose.isdisjoint(before):
            loose.add(name)
    return bool(loose) and all(edge.source in loose for edge in outbound)


def _window(graph: Examination, name: str) -> int:
    """Return how many items a node may have under way."""
    assert graph.spec is not None
    properties = graph.spec.properties(name)
    calls = properties.concurrency
    if calls is None:
        calls = ASYNC_CONCURRENCY if _shape(graph, name).is_async else 1
    polls = not properties.ordered
    return max(calls, properties.waiting_limit or 1) if polls else calls
