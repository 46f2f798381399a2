"""A script and its tasks -> `GraphSpec`: a node for each step of each call, and for each loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.frontends.pipelang.faults import Faults
from pipelines.frontends.pipelang.model import Script, Step, Word, numbered
from pipelines.frontends.pipelang.options import Settings
from pipelines.frontends.pipelang.plan import Place, plan
from pipelines.frontends.pipelang.stepargs import StepArgs
from pipelines.frontends.pipelang.tasks import Task
from pipelines.spec import DEFAULTS, EdgeSpec, GraphSpec, NodeSpec, Properties, Runtime

__all__ = ["Options", "compile_tasks"]

_STEPS: Final = "pipelines.frontends.pipelang.steps"
_KINDS: Final = {"python": "Python", "sqlite3": "Sqlite", "postgres": "Postgres"}

#: Calls under way at once in the whole run, where nobody says.
WORKERS: Final = 100

#: Connections of a postgres step, where it doesn't say: servers allow few.
_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What is said beside the text.

    Attributes:
        folder: where the files that steps name are looked up.
        base: write their names relative to this folder; by default they are absolute.
        scopes: those that are served, the most important first; empty for those of the text.
        workers: calls under way at once in the whole run; `None` for what the text says.
        limit: values after which each outer loop stops.
    """

    folder: Path
    base: Path | None = None
    scopes: tuple[str, ...] = ()
    workers: int | None = None
    limit: int | None = None


def compile_tasks(
    script: Script, tasks: Sequence[Task], settings: Settings, options: Options, faults: Faults
) -> GraphSpec | None:
    """Return the graph of some tasks, unless a fault has been noted.

    Args:
        settings: what the text says of the whole file.
        faults: is given what is wrong with the steps.
    """
    workers = options.workers or settings.get("workers", default=WORKERS)
    args = StepArgs(script, options.folder, options.base, faults)
    args.order(options.scopes, _steps_run(tasks))
    if faults.fatal:
        return None
    drawing = _Drawing(args, workers, options.limit)
    drawing.begin(tasks)
    return GraphSpec(
        nodes=drawing.nodes,
        edges=_by_source(drawing.edges),
        name=None if faults.file is None else Path(faults.file).stem,
        # Twice the turns, so that for each that ends the next call of every step waits already.
        defaults=Properties(concurrency=2 * workers, ordered=False),
        dead_letter=_dead_letter(settings),
        runtime=Runtime.from_dict(settings.get("runtime", default={})),
        source=faults.file,
        locations={**drawing.places, **_places((), settings)},
    )


def _by_source(edges: Iterable[EdgeSpec]) -> tuple[EdgeSpec, ...]:
    """Return the edges in the order of a document, where a node's stand together."""
    sources: dict[str, list[EdgeSpec]] = {}
    for edge in edges:
        sources.setdefault(edge.source, []).append(edge)
    return tuple(edge for own in sources.values() for edge in own)


def _steps_run(tasks: Iterable[Task]) -> dict[str, Step]:
    found: dict[str, Step] = {}
    waiting = list(tasks)
    while waiting:
        task = waiting.pop()
        found.update((step.name.text, step) for step in task.steps)
        waiting += task.body or ()
    return found


def _dead_letter(settings: Settings) -> NodeSpec | None:
    path = settings.get("dead_letter")
    return (
        None if path is None else NodeSpec("dead_letter", func="write_jsonl", args={"path": path})
    )


def _places(
    prefix: tuple[str, ...], settings: Settings
) -> dict[tuple[str | int, ...], tuple[int, int]]:
    return {(*prefix, *path): (word.line, word.column) for path, word in settings.places.items()}


class _Drawing:
    """Nodes and edges, as they are drawn from the start on.

    Attributes:
        places: where each part stands in the text.
    """

    def __init__(self, args: StepArgs, workers: int, limit: int | None) -> None:
        self.nodes: dict[str, NodeSpec] = {}
        self.edges: list[EdgeSpec] = []
        self.places: dict[tuple[str | int, ...], tuple[int, int]] = {}
        self._counts: dict[str, int] = {}
        # A node that keeps the order has as many values under way as there is room behind it.
        self._windows: dict[str, int | None] = {}
        self._args = args
        self._workers = workers
        self._limit = limit

    def begin(self, tasks: Sequence[Task]) -> None:
        """Draw the node from which all starts, and what follows it."""
        start = self._node("start", f"{_STEPS}:start", {}, (), Word("", 1, 1))
        self._block(tasks, start, self._limit)

    def _block(self, tasks: Sequence[Task], entry: str, limit: int | None = None) -> None:
        ends: list[str] = []
        for task, place in zip(tasks, plan(tasks), strict=True):
            parents = [ends[index] for index in place.parents] or [entry]
            if task.body is None:
                ends.append(self._call(task, place, parents, place.carries))
            else:
                ends.append(self._loop(task, task.body, place, parents, limit))

    def _loop(
        self, task: Task, body: Sequence[Task], place: Place, parents: list[str], limit: int | None
    ) -> str:
        assigned = {inner.assign for inner in body} | {task.variable}
        needed = set[str]().union(*(inner.needs for inner in body)) - assigned
        args: dict[str, Any] = {"name": task.variable}
        if task.steps:
            parents = [self._call(task, place, parents, needed)]
        else:
            args["over"] = task.over
        if needed:
            args["keep"] = sorted(needed)
        if limit is not None:
            args["limit"] = limit
        name = f"for-{task.place.text}"
        entry = self._node(name, f"{_STEPS}:Each", args, parents, task.place)
        self._block(body, entry)
        return entry

    def _call(self, task: Task, place: Place, parents: list[str], keep: set[str]) -> str:
        """Draw the steps of a pipe; return the last."""
        earlier: list[dict[str, Any]] = []
        for index, step in enumerate(task.steps):
            args, settings = self._args.of(step)
            rank = self._args.rank(settings)
            own = {**args, **rank, **self._way(task, index, keep, earlier)}
            func = f"{_STEPS}:{_KINDS[step.language.text]}"
            properties = self._properties(step, settings, place)
            name = self._node(step.name.text, func, own, parents, step.name, properties)
            if place.joined:
                self._windows[name] = properties.get("waiting_limit", DEFAULTS.waiting_limit)
            self._locate(name, step, settings, task.place)
            parents = [name]
            earlier.append({"language": step.language.text, **args, **rank})
        return parents[0]

    def _way(
        self, task: Task, index: int, keep: set[str], earlier: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the arguments that say where in its pipe a step stands."""
        python = task.steps[index].language.text == "python"
        args: dict[str, Any] = {} if self._workers == WORKERS else {"workers": self._workers}
        if index == 0:
            args["give"] = list(task.give)
            args |= {"keep": sorted(keep)} if keep else {}
        elif python:
            args["earlier"] = list(earlier)
        if index == len(task.steps) - 1:
            args |= {} if task.assign is None else {"assign": task.assign}
            args |= {"lazy": True} if task.body is not None and python else {}
        return args

    def _properties(self, step: Step, settings: Settings, place: Place) -> dict[str, Any]:
        properties = dict(settings.get("properties", default={}))
        # What the step's worker orders by here decides on a cluster where it runs, and when.
        said = settings.get("args", default={})
        properties |= {key: said[key] for key in ("scope", "priority") if key in said}
        if place.joined:
            self._args.keep_order(step, settings, properties)
        if step.language.text == "postgres":
            properties.setdefault("concurrency", min(_CONNECTIONS, self._workers))
        return properties

    def _node(
        self,
        name: str,
        func: str,
        args: dict[str, Any],
        parents: Iterable[str],
        word: Word,
        properties: dict[str, Any] | None = None,
    ) -> str:
        """Draw one node and the edges to it; return its name, which is a new one."""
        own = numbered(name, self._counts)
        said = Properties.from_dict(properties or {})
        self.nodes[own] = NodeSpec(own, func=func, args=args, properties=said)
        self.edges += [EdgeSpec(each, own, self._windows.get(each)) for each in parents]
        self.places["nodes", own] = (word.line, word.column)
        return own

    def _locate(self, name: str, step: Step, settings: Settings, call: Word) -> None:
        words = {
            ("func",): step.language,
            ("args", "function"): step.target,
            ("args", "table"): step.target,
            ("args", "file"): step.source.word,
            ("args", "code"): step.source.word,
            ("args", "give"): call,
        }
        self.places |= {("nodes", name, *path): (w.line, w.column) for path, w in words.items()}
        self.places |= _places(("nodes", name), settings)
