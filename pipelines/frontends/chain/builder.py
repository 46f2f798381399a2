"""The builder: takes steps, makes their graph, runs it, and returns what each step gave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

from pipelines.errors import shorten
from pipelines.frontends.chain.batteries import adopt
from pipelines.frontends.chain.graph import Chain
from pipelines.frontends.chain.progress import Progress
from pipelines.frontends.chain.results import Results, single_nodes, tapped
from pipelines.frontends.chain.step import Step, record_of
from pipelines.metrics import RunReport
from pipelines.plumber import Plumber
from pipelines.spec import GraphSpec

__all__ = ["PipelineBuilder"]


class PipelineBuilder:
    """Runs steps in the order in which they are linked.

    Steps that no `>>` links are linked in the order in which they were added. Otherwise every step
    that is linked with an added one runs too.

    Args:
        steps: the first ones; `add_step` adds others.
        name, defaults, runtime: as in a graph document.
        dead_letter: the step that takes dead letters: a mapping as in a graph document, or a
            function, or its name.
        notify: whom to tell how the pipeline ended: a callable, an apprise URL, or a list of them.

    Attributes:
        steps: what was added.
        report: how the last run went, also one that failed; `None` before the first.
    """

    def __init__(
        self,
        *steps: Any,
        name: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        dead_letter: Any = None,
        runtime: Mapping[str, Any] | None = None,
        notify: Any = None,
    ) -> None:
        self.steps: list[Any] = []
        self.report: RunReport | None = None
        self._added: list[Step] = []
        self._notify = notify
        buried = _document_of(dead_letter)
        said = {"name": name, "defaults": defaults, "dead_letter": buried, "runtime": runtime}
        self._settings = {key: value for key, value in said.items() if value is not None}
        for step in steps:
            self.add_step(step)

    def add_step(self, step: Any) -> Self:
        """Add a step; return the builder, to add the next.

        Args:
            step: a `Step`, or an object with a `run` or `execute` of its own. Such an object is
                called as it is, in every run.

        Raises:
            TypeError: it is no step.
            ValueError: it was added before.
        """
        found = step if isinstance(step, Step) else adopt(step)
        if found is None:
            raise TypeError(f"add_step takes a step, not {shorten(step, 60)}: {_spelling(step)}")
        if any(step is each for each in self.steps):
            name = record_of(found).name
            raise ValueError(
                f"step {name!r} was added before. To call it twice, make a second one; to use its "
                f"result twice, write {name} >> [a, b]"
            )
        self.steps.append(step)
        self._added.append(found)
        return self

    def spec(self) -> GraphSpec:
        """Return the graph of the steps, for a `Plumber`, or for ``spec().to_yaml()``.

        Raises:
            ValueError: there is no step, or one is linked with no other.
            GraphError: the graph is not sound; it lists every fault.
        """
        return self._chain().spec()

    def execute(self) -> list[Any]:
        """Run the steps in an event loop of their own, and return the result of each one added.

        A step that ran for one item has its result, and `SKIP` where it gave none; a step of a
        stream has the list of its results. To run a stream that is too long to be kept, give
        `spec` to a `Plumber`.

        Raises:
            GraphError: the graph is not sound.
            StepError: a step failed.
            RuntimeError: an event loop is running here.
        """
        if _in_a_loop():
            raise RuntimeError(
                "execute() starts an event loop of its own, and one is running here already: "
                "write `await builder.run()`"
            )
        run = self._make_run()
        with self._told(run):
            run.plumber.run_sync()
        return run.results()

    async def run(self) -> list[Any]:
        """Run the steps in this event loop; returns and raises what `execute` does."""
        run = self._make_run()
        with self._told(run):
            await run.plumber.run()
        return run.results()

    def _chain(self) -> Chain:
        return Chain(self._added, self._settings, self._notify)

    def _make_run(self) -> Run:
        chain = self._chain()
        run = Run(chain.spec(), chain.names.values(), [chain.names[id(s)] for s in self._added])
        chain.use_up()
        return run

    @contextlib.contextmanager
    def _told(self, run: Run) -> Iterator[None]:
        """Log what happens in a run, and keep its report."""
        run.progress.begin()
        try:
            yield
        except Exception as error:
            run.progress.fail(error)
            raise
        finally:
            self.report = run.report


class Run:
    """One run of a chain.

    Args:
        spec: its graph.
        names: the nodes of its steps.
        kept: those of which the results are wanted.

    Attributes:
        plumber: runs it.
        progress: logs it.
    """

    def __init__(self, spec: GraphSpec, names: Iterable[str], kept: Iterable[str]) -> None:
        told = {name: (partial(self._result, name), partial(self._end, name)) for name in names}
        self._own = [*spec.nodes]
        self.plumber = Plumber(tapped(spec, told))
        self._single = single_nodes(self.plumber)
        self.progress = Progress(self.plumber, names, self._single)
        self._results = Results(kept)

    @property
    def report(self) -> RunReport | None:
        """How the run went, without the nodes that gather its results."""
        report = self.plumber.report
        if report is None:
            return None
        nodes = {name: report.nodes[name] for name in self._own}
        edges = {link: counts for link, counts in report.edges.items() if link[1] in nodes}
        bottleneck = report.bottleneck if report.bottleneck in nodes else None
        return replace(report, nodes=nodes, edges=edges, bottleneck=bottleneck)

    def results(self) -> list[Any]:
        """Return what the steps gave whose results are wanted."""
        return self._results.of(self._single)

    def _result(self, name: str, value: Any) -> None:
        self._results.add(name, value)
        self.progress.result(name)

    def _end(self, name: str) -> None:
        self.progress.end(name)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _document_of(dead_letter: Any) -> Any:
    """Return the step that takes dead letters as a graph document says it."""
    if isinstance(dead_letter, Step):
        record = record_of(dead_letter)
        return {"func": record.target, **({"args": record.args} if record.args else {})}
    return dead_letter if isinstance(dead_letter, Mapping | None) else {"func": dead_letter}


def _spelling(wrong: Any) -> str:
    """Say how to add what is no step."""
    if isinstance(wrong, list | tuple):
        return "add each of them, or link them with >> and add one"
    if isinstance(wrong, type):
        return f"write add_step({wrong.__name__}(…))"
    return f"write add_step(PythonStep({getattr(wrong, '__name__', 'function')}))"
