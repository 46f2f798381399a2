"""The graph as frozen data: what was asked for, before anything is resolved or run.

A document (a dict of plain data, see ``schemas/graph.schema.json``) becomes a `GraphSpec` and goes
back to the same document. Nothing here imports a step or checks a graph: that is `check`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from graphlib import TopologicalSorter
from operator import attrgetter
from types import ModuleType
from typing import Any

from pipelines.errors import shorten

__all__ = [
    "DEFAULTS",
    "Batch",
    "EdgeSpec",
    "GraphSpec",
    "Join",
    "Location",
    "NodeSpec",
    "Properties",
    "Rate",
    "Retry",
    "Runtime",
    "format_duration",
    "parse_duration",
    "parse_rate",
    "parse_share",
]

#: A path into the document -> its 1-based (line, column) in the file it was read from.
Location = Mapping[tuple[str | int, ...], tuple[int, int]]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}  # in ms, so that all are exact
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d*)(ms|s|m|h)")
_NUMBER = re.compile(r"(?:[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?|0o[0-7]+)$", re.ASCII)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def parse_duration(value: float | str) -> float:
    """Return seconds from a number of seconds or a text such as ``500ms``, ``10s``, ``5m``, ``1h``.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value!r} is no duration; write 500ms, 10s, 5m or 1h")
        return float(match[1]) * _UNITS[match[2]] / 1000
    return float(value)


def format_duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that keeps it exact: ``0.5`` -> ``500ms``."""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.12g}{unit}"
    text = f"{seconds * 1000:.12g}"
    return f"{text}ms" if "e" not in text else f"{seconds}s"


def parse_rate(value: str) -> Rate:
    """Return the `Rate` of a text such as ``20/s`` or ``100/m``.

    Raises:
        ValueError: the text is no rate.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0 or match[2] == "0":
        raise ValueError(f"{value!r} is no rate; write 20/s or 100/m")
    return Rate(float(match[1]), int(match[2] or 1) * _UNITS[match[3]] / 1000)


def parse_share(value: int | str) -> int | float:
    """Return a count as it is and ``"5%"`` as the fraction ``0.05``.

    Raises:
        ValueError: the text is neither.
    """
    if isinstance(value, str):
        match = _SHARE.fullmatch(value.strip())
        if match is None or float(match[1]) > 100:
            raise ValueError(f"{value!r} is neither a count nor a share such as 5%")
        return float(match[1]) / 100
    return value


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in every `per` seconds."""

    count: float
    per: float

    def __str__(self) -> str:
        per = format_duration(self.per)
        unit = next((unit for unit in _UNITS if per == f"1{unit}"), per)
        return f"{self.count:.12g}/{unit}"


@dataclass(frozen=True, slots=True)
class Retry:
    """Call again after a failure: `attempts` calls, `backoff` seconds doubling to `max_backoff`.

    With `jitter` each wait is drawn evenly between zero and that bound. `on` names the exception
    classes (also base classes) to try again for; empty means every `Exception`.
    """

    attempts: int = 3
    backoff: float = 0.5
    max_backoff: float = 30.0
    jitter: bool = True
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Call the step with a list of `size` items, or of fewer once `timeout` seconds have passed."""

    size: int
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """What an aggregated join does with an incomplete row: ``drop``, ``none`` or ``fail``.

    `None` drops rows with a gap and fails when independent sources differ in length.
    """

    on_missing: str | None = None


@dataclass(frozen=True, slots=True)
class Properties:
    """How a node runs. `None` means *not said here*: see `over` and `DEFAULTS`.

    Units: `timeout` in seconds, `buffer_size` in items on each inbound edge. The last five say
    where a node runs on a cluster; see `engines`. On one machine they change nothing.
    """

    aggregate_inputs: bool | None = None
    concurrency: int | None = None
    ordered: bool | None = None
    buffer_size: int | None = None
    executor: str | None = None
    timeout: float | None = None
    retry: Retry | None = None
    on_error: str | None = None
    batch: Batch | None = None
    rate_limit: Rate | None = None
    join: Join | None = None
    waiting_limit: int | None = None
    scope: str | None = None
    host: str | None = None
    replicas: int | None = None
    priority: int | None = None
    stateful: bool | None = None

    def over(self, lower: Properties) -> Properties:
        """Return these properties, with what they leave out taken from `lower`."""
        if self == _SAYS_NOTHING:
            return lower
        pairs = zip(_ALL_PROPERTIES(self), _ALL_PROPERTIES(lower), strict=True)
        return Properties(*[theirs if mine is None else mine for mine, theirs in pairs])

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Properties:
        """Return the properties that a schema-valid mapping says."""
        return cls(**{key: _PARSE.get(key, _same)(value) for key, value in document.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that says these properties."""
        said = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {k: _DUMP.get(k, _same)(value) for k, value in said if value is not None}


_SAYS_NOTHING = Properties()
_ALL_PROPERTIES = attrgetter(*(f.name for f in fields(Properties)))

#: What holds where neither the node nor the graph's `defaults` say anything. `concurrency` stays
#: `None`: it depends on the step (16 for an async node that passes items on, else 1).
DEFAULTS = Properties(
    aggregate_inputs=True,
    ordered=True,
    buffer_size=100,
    executor="inline",
    on_error="fail",
    join=Join(),
    waiting_limit=10_000,
)


def _same(value: Any) -> Any:
    return value


def _parse_retry(value: Mapping[str, Any]) -> Retry:
    said = dict(value)
    for key in ("backoff", "max_backoff"):
        if key in said:
            said[key] = parse_duration(said[key])
    if "on" in said:
        said["on"] = tuple(said["on"])
    return Retry(**said)


def _dump_retry(retry: Retry) -> dict[str, Any]:
    said: dict[str, Any] = {
        "attempts": retry.attempts,
        "backoff": format_duration(retry.backoff),
        "max_backoff": format_duration(retry.max_backoff),
        "jitter": retry.jitter,
    }
    return said | ({"on": list(retry.on)} if retry.on else {})


def _parse_batch(value: Mapping[str, Any]) -> Batch:
    timeout = value.get("timeout")
    return Batch(value["size"], None if timeout is None else parse_duration(timeout))


def _dump_batch(batch: Batch) -> dict[str, Any]:
    said: dict[str, Any] = {"size": batch.size}
    return said if batch.timeout is None else said | {"timeout": format_duration(batch.timeout)}


_PARSE: dict[str, Callable[[Any], Any]] = {
    "timeout": parse_duration,
    "retry": _parse_retry,
    "batch": _parse_batch,
    "rate_limit": parse_rate,
    "join": lambda value: Join(**value),
}
_DUMP: dict[str, Callable[[Any], Any]] = {
    "timeout": format_duration,
    "retry": _dump_retry,
    "batch": _dump_batch,
    "rate_limit": str,
    "join": lambda join: {"on_missing": join.on_missing} if join.on_missing else {},
}


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: its step (`coro`, the seed's protocol, or `func`, any callable) and how it runs.

    Attributes:
        name: unique in the graph.
        coro, func: the callable itself, a ``module:qualname``, or a registered name; at most one
            is given. An input node with neither is fed by `Plumber.put`.
        args: keyword arguments for the step.
        properties: what this node says of its own; see `GraphSpec.properties`.
    """

    name: str
    coro: Any = None
    func: Any = None
    args: Mapping[str, Any] = field(default_factory=dict)
    properties: Properties = Properties()

    @property
    def target(self) -> Any:
        """The callable or its name, whichever of `coro` and `func` is given; else `None`."""
        return self.coro if self.coro is not None else self.func

    @classmethod
    def from_dict(cls, name: str, document: Mapping[str, Any]) -> NodeSpec:
        """Return the node that a schema-valid mapping describes."""
        return cls(
            name,
            coro=document.get("coro"),
            func=document.get("func"),
            args=dict(document.get("args") or {}),
            properties=Properties.from_dict(document.get("properties") or {}),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that describes this node."""
        said = {
            "coro": self.coro,
            "func": self.func,
            "args": dict(self.args) or None,
            "properties": self.properties.to_dict() or None,
        }
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class EdgeSpec:
    """One edge, and what it says of its own queue.

    Attributes:
        buffer_size: items it holds; `None` takes the target node's `buffer_size`.
        when_full: ``block`` (the producer waits), ``drop_newest`` or ``drop_oldest``.
        durable: the URL of the Redis that keeps what is on its way, so that a later run can go on
            where this one was killed; `None` keeps it in memory.
    """

    source: str
    target: str
    buffer_size: int | None = None
    when_full: str = "block"
    durable: str | None = None

    @classmethod
    def from_dict(cls, source: str, document: str | Mapping[str, Any]) -> EdgeSpec:
        """Return the edge from `source` that a target name or a mapping with ``to`` describes."""
        if isinstance(document, str):
            return cls(source, document)
        options = dict(document)
        return cls(source, options.pop("to"), **options)

    def to_dict(self) -> str | dict[str, Any]:
        """Return the target's name, or a mapping where the edge says more than that."""
        said: dict[str, Any] = {"to": self.target}
        if self.buffer_size is not None:
            said["buffer_size"] = self.buffer_size
        if self.when_full != "block":
            said["when_full"] = self.when_full
        if self.durable is not None:
            said["durable"] = self.durable
        return self.target if len(said) == 1 else said


@dataclass(frozen=True, slots=True)
class Runtime:
    """How the whole run behaves.

    Attributes:
        shutdown_timeout: seconds a drain may take before it becomes a cancel.
        max_failures: how many tolerated failures the run allows: a count, or a fraction of the
            items (a `float` below 1); `None` allows any number.
    """

    shutdown_timeout: float = 20.0
    max_failures: int | float | None = None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Runtime:
        """Return what a schema-valid mapping says."""
        said: dict[str, Any] = {}
        if "shutdown_timeout" in document:
            said["shutdown_timeout"] = parse_duration(document["shutdown_timeout"])
        if document.get("max_failures") is not None:
            said["max_failures"] = parse_share(document["max_failures"])
        return cls(**said)

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that says this; empty where all is as by default."""
        said: dict[str, Any] = {}
        if self.shutdown_timeout != Runtime().shutdown_timeout:
            said["shutdown_timeout"] = format_duration(self.shutdown_timeout)
        if isinstance(self.max_failures, float):
            said["max_failures"] = f"{self.max_failures * 100:.12g}%"
        elif self.max_failures is not None:
            said["max_failures"] = self.max_failures
        return said


@functools.lru_cache(maxsize=256)  # in a graph of a thousand nodes most say the same, or nothing
def _all_properties(own: Properties, defaults: Properties) -> Properties:
    return own.over(defaults.over(DEFAULTS))


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A whole graph as data; equal documents give equal specs.

    Attributes:
        nodes: by name, in the document's order.
        edges: in the document's order, which is the order of an aggregated join's tuple.
        defaults: properties for every node that does not say otherwise.
        dead_letter: the step that is called with each dead letter, if any.
        source: the file it was read from, if any; not part of equality.
        locations: where each part stands in that file; not part of equality.
    """

    nodes: Mapping[str, NodeSpec]
    edges: tuple[EdgeSpec, ...] = ()
    name: str | None = None
    defaults: Properties = Properties()
    dead_letter: NodeSpec | None = None
    runtime: Runtime = Runtime()
    source: str | None = field(default=None, compare=False)
    locations: Location = field(default_factory=dict, compare=False, repr=False)
    #: Found once: a run asks for it three times, and in a graph of a thousand nodes that shows.
    _order: tuple[str, ...] | None = field(default=None, init=False, compare=False, repr=False)
    #: By name: a run asks for them five times, and to look them up by what they say costs 2 µs.
    _properties: dict[str, Properties] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> GraphSpec:
        """Return the graph that a schema-valid document describes.

        To read an unchecked document use `pipelines.load`, which reports its faults.
        """
        dead = document.get("dead_letter")
        nodes = document["nodes"]
        return cls(
            nodes={name: NodeSpec.from_dict(name, node or {}) for name, node in nodes.items()},
            edges=tuple(_edges(document.get("graph") or {})),
            name=document.get("name"),
            defaults=Properties.from_dict(document.get("defaults") or {}),
            dead_letter=None if dead is None else NodeSpec.from_dict("dead_letter", dead),
            runtime=Runtime.from_dict(document.get("runtime") or {}),
        )

    def properties(self, name: str) -> Properties:
        """Return all properties of node `name`: its own, over the graph's, over `DEFAULTS`."""
        found = self._properties.get(name)
        if found is None:
            found = _all_properties(self.nodes[name].properties, self.defaults)
            self._properties[name] = found
        return found

    def topological_order(self) -> tuple[str, ...]:
        """Return the node names, each after all that lead to it.

        Raises:
            graphlib.CycleError: the graph has a cycle.
        """
        if self._order is None:
            before: dict[str, list[str]] = {name: [] for name in self.nodes}
            for edge in self.edges:
                before[edge.target].append(edge.source)
            order = tuple(TopologicalSorter(before).static_order())
            object.__setattr__(self, "_order", order)
            return order
        return self._order

    def outbound(self, name: str) -> tuple[EdgeSpec, ...]:
        """Return the edges that leave node `name`."""
        return tuple(edge for edge in self.edges if edge.source == name)

    def inbound(self, name: str) -> tuple[EdgeSpec, ...]:
        """Return the edges that enter node `name`, in the order of a join's tuple."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def to_dict(self) -> dict[str, Any]:
        """Return the document of this graph; callables stay the objects they are."""
        graph: dict[str, Any] = {}
        for edge in self.edges:
            graph.setdefault(edge.source, []).append(edge.to_dict())
        for name in self.nodes:
            graph.setdefault(name, None)
        said = {
            "name": self.name,
            "nodes": {name: node.to_dict() for name, node in self.nodes.items()},
            "graph": graph,
            "defaults": self.defaults.to_dict() or None,
            "dead_letter": None if self.dead_letter is None else self.dead_letter.to_dict(),
            "runtime": self.runtime.to_dict() or None,
        }
        return {key: value for key, value in said.items() if value is not None}

    def to_plain(self) -> dict[str, Any]:
        """Return the document with each callable as its ``module:qualname``.

        Raises:
            ValueError: a callable can't be found again by a name (a lambda, a local function, an
                object made at run time), or an argument is no plain data.
        """
        document = self.to_dict()
        steps = list(document["nodes"].items())
        if "dead_letter" in document:
            steps.append(("dead_letter", document["dead_letter"]))
        for name, node in steps:
            for key in ("coro", "func"):
                if key in node:
                    node[key] = _reference(name, node[key])
            for key, value in node.get("args", {}).items():
                _refuse_unwritable(name, key, value)
        return document

    def to_yaml(self) -> str:
        """Return the document as YAML, callables as ``module:qualname``; see `to_plain`.

        Text in args that `load` would take for a variable is escaped: ``$$`` is a plain dollar.
        """
        import yaml

        class Dumper(yaml.SafeDumper):
            """Quotes also what only YAML 1.2 takes for a number, such as the text 1e5 or 08."""

        Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("+-.0123456789"))
        Dumper.add_representer(str, _represent_text)
        document = self.to_plain()
        for node in (*document["nodes"].values(), document.get("dead_letter", {})):
            if "args" in node:
                node["args"] = _escaped(node["args"])
        return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True)

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart, input nodes drawn as stadiums."""
        ids = {name: f"n{index}" for index, name in enumerate(self.nodes)}
        fed = {edge.target for edge in self.edges}
        lines = ["flowchart LR"]
        for name, key in ids.items():
            left, right = ("[", "]") if name in fed else ("([", "])")
            lines.append(f'    {key}{left}"{_mermaid_text(name)}"{right}')
        lines += [f"    {ids[edge.source]} --> {ids[edge.target]}" for edge in self.edges]
        return "\n".join(lines) + "\n"

    def fingerprint(self) -> str:
        """Return a short hash that is equal for graphs that do the same: a dead letter's graph."""
        import hashlib  # loads a library of its own

        text = json.dumps(_stable(self.to_dict()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _edges(graph: Mapping[str, Any]) -> Iterator[EdgeSpec]:
    for source, targets in graph.items():
        for target in _targets(targets):
            yield EdgeSpec.from_dict(source, target)


def _targets(targets: Any) -> Iterable[Any]:
    """Read `null`, one name, one mapping, or a list or tuple of them: the seed wrote them all."""
    if targets is None:
        return ()
    return (targets,) if isinstance(targets, str | Mapping) else targets


def _reference(node: str, target: Any) -> str:
    if isinstance(target, str):
        return target
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    # A method of an object would be found again as a function that wants the object.
    owner = getattr(target, "__self__", None)
    bound = owner is not None and not isinstance(owner, type | ModuleType)
    if not module or not name or "<" in name or bound:
        raise ValueError(
            f"node {node!r}: {target!r} has no importable name; define it at the top of a module"
        )
    return f"{module}:{name}"


def _refuse_unwritable(node: str, key: str, value: Any) -> None:
    """Refuse an argument that would not be the same once it was written and read again.

    Raises:
        ValueError: it is none of what JSON knows.
    """
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in value):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif value is None or isinstance(value, str | int | float):
        return
    else:
        raise ValueError(
            f"node {node!r}: the argument {key!r} holds {shorten(value, 60)}, which a file can't; "
            "give text, numbers, lists and mappings, or the module:qualname of what makes it"
        )
    for part in parts:
        _refuse_unwritable(node, key, part)


def _represent_text(dumper: Any, text: str) -> Any:
    """Write text of several lines as such, where YAML can."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$") if "$$" in value or "${" in value else value
    if isinstance(value, Mapping):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value


def _stable(value: Any) -> Any:
    """Return a value as JSON can hold it, with keys that can be sorted."""
    if isinstance(value, Mapping):
        return {str(key): _stable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(each) for each in value]
    plain = value is None or isinstance(value, str | int | float)
    return value if plain else _stable_name(value)


def _stable_name(value: object) -> str:
    """Name what JSON can't hold without its address, which differs from run to run."""
    module = getattr(value, "__module__", "") or ""
    return f"{module}:{getattr(value, '__qualname__', type(value).__qualname__)}"


def _mermaid_text(name: str) -> str:
    return name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
