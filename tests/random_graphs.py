"""Random graphs, and a sequential model that says what each must give.

A graph is described by plain data (`Plan`), so that one that fails prints as what it is. `build`
makes the document for the Plumber, `expected` runs the same plan item by item without any engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pipelines.step import SKIP, Later, Route

#: Seconds that jitter is made of: the loop's resolution, so that calls really overtake each other.
TICK = 0.0002


class Boom(Exception):
    """What a step of a random graph raises."""


@dataclass(frozen=True)
class Node:
    """One node of a plan.

    Attributes:
        kind: what its step does: see `Behaviour`.
        inputs: the nodes before it.
        merge: it merges several inputs instead of joining them.
        is_async: its step is async, with jitter.
        modulus: which items are special to it: those whose key is 0 modulo this.
        properties: as in the document.
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    merge: bool = False
    is_async: bool = False
    modulus: int = 3
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A whole random graph; `count` items from each source."""

    nodes: tuple[Node, ...]
    count: int


def key(value: Any) -> int:
    """Return the number that a step decides by: that of the item a value was made of."""
    while isinstance(value, tuple):
        value = value[-1] if value and value[-1] is not None else 0
    return int(value)


class Behaviour:
    """A node's step: what it does with a value, in the engine and in the model alike."""

    def __init__(self, node: Node, targets: tuple[str, ...]) -> None:
        self.node = node
        self.targets = targets
        self.calls: dict[Any, int] = {}

    def special(self, value: Any) -> bool:
        """Tell whether the node treats this value specially."""
        return key(value) % self.node.modulus == 0

    def outcome(self, value: Any) -> Any:
        """Return what the step returns for good, or raise `Boom`."""
        node = self.node
        if node.kind == "skip" and self.special(value):
            return SKIP
        if node.kind == "fail" and self.special(value):
            raise Boom(value)
        if node.kind == "route" and self.targets:
            return Route(self.targets[key(value) % len(self.targets)], (node.name, value))
        return (node.name, value)

    def first(self, value: Any) -> Any:
        """Return what the step returns at this call: some first calls fail, or put off."""
        node = self.node
        attempt = self.calls[value] = self.calls.get(value, 0) + 1
        if attempt == 1 and self.special(value):
            if node.kind == "flaky":
                raise Boom(value)
            if node.kind == "later":
                return Later(TICK * (key(value) % 4))
        return self.outcome(value)

    def values(self, value: Any) -> list[Any]:
        """Return what a step that yields gives for a value."""
        return [(self.node.name, index, value) for index in range(key(value) % 4)]


def pack(node: Node, values: tuple[Any, ...]) -> Any:
    """Return the one value that a node decides by, of the arguments that its step is called with.

    A join's row stays a tuple; so does, here, the list that a batch is.
    """
    if node.kind == "batch":
        return tuple(values[0])
    return values if len(node.inputs) > 1 and not node.merge else values[0]


def jitter(value: Any, salt: str) -> float:
    """Return a delay that depends on the item alone."""
    return TICK * ((key(value) * 7919 + len(salt) * 31 + ord(salt[-1])) % 5)


def step(behaviour: Behaviour) -> Any:
    """Return the callable of a node."""
    node = behaviour.node
    if node.kind == "expand" and node.is_async:

        async def agen(*values: Any) -> Any:
            for each in behaviour.values(pack(node, values)):
                await asyncio.sleep(jitter(values[0] or 0, node.name))
                yield each

        return agen
    if node.kind == "expand":

        def gen(*values: Any) -> Iterator[Any]:
            yield from behaviour.values(pack(node, values))

        return gen
    if node.is_async:

        async def call_async(*values: Any) -> Any:
            await asyncio.sleep(jitter(pack(node, values), node.name))
            return behaviour.first(pack(node, values))

        return call_async

    def call(*values: Any) -> Any:
        return behaviour.first(pack(node, values))

    return call


class Portable:
    """A step for worker processes: stateless, and made of what pickles."""

    def __init__(self, node: Node, targets: tuple[str, ...]) -> None:
        self.node = node
        self.targets = targets

    def __call__(self, *values: Any) -> Any:
        return Behaviour(self.node, self.targets).outcome(pack(self.node, values))


class PortableExpansion(Portable):
    """The same for a step that yields."""

    def __call__(self, *values: Any) -> Iterator[Any]:
        yield from Behaviour(self.node, self.targets).values(pack(self.node, values))


def build(plan: Plan) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the document of a plan, and for each node without successors the list it fills."""
    targets = successors(plan)
    document: dict[str, Any] = {"nodes": {}, "graph": {}}
    if any(node.properties.get("on_error") == "dead_letter" for node in plan.nodes):
        document["dead_letter"] = {"func": [].append}
    outputs: dict[str, list[Any]] = {}
    for node in plan.nodes:
        document["graph"][node.name] = list(targets[node.name])
        if not node.inputs:
            source = [(node.name, index) for index in range(plan.count)]
            document["nodes"][node.name] = {"func": source}
            continue
        properties = dict(node.properties)
        if node.merge and len(node.inputs) > 1:
            properties["aggregate_inputs"] = False
        called: Any = step(Behaviour(node, targets[node.name]))
        if properties.get("executor") == "process":
            portable = PortableExpansion if node.kind == "expand" else Portable
            called = portable(node, targets[node.name])
        document["nodes"][node.name] = {"func": called, "properties": properties}
        if not targets[node.name]:
            outputs[node.name] = []
            document["nodes"][f"{node.name}-out"] = {"func": outputs[node.name].append}
            document["graph"][node.name] = [f"{node.name}-out"]
    return document, outputs


def successors(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the names of the nodes behind each node."""
    return {
        node.name: tuple(other.name for other in plan.nodes if node.name in other.inputs)
        for node in plan.nodes
    }


#: Stands in the model where an item is missing.
MISSING = object()


@dataclass
class Expected:
    """What a plan must give: each node's stream, its counters, and whether its order is certain."""

    streams: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    ordered: dict[str, bool] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)


def expected(plan: Plan) -> Expected:
    """Run a plan item by item, one node after the other, and say what must come out."""
    model = Expected()
    targets = successors(plan)
    for node in plan.nodes:
        to = targets[node.name] or (f"{node.name}-out",)
        model.streams[node.name] = {name: [] for name in to}
        if not node.inputs:
            entries: list[Any] = [(node.name, index) for index in range(plan.count)]
            model.ordered[node.name] = True
            for name in to:
                model.streams[node.name][name] = list(entries)
            continue
        _run_node(node, model, targets[node.name], to)
    return model


def _run_node(node: Node, model: Expected, targets: tuple[str, ...], to: tuple[str, ...]) -> None:
    entries = _entries(node, model)
    behaviour = Behaviour(node, targets)
    received = skipped = 0
    out = model.streams[node.name]
    for value in entries:
        sent: dict[str, list[Any]] = {name: [MISSING] for name in to}
        if value is not MISSING:
            received += len(value) if node.kind == "batch" else 1
            sent, gone = _call(node, behaviour, value, to, model)
            skipped += gone
        for name in to:
            out[name] += sent[name]
    model.received[node.name] = received
    model.skipped[node.name] = skipped
    stays = node.properties.get("ordered", True) and not (node.merge and len(node.inputs) > 1)
    model.ordered[node.name] = bool(stays) and all(model.ordered[name] for name in node.inputs)


def _entries(node: Node, model: Expected) -> list[Any]:
    columns = [model.streams[name][node.name] for name in node.inputs]
    if node.kind == "batch":
        values = [value for value in columns[0] if value is not MISSING]
        size = node.properties["batch"]["size"]
        return [tuple(values[start : start + size]) for start in range(0, len(values), size)]
    if len(columns) == 1:
        return columns[0]
    if node.merge:
        return [value for column in columns for value in column]
    rows: list[Any] = []
    for row in zip(*columns, strict=True):
        missing = [value is MISSING for value in row]
        if all(missing) or (any(missing) and "join" not in node.properties):
            rows.append(MISSING)
        else:
            rows.append(tuple(None if value is MISSING else value for value in row))
    return rows


def _call(
    node: Node, behaviour: Behaviour, value: Any, to: tuple[str, ...], model: Expected
) -> tuple[dict[str, list[Any]], int]:
    if node.kind == "expand":
        return {name: behaviour.values(value) for name in to}, 0
    try:
        outcome = behaviour.outcome(value)
    except Boom:
        model.failing.add(node.name)
        outcome = SKIP
    if outcome is SKIP:
        return {name: [MISSING] for name in to}, 1
    if isinstance(outcome, Route):
        return {name: [outcome.values.get(name, MISSING)] for name in to}, 0
    return {name: [outcome] for name in to}, 0


# Strategies.

KINDS = ("plain", "plain", "skip", "route", "fail", "flaky", "later", "expand", "batch")


@st.composite
def plans(draw: st.DrawFn, executors: tuple[str, ...] = ("inline",), most: int = 7) -> Plan:
    """Draw a plan whose joins are aligned."""
    nodes: list[Node] = [Node("s0", "source")]
    streams: dict[str, str] = {"s0": "s0"}
    for index in range(draw(st.integers(1, most))):
        if index and draw(st.integers(0, 9)) == 0:
            nodes.append(Node(f"s{index + 1}", "source"))
            streams[nodes[-1].name] = nodes[-1].name
            continue
        node = draw(_nodes(f"n{index + 1}", tuple(streams), streams, executors))
        nodes.append(node)
        streams[node.name] = _stream(node, streams)
    return _connected(Plan(tuple(nodes), draw(st.sampled_from((0, 1, 7, 30, 120)))))


def _stream(node: Node, streams: dict[str, str]) -> str:
    new = node.kind in ("expand", "batch") or node.merge or not node.properties.get("ordered", True)
    return node.name if new else streams[node.inputs[0]]


@st.composite
def _nodes(
    draw: st.DrawFn,
    name: str,
    before: tuple[str, ...],
    streams: dict[str, str],
    executors: tuple[str, ...],
) -> Node:
    inputs = draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
    inputs.sort(key=before.index)
    aligned = len({streams[each] for each in inputs}) == 1
    merge = len(inputs) > 1 and (not aligned or draw(st.booleans()))
    executor = draw(st.sampled_from(executors))
    kinds = [kind for kind in KINDS if executor != "process" or kind not in ("flaky", "later")]
    kind = draw(st.sampled_from(kinds))
    if kind == "batch":
        # Only behind a source is it certain, in the model too, which items make up a batch.
        inputs, merge = [draw(st.sampled_from([n for n in before if n.startswith("s")]))], False
    properties: dict[str, Any] = {
        "buffer_size": draw(st.sampled_from((1, 2, 3, 100))),
        "executor": executor,
    }
    is_async = executor == "inline" and draw(st.booleans())
    if is_async or executor != "inline":
        properties["concurrency"] = draw(st.sampled_from((1, 2, 5)))
    if draw(st.integers(0, 3)) == 0:
        properties["ordered"] = False
    if kind == "flaky":
        properties["retry"] = {"attempts": 2, "backoff": TICK, "jitter": draw(st.booleans())}
    if kind == "fail":
        properties["on_error"] = draw(st.sampled_from(("skip", "dead_letter", "fail")))
    if kind == "batch":
        properties["batch"] = {"size": draw(st.integers(1, 9))}
    if len(inputs) > 1 and not merge and draw(st.booleans()):
        properties["join"] = {"on_missing": "none"}
    modulus = draw(st.sampled_from((1, 2, 3, 7)))
    return Node(name, kind, tuple(inputs), merge, is_async, modulus, properties)


def _connected(plan: Plan) -> Plan:
    """Give each source without a successor one: a node alone in the graph would be refused."""
    targets = successors(plan)
    extra = [
        Node(f"{node.name}-tail", "plain", (node.name,))
        for node in plan.nodes
        if not node.inputs and not targets[node.name]
    ]
    return Plan((*plan.nodes, *extra), plan.count)
