"""Send dead letters back to the node where they failed, through the graph at and behind it.

Each node with letters is a run of its own. Once it is over, what went through is out of the file
and what is dead again is in it; until then, and where the run fails, the file is as it was. So an
item may be sent twice, but none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines.check import Examination, compile_graph
from pipelines.errors import GraphError, Problem
from pipelines.letters import appending
from pipelines.metrics import Reporter, RunReport
from pipelines.plumber import Plumber
from pipelines.registry import did_you_mean
from pipelines.replay.letterbox import Letterbox, Pile, Problems
from pipelines.replay.parts import misfit, part_behind, reached, shape_of_letters
from pipelines.spec import GraphSpec, NodeSpec
from pipelines.steps.files import write_jsonl
from pipelines.streams import topological_order

__all__ = ["Replay", "Sent", "source_of"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one node's letters.

    Attributes:
        node: its name.
        letters: those in the file when it began.
        sent: those that the node got; the others are still in the file.
        went_through: those whose result went on.
        skipped: those for which the step returned `SKIP`.
        dead_again: those that failed there again.
        dead_behind: new letters of nodes behind it, for what came of these.
        drained: the run was asked to stop before all were sent.
    """

    node: str
    letters: int
    sent: int
    went_through: int
    skipped: int
    dead_again: int
    dead_behind: int
    drained: bool

    @classmethod
    def of(cls, node: str, letters: int, report: RunReport) -> Sent:
        """Tell from how the run ended."""
        own = report.nodes[node]
        dead = sum(each.dead_lettered for each in report.nodes.values())
        return cls(
            node,
            letters,
            own.received,
            own.passed_on,
            own.skipped,
            own.dead_lettered,
            dead - own.dead_lettered,
            report.reason == "drained",
        )


def _nobody(part: Examination) -> Iterable[Reporter]:
    return ()


class Replay:
    """Letters, and the parts of the graph to send them to.

    Args:
        box: the letters.
        graph: what `compile_graph` found.
        nodes: send only the letters of these; by default, all.
        force: send letters of a graph that was another one then.

    Attributes:
        letters: for each node that has some, how many; in the order in which they are sent.
        changed: some are of a graph that was another one then.

    Raises:
        GraphError: some can't be sent; nothing is.
    """

    def __init__(
        self, box: Letterbox, graph: Examination, nodes: Collection[str] = (), force: bool = False
    ) -> None:
        assert graph.spec is not None
        self._box = box
        self._spec = graph.spec
        self._fingerprint = graph.spec.fingerprint()
        piles = [pile for pile in box.piles if not nodes or pile.node in nodes]
        self._refuse(piles, nodes, force)
        counts = dict.fromkeys(topological_order(self._spec), 0)
        for pile in piles:
            counts[pile.node] += pile.count
        self.letters = {name: count for name, count in counts.items() if count}
        self.changed = any(pile.graph != self._fingerprint for pile in piles)
        self._parts = {name: self._part(_appended(graph), name) for name in self.letters}

    def run(self, watch: Callable[[Examination], Iterable[Reporter]] = _nobody) -> Iterator[Sent]:
        """Send the letters of one node after another; stop where a run is drained.

        Args:
            watch: gives the reporters for a part of the graph.

        Raises:
            PipelinesError: a run failed, or the file could not be rewritten; see `Plumber.join`.
                The letters of its node, and of those that were still to come, are all in the file.
        """
        if not self.letters:
            return
        with self._box.claimed():
            for node, count in self.letters.items():
                part = self._parts[node]
                report = Plumber(part, reporters=watch(part)).run_sync()
                sent = Sent.of(node, count, report)
                self._box.settle(node, sent.sent)
                yield sent
                if sent.drained:
                    return

    def _part(self, spec: GraphSpec, node: str) -> Examination:
        feed = _Feed(self._box, node, shape_of_letters(spec, node))
        args = {"path": self._box.fresh, "graph": self._fingerprint}
        part = part_behind(spec, node, feed)
        return compile_graph(
            replace(part, dead_letter=NodeSpec("dead_letter", func=_Fresh, args=args))
        )

    # What can't be sent.

    def _refuse(self, piles: list[Pile], nodes: Collection[str], force: bool) -> None:
        problems = [*self._unknown(piles, nodes), *([] if force else self._changed(piles))]
        known = [pile.node for pile in piles if pile.node in self._spec.nodes]
        for node in dict.fromkeys(known):
            problems += self._unfed(node)
        if problems:
            raise GraphError(problems)
        bad = Problems(self._box.path, "")
        for node in dict.fromkeys(known):
            shape = shape_of_letters(self._spec, node)
            for letter in self._box.letters(node) if shape != "item" else ():
                if what := misfit(self._spec, node, letter.item, shape):
                    bad.add("bad-letter", what, letter.line)
        bad.refuse()

    def _unknown(self, piles: list[Pile], nodes: Collection[str]) -> Iterator[Problem]:
        names = self._spec.nodes
        for name, first in _first_lines(piles).items():
            if name not in names:
                what = f"letters are of node {name!r}, which the graph has none of."
                hint = f"{did_you_mean(name, names)} Mend the lines, or leave them out with --node."
                yield Problem(
                    "unknown-node", what, hint=hint.strip(), file=self._box.path, line=first
                )
        dead = {pile.node for pile in self._box.piles}
        for name in nodes:
            if name not in names and name not in dead:
                hint = did_you_mean(name, [*dead, *names])
                yield Problem("unknown-node", f"no node is named {name!r}.", hint=hint)

    def _changed(self, piles: list[Pile]) -> Iterator[Problem]:
        for pile in piles:
            if pile.graph != self._fingerprint:
                many = "a letter is" if pile.count == 1 else f"{pile.count:,} letters are"
                what = (
                    f"{many} of node {pile.node!r} in graph {pile.graph}, but "
                    f"{self._spec.source or 'this graph'} is {self._fingerprint} now."
                )
                hint = "Say the same --set and -e as that run, or --force if the change is meant."
                yield Problem(
                    "changed-graph", what, hint=hint, file=self._box.path, line=pile.first
                )

    def _unfed(self, node: str) -> Iterator[Problem]:
        """Tell why the part at and behind a node can't be fed with its letters alone."""
        if not self._spec.inbound(node):
            what = f"node {node!r} makes items and takes none, so its letters can't be sent to it."
            hint = "Run the graph again instead, and delete them."
            yield self._at(node, "unfed-input", what, hint)
        part = reached(self._spec, node)
        for name in topological_order(self._spec):
            if name == node or name not in part:
                continue
            edges = self._spec.inbound(name)
            outside = [edge.source for edge in edges if edge.source not in part]
            if outside and self._spec.properties(name).aggregate_inputs:
                what = (
                    f"node {name!r} joins {' and '.join(repr(e.source) for e in edges)}, but "
                    f"from {' and '.join(map(repr, outside))} nothing comes when letters are sent "
                    f"to {node!r}."
                )
                hint = "Send the others with --node, and give these items to the graph's input."
                yield self._at(name, "unfed-join", what, hint)

    def _at(self, node: str, code: str, what: str, hint: str) -> Problem:
        path = ("nodes", node)
        line, column = self._spec.locations.get(path, (None, None))
        file = self._spec.source
        return Problem(code, what, path, hint, file=file, line=line, column=column)


def source_of(box: Letterbox, nodes: Collection[str] = ()) -> str:
    """Return the graph file that letters come from.

    Args:
        box: the letters.
        nodes: look at the letters of these nodes only; by default, at all.

    Raises:
        GraphError: they come from several, or from none, or it is there no more.
    """
    piles = [pile for pile in box.piles if not nodes or pile.node in nodes]
    found = {pile.source: pile for pile in reversed(piles)}
    problems = Problems(box.path, "Say which graph with --graph.")
    for source, pile in reversed(found.items()):
        if len(found) > 1:
            what = f"letters of different graphs; from here on of {source or 'none in a file'}"
            problems.add("several-graphs", what, pile.first)
        elif source is None:
            problems.add("no-graph", "the letters say no graph file", pile.first)
        elif not Path(source).is_file():
            problems.add("no-graph", f"{source} is there no more", pile.first)
    problems.refuse()
    (source,) = found
    assert source is not None
    return source


def _first_lines(piles: Iterable[Pile]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for pile in piles:
        found.setdefault(pile.node, pile.first)
    return found


def _appended(graph: Examination) -> GraphSpec:
    """Return the graph with each step that writes a file going on at the end of what is there."""
    assert graph.spec is not None
    nodes = {
        name: replace(node, args=appending(graph.targets.get(name), node.args))
        for name, node in graph.spec.nodes.items()
    }
    return replace(graph.spec, nodes=nodes)


class _Feed:
    """The items of a node's letters, read while they are sent."""

    def __init__(self, box: Letterbox, node: str, shape: str) -> None:
        self._box = box
        self._node = node
        self._shape = shape

    def __iter__(self) -> Iterator[Any]:
        for letter in self._box.letters(self._node):
            yield [tuple(row) for row in letter.item] if "rows" in self._shape else letter.item


class _Fresh:
    """Writes what dies in a replay as a letter of the whole graph, not of the part that ran.

    Args:
        path: the file, started anew.
        graph: the graph's fingerprint.
    """

    def __init__(self, path: Path, graph: str) -> None:
        self._writer = write_jsonl(path)
        self._graph = graph

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __call__(self, letter: Mapping[str, Any]) -> None:
        """Write the letter's line."""
        self._writer({**letter, "graph": self._graph})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, traceback)
