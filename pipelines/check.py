"""Find every problem of a graph at once, each with its place and how to mend it.

Where a part is faulty it is left out, and the rest is checked all the same: a misspelt key does not
hide a circle. What would only follow from a fault that is reported already is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.checks.options import check_options
from pipelines.checks.signatures import Misfit, check_arguments
from pipelines.checks.targets import NodeView, Outcome, Resolver
from pipelines.checks.topology import wire
from pipelines.errors import GraphError, Problem
from pipelines.load import Draft, Source, inspect, prune, read
from pipelines.places import Findings, Path
from pipelines.spec import DEFAULTS, GraphSpec, NodeSpec
from pipelines.step import Shape
from pipelines.streams import Streams, analyse, topological_order

__all__ = ["Examination", "check", "compile_graph", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known of a graph once it has been checked.

    Attributes:
        spec: the graph, without edges that can't be; `None` where it could not be read in whole.
        problems: every fault, from the top of the file down.
        targets: the step of each node that has one and whose step was found.
        shapes: what kind of callable each of these is; a source that is no callable has none.
        dead_letter: the step that takes dead letters, if there is one and it was found.
        streams: which edges carry the same stream; `None` where the graph has a circle.
    """

    spec: GraphSpec | None
    problems: tuple[Problem, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    dead_letter: Any = None
    streams: Streams | None = None

    @property
    def ok(self) -> bool:
        """Whether the graph may run: warnings do not refuse it."""
        return all(problem.severity != "error" for problem in self.problems)


def examine(
    source: Source,
    *,
    coro_map: Callable[[Any], Any] | None = None,
    import_steps: bool = True,
    env: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    trusted: bool = True,
) -> Examination:
    """Check a graph in every respect; nothing that is wrong with it raises.

    Args:
        source: a path, YAML or JSON text, a document, or a `GraphSpec`.
        coro_map: maps what stands in a node's `coro` or `func` to its callable, or to a name.
        import_steps: false looks no names up, so that nothing of the user's is imported.
        env: the variables for ``${NAME}`` in a file or text; by default those of the process.
        overrides: changes such as ``nodes.fetch.properties.concurrency=4``.
        trusted: false for a graph from a stranger, as for `load`; then its names can't be imports,
            and it can't have durable edges: what a stranger's Redis holds is unpickled.
    """
    draft = read(source, env=env, overrides=overrides, trusted=trusted)
    drop = inspect(draft, mapped=coro_map is not None)
    if () in drop or ("nodes",) in drop:
        return Examination(None, draft.findings.problems)
    valid = not draft.findings.problems
    resolver = Resolver(coro_map, import_steps=import_steps, trusted=trusted)
    result = _Check(draft, drop, resolver, trusted).run()
    if valid and isinstance(source, GraphSpec) and not overrides:
        return replace(result, spec=source)
    return result if valid else replace(result, spec=None)


def check(source: Source, **options: Any) -> list[Problem]:
    """Return every problem of a graph; the options are those of `examine`."""
    return list(examine(source, **options).problems)


def compile_graph(source: Source, **options: Any) -> Examination:
    """Return a graph that may run, with its steps; the options are those of `examine`.

    Raises:
        GraphError: at least one problem is an error; it lists the warnings too.
    """
    result = examine(source, **options)
    if not result.ok:
        raise GraphError(result.problems)
    return result


class _Check:
    """Checks what the schema leaves of a document."""

    def __init__(self, draft: Draft, drop: set[Path], resolver: Resolver, trusted: bool) -> None:
        self._findings = draft.findings
        self._doubts = _Doubts.of(drop)
        self._resolver = resolver
        self._dead_letter = draft.document.get("dead_letter") is not None
        document = prune(draft.document, drop)
        # A node that can't be read is still there for the edges that name it.
        names = [name for name in draft.document["nodes"] if isinstance(name, str) and name]
        nodes = {name: document["nodes"].get(name) for name in names}
        self._wiring = wire(document.get("graph"), nodes, drop, self._findings)
        spec = GraphSpec.from_dict({**document, "nodes": nodes, "graph": None})
        self._spec = replace(
            spec,
            edges=tuple(self._wiring.edges),
            source=draft.findings.file,
            locations=draft.findings.places,
        )
        self._sources: dict[str, list[str]] = {name: [] for name in names}
        for edge in self._wiring.edges:
            self._sources[edge.target].append(edge.source)
        self._misfits: dict[object, list[Misfit]] = {}
        self._said: set[str] = set()
        self._sound: set[object] = set()
        if not trusted:
            self._refuse_durable()

    def _refuse_durable(self) -> None:
        for edge in self._wiring.edges:
            if edge.durable is not None:
                what = f"the edge {edge.source} -> {edge.target} can't be durable here."
                hint = "Remove `durable`; run the graph with `plumber run` for that."
                self._findings.add("not-offered", what, ("graph", edge.source), hint)

    def run(self) -> Examination:
        """Return what there is to know of the graph."""
        views = [self._view(node) for node in self._spec.nodes.values()]
        for view in views:
            self._check_node(view)
        dead = self._check_dead_letter(views)
        shapes = {view.spec.name: view.shape for view in views if view.shape is not None}
        streams = None if self._wiring.cyclic else analyse(self._spec, shapes)
        if streams is not None:
            _check_joins(self._spec, self._sources, streams, self._findings)
        targets = {view.spec.name: view.target for view in views if view.target is not None}
        return Examination(self._spec, self._findings.problems, targets, shapes, dead, streams)

    def _view(self, node: NodeSpec) -> NodeView:
        properties, sources = self._spec.properties(node.name), tuple(self._sources[node.name])
        found = Outcome()
        if node.target is not None and node.name not in self._doubts.steps:
            found = self._resolver.find(node.target)
        vague = node.name in self._wiring.vague
        path = ("nodes", node.name)
        view = NodeView(node, path, properties, sources, found.target, found.shape, vague)
        self._note_lookup(view, found)
        return view

    def _note_lookup(self, view: NodeView, found: Outcome) -> None:
        if found.code:
            what = f"{view.who}: {found.message}"
            self._findings.add(found.code, what, view.step_path, found.hint)

    def _check_node(self, view: NodeView) -> None:
        """Check a node, unless nothing is wrong with one like it: large graphs have few kinds."""
        if (alike := _alike(view)) in self._sound:
            return
        noted = self._findings.noted
        self._check_one(view)
        if self._findings.noted == noted and not self._doubts.concern(view.spec.name):
            self._sound.add(alike)

    def _check_one(self, view: NodeView) -> None:
        name = view.spec.name
        if name in self._doubts.steps:
            return
        if view.spec.target is None and view.sources and not view.vague:
            hint = "Add `func:` or `coro:`; only an input node may have neither."
            what = f"{view.who} has no step."
            self._findings.add("missing-step", what, view.path, hint, at_key=True)
        if view.target is not None and name not in self._doubts.calls:
            self._check_call(view)
        if self._doubts.defaults or name in self._doubts.options:
            return
        if view.sources or not view.vague:
            check_options(view, self._dead_letter, self._said, self._findings)

    def _check_call(self, view: NodeView) -> None:
        if view.shape is not None or (view.key == "func" and not view.sources):
            check_arguments(view, self._findings, self._misfits)
        elif not view.vague:
            what = f"{view.who}: {view.label} can't be called."
            hint = "Only the func of an input node may be an iterable."
            self._findings.add("not-callable", what, view.step_path, hint)

    def _check_dead_letter(self, views: list[NodeView]) -> Any:
        """Return the step that takes dead letters."""
        if self._spec.dead_letter is None:
            return None
        node, path = self._spec.dead_letter, ("dead_letter",)
        found = self._resolver.find(node.target)
        view = NodeView(node, path, DEFAULTS, ("a dead letter",), found.target, found.shape)
        self._note_lookup(view, found)
        if found.shape is not None and found.shape.streams:
            what = f"dead_letter: {view.label} takes a whole stream, not a letter."
            self._findings.add("not-callable", what, view.step_path, "Give a function.")
        elif view.target is not None:
            self._check_call(view)
        used = any(each.properties.on_error == "dead_letter" for each in views)
        if not used and not self._doubts.defaults and not self._doubts.options:
            what = "no node says on_error: dead_letter."
            hint = "Say so at a node or in `defaults:`, or remove this."
            self._findings.add(
                "unused-dead-letter", what, view.path, hint, at_key=True, severity="warning"
            )
        return view.target


@dataclass(frozen=True, slots=True)
class _Doubts:
    """Nodes of which something could not be read, so that what depends on it can't be judged.

    Attributes:
        steps: those of which the step is not known.
        calls: those of which it is not known how the step is called.
        options: those of which not all options are known.
        defaults: the same holds of all nodes.
    """

    steps: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    options: set[str] = field(default_factory=set)
    defaults: bool = False

    @classmethod
    def of(cls, drop: set[Path]) -> _Doubts:
        """Tell from the paths that were left out."""
        real = [path for path in drop if not str(path[-1]).startswith("x-")]
        nodes = [(str(path[1]), path[2:]) for path in real if path[0] == "nodes"]
        return cls(
            steps={name for name, rest in nodes if not rest or rest[0] in ("coro", "func")},
            calls={name for name, rest in nodes if rest in _CALL_PATHS},
            options={name for name, rest in nodes if rest[:1] == ("properties",)},
            defaults=any(path[0] == "defaults" for path in real),
        )

    def concern(self, name: str) -> bool:
        """Tell whether anything of a node can't be judged."""
        return self.defaults or any(name in each for each in (self.steps, self.calls, self.options))


def _alike(view: NodeView) -> object:
    """Return what is equal for nodes that no check of single nodes can tell apart."""
    target = view.spec.target
    step = target if isinstance(target, str) else id(target)
    # Of equal properties there is one object, which the spec keeps.
    kind = (step, view.key, id(view.properties), len(view.sources), view.vague)
    return (*kind, *view.spec.args)


_CALL_PATHS = [
    ("args",),
    ("properties",),
    ("properties", "aggregate_inputs"),
    ("properties", "batch"),
]


def _check_joins(
    spec: GraphSpec, sources: Mapping[str, list[str]], streams: Streams, findings: Findings
) -> None:
    """Note each join that pairs by position what does not come in the same positions."""
    uneven = {}
    for name, before in sources.items():
        entering = {streams.of[source, name]: source for source in reversed(before)}
        if len(entering) > 1 and spec.properties(name).aggregate_inputs:
            uneven[name] = list(reversed(entering))
    if not uneven:
        return
    origins = _origins(spec, sources)
    noted: set[str] = set()
    for name in (name for name in topological_order(spec) if name in uneven):
        # Behind a join that is wrong, others are wrong for the same reason.
        if _share(origins, sources[name]) and noted.isdisjoint(uneven[name]):
            noted.add(name)
            _note_join(name, uneven[name], streams, findings)


def _origins(spec: GraphSpec, sources: Mapping[str, list[str]]) -> dict[str, int]:
    """Return for each node the input nodes that lead to it, as the bits of an integer."""
    origins: dict[str, int] = {}
    for index, name in enumerate(topological_order(spec)):
        before = sources[name]
        origins[name] = 0 if before else 1 << index
        for source in before:
            origins[name] |= origins[source]
    return origins


def _share(origins: Mapping[str, int], sources: list[str]) -> bool:
    """Tell whether two of the branches come from one input node."""
    seen = 0
    for source in sources:
        if seen & origins[source]:
            return True
        seen |= origins[source]
    return False


def _note_join(name: str, entering: list[str], streams: Streams, findings: Findings) -> None:
    why = [f"{each!r} {streams.broken_by[each]}" for each in entering if each in streams.broken_by]
    reason = "; ".join(why) or f"{' and '.join(map(repr, entering))} are streams of their own"
    what = f"node {name!r} pairs its inputs by position, but they do not line up: {reason}."
    ordered = "Set ordered: true there, set" if "ordered: false" in reason else "Set"
    hint = f"{ordered} aggregate_inputs: false at {name!r}, or move the join before it."
    findings.add("join-misaligned", what, ("nodes", name), hint, at_key=True)
