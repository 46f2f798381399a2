"""The Plumber: builds a graph's processors, joins them by edges, and runs them in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from pipelines.build import Builder, Engine, Wrap
from pipelines.check import Examination, compile_graph
from pipelines.difference import Changes
from pipelines.errors import GraphError, PipelinesError, StalledError
from pipelines.growth import Growth
from pipelines.inputprocessor import InputProcessor
from pipelines.letters import DeadLetters
from pipelines.life import Life
from pipelines.load import load
from pipelines.metrics import Reporter, RunReport, Snapshot
from pipelines.processor import Processor
from pipelines.registry import did_you_mean, engines
from pipelines.revision import Revision
from pipelines.schedule import Schedule, clock
from pipelines.signals import Interrupted, interruptible
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec
from pipelines.units import in_order, units_of
from pipelines.watchdog import Watchdog

__all__ = ["Interrupted", "Plumber", "run"]

logger = logging.getLogger(__name__)

Graph = Mapping[str, Any] | str | os.PathLike[str] | GraphSpec | Examination


class Plumber:
    """Builds and runs one graph, once.

    Args:
        graph: a dict, the path of a YAML or JSON file, its text, a `GraphSpec`, or what
            `pipelines.check.examine` returned.
        coro_map: maps what stands in a node's `coro` or `func` to the callable, as in the seed;
            it may also return a name.
        env_vars: anything; the steps of the seed's protocol reach it as ``self.env_vars``.
        limit: items after which each source stops.
        reporters: are told how the run goes.
        engine: where the nodes run: in this process, unless it is ``ray`` or an engine made by
            hand, as `pipelines.engines.ray.RayEngine`.

    Attributes:
        report: how the run ended; `None` before that. It is there also when `join` raises.

    Raises:
        GraphError: the graph is invalid; it lists every problem.
    """

    def __init__(
        self,
        graph: Graph,
        coro_map: Callable[[Any], Any] | None = None,
        env_vars: Any = None,
        *,
        limit: int | None = None,
        reporters: Iterable[Reporter] = (),
        engine: Engine | str | None = None,
    ) -> None:
        compiled = _compiled(graph, coro_map)
        spec = compiled.spec
        assert spec is not None
        self.env_vars = env_vars
        self.report: RunReport | None = None
        self._reporters = tuple(reporters)
        self._schedule = Schedule(self._stalled)
        self._letters = DeadLetters(spec, compiled.dead_letter)
        builder = Builder(spec, self._schedule, self._letters.write, env_vars, limit)
        # What is kept of a stream is kept a batch at a time, as hosts take it.
        if engine is None and any(edge.durable is not None for edge in spec.edges):
            engine = "in-process"
        if engine is None:
            self._assembly = builder.assemble(compiled)
        else:
            self._assembly = _engine(engine).assemble(compiled, builder)
        self._nodes, self._edges = self._assembly.nodes, self._assembly.edges
        self._growth = Growth(spec, builder, self._nodes, self._edges, self._schedule, coro_map)
        self._revision = Revision(
            self._growth, builder, self._nodes, self._edges, self._schedule, self._begin
        )
        self._coro_map = coro_map
        self._held_open = False
        self._life: Life | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._joined = False
        self._drained = False
        self._began = 0.0

    # What it is made of.

    @property
    def spec(self) -> GraphSpec:
        """The graph as data, as it has become."""
        return self._growth.spec

    @property
    def nodes(self) -> tuple[Processor, ...]:
        """The processors, in the document's order."""
        return tuple(self._nodes.values())

    def __getitem__(self, name: str) -> Processor:
        """Return the processor of a node.

        Raises:
            LookupError: no node has that name.
        """
        if name not in self._nodes:
            raise LookupError(f"no node is named {name!r}. {did_you_mean(name, self._nodes)}")
        return self._nodes[name]

    def snapshot(self) -> Snapshot:
        """Return the counters, queue fill and state of every node and edge, as they are now."""
        return Snapshot(
            seconds=clock() - self._began if self._began else 0.0,
            nodes=self._assembly.nodes_counted(),
            edges=self._assembly.edges_counted(),
            hosts=self._assembly.hosts_counted(),
        )

    # Running.

    def create_pipeline(self) -> None:
        """Start the graph in the running event loop; it then runs by itself. See `join`.

        Raises:
            RuntimeError: no event loop is running, or this Plumber has run already.
        """
        if self._life is not None:
            raise RuntimeError("a Plumber runs its graph once: make another one to run it again")
        self._schedule.start(asyncio.get_running_loop())
        units = units_of(self._assembly.wiring(self.spec), self._nodes)
        self._life = self._growth.life = Life(
            units,
            self._schedule,
            lambda units: in_order(self._assembly.wiring(self.spec), units),
            self._growth.stir,
        )
        self._began = clock()
        self._supervisor = self._schedule.loop.create_task(
            self._supervise(self._life), name="pipelines: the run"
        )

    async def entered(self) -> None:
        """Wait until all nodes have been entered, or the run is over."""
        if self._life is None or self._supervisor is None:
            raise RuntimeError("nothing runs yet: call create_pipeline() first")
        entered = asyncio.create_task(self._life.until_entered())
        await asyncio.wait([entered, self._supervisor], return_when=asyncio.FIRST_COMPLETED)
        entered.cancel()

    async def join(self) -> RunReport:
        """Wait until the graph is done, and return the report.

        Cancelling this cancels the run.

        Raises:
            StepError: a step failed where its node does not tolerate it.
            JoinError: a join could not pair its inputs.
            StalledError: every node waited for another one.
            asyncio.CancelledError: the run was cancelled.
        """
        if self._life is None or self._supervisor is None:
            raise RuntimeError("nothing runs yet: call create_pipeline() first")
        self._joined = True
        supervisor = self._supervisor
        try:
            await asyncio.shield(supervisor)
        except asyncio.CancelledError:
            self.cancel()
            await self._life.outlast(lambda: asyncio.wait([supervisor]))
            raise
        assert self.report is not None
        if self.report.error is not None:
            raise self.report.error
        return self.report

    async def run(self) -> RunReport:
        """Run the graph to its end, and return the report; raises what `join` raises."""
        self.create_pipeline()
        return await self.join()

    def run_sync(self) -> RunReport:
        """Run the graph to its end in an event loop of its own; raises what `join` raises.

        In the main thread, the first SIGINT or SIGTERM drains (the report's reason is then
        ``drained``), and a second one, or the graph's `shutdown_timeout`, cancels.

        Raises:
            Interrupted: the run was cancelled by a signal.
            RuntimeError: an event loop runs in this thread already.
        """
        if _in_a_loop():
            raise RuntimeError(
                "run_sync() starts an event loop of its own, and one is running here already: "
                "write `await plumber.run()`"
            )
        with interruptible(self, self.spec.runtime.shutdown_timeout) as runner:
            return runner.run(self.run())

    async def drain(self) -> RunReport:
        """Stop the sources, let what is under way finish, and return the report."""
        self.stop_sources()
        return await self.join()

    def stop_sources(self) -> None:
        """Let no more items be made; what was made goes on."""
        self._drained = True
        for node in self._nodes.values():
            if isinstance(node, InputProcessor):
                node.stop()

    def cancel(self) -> None:
        """Stop now: end all calls, run the exits, and let `join` raise `asyncio.CancelledError`."""
        if self._life is not None:
            self._life.abort(asyncio.CancelledError("the run was cancelled"))

    # Growing.

    def connect(
        self,
        source: str,
        target: str | NodeSpec,
        *,
        buffer_size: int | None = None,
        when_full: str = "block",
        inlet: Wrap | None = None,
    ) -> None:
        """Lead an edge from a node to another one; the graph may be running.

        What `source` sends from now on goes there too. Plain functions work on a run of items at a
        time: the one under way is sent as it would have been.

        Args:
            source: the name of a node that has not ended.
            target: the name of a node that has not ended, and that merges its inputs: its own
                properties say ``aggregate_inputs: false``. Or a new node, which starts at once.
            buffer_size: items that the edge holds; by default the target's.
            when_full: ``block``, ``drop_newest`` or ``drop_oldest``.
            inlet: makes another way in of a new node's.

        Raises:
            GraphError: a name is unknown, the edge is there already or closes a circle, `target`
                can't gain an edge, or a new node is faulty; it lists every problem.
            PipelinesError: one of the nodes has ended, or the run has, or the graph is being
                changed; see `apply`.
        """
        node = None if isinstance(target, str) else target
        name = target if isinstance(target, str) else target.name
        self._check_calm()
        self._growth.connect(EdgeSpec(source, name, buffer_size, when_full), node, inlet)

    def hold(self, name: str) -> None:
        """Keep a node from ending while an edge may yet come to lead there.

        Without this it ends when all those have that lead to it now. A held node ends when no node
        is at work but those behind it.

        Raises:
            GraphError: no node has that name, or it does not merge its inputs; see `connect`.
            PipelinesError: it has ended, or the graph is being changed; see `apply`.
        """
        self._check_calm()
        self._growth.hold(name)

    def _check_calm(self) -> None:
        self._check_growing()
        if self._revision.active:
            raise PipelinesError(
                "the graph is being changed: await what apply() returns before the next change"
            )

    def _check_growing(self) -> None:
        if self._assembly.hosted:
            raise PipelinesError(
                "a graph that runs on an engine of its own or has durable edges can't be changed: "
                "make another Plumber for the new graph, or leave out `engine` and `durable`"
            )

    # Changing.

    async def apply(self, graph: Graph) -> Changes:
        """Have the graph become another one; it may be running.

        Only what differs is ended and made anew. No item is lost or comes twice: the input nodes
        pause until what is under way has come to its end, however long that takes. Changes are made
        one after the other.

        An input node that is added or replaced starts at its beginning; a node that is replaced
        starts with new counters. What can't be changed: `runtime`, `dead_letter`, what has ended,
        and what leads to a join of several streams.

        Cancelling this leaves the graph as it was, unless the nodes are being exchanged already.

        Args:
            graph: what `Plumber` takes; all of it, not only what is new.

        Raises:
            GraphError: the graph is invalid, or can't come of this one; it lists every problem, and
                the run goes on.
            PipelinesError: a node that is to change has ended, and the run goes on; or the run has
                ended, perhaps because a new step could not be made; or a step awaits this, which
                would wait for itself.
        """
        self._check_growing()
        return await self._revision.apply(_compiled(graph, self._coro_map))

    def _begin(self, node: InputProcessor) -> None:
        if self._held_open:
            node.hold_open()
        if self._drained:
            node.stop()

    # Feeding.

    async def put(self, name: str, item: Any) -> None:
        """Put an item into an input node, waiting while there is no room for it.

        Raises:
            LookupError: no input node has that name.
            PipelinesError: the node has ended, or the run has.
        """
        node = self._input(name)
        if self._life is None:
            raise RuntimeError(
                "nothing runs yet: use `async with Plumber(…)`, or create_pipeline()"
            )
        try:
            await node.put(item)
        except PipelinesError:
            if self._nodes.get(name) is node:
                raise
            await self.put(name, item)  # into the one that has taken its place

    def _input(self, name: str) -> InputProcessor:
        node = self[name]
        if not isinstance(node, InputProcessor):
            inputs = [n.name for n in self.nodes if isinstance(n, InputProcessor)]
            raise LookupError(f"node {name!r} is no input node. {did_you_mean(name, inputs)}")
        return node

    async def __aenter__(self) -> Self:
        """Start the graph, its input nodes held open for `put`."""
        self._held_open = True
        for node in self._nodes.values():
            if isinstance(node, InputProcessor):
                node.hold_open()
        self.create_pipeline()
        self._joined = True  # leaving the block does
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the inputs and wait for the end of the run; on an error in the block, cancel it."""
        if error is not None and not (isinstance(error, PipelinesError) and self._has_failed()):
            self.cancel()
            with contextlib.suppress(asyncio.CancelledError, PipelinesError):
                await self.join()
            return
        for node in self._nodes.values():
            if isinstance(node, InputProcessor):
                node.close()
        self._held_open = False
        await self.join()  # where the run has failed, its error says more than that of a `put`

    def _has_failed(self) -> bool:
        return self._life is not None and self._life.error is not None

    # The run.

    async def _supervise(self, life: Life) -> None:
        watchdog = Watchdog(self._schedule.loop, self._blame)
        reporting = [asyncio.create_task(self._report_to(each)) for each in self._reporters]
        try:
            await self._letters.open()
            await self._elsewhere(life, self._assembly.open)
            await life.run()
        except Exception as error:
            life.error = life.error or error
        finally:
            for task in reporting:
                task.cancel()
            if reporting:
                await asyncio.wait(reporting)
            watchdog.stop()
        try:
            await self._letters.close(life.error)
        except Exception as error:
            life.error = life.error or error
        try:
            finished = life.error is None and not self._drained
            await self._elsewhere(life, lambda: self._assembly.close(finished))
        except Exception as error:
            life.error = life.error or error
        self._conclude(life)

    async def _elsewhere(self, life: Life, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what a run elsewhere needs, in spite of cancellations."""
        if self._assembly.hosted:
            task = asyncio.ensure_future(work())
            await life.outlast(lambda: asyncio.wait([task]))
            task.result()

    def _conclude(self, life: Life) -> None:
        for node in self._nodes.values():
            if life.error is not None and isinstance(node, InputProcessor):
                node.end()  # also where the run ended before its nodes began
        snapshot = self.snapshot()
        fault = self._assembly.audit(snapshot)
        if fault is not None and life.error is not None:
            life.error.add_note(str(fault))
        life.error = life.error or fault
        self.report = RunReport(
            ok=life.error is None,
            reason=self._reason(life.error),
            seconds=snapshot.seconds,
            bottleneck=snapshot.bottleneck,
            nodes=snapshot.nodes,
            edges=snapshot.edges,
            error=life.error,
            hosts=snapshot.hosts,
        )
        for reporter in self._reporters:
            with _forgiving(reporter):
                reporter.finish(self.report)
        if isinstance(life.error, Exception) and not self._joined:
            logger.error("the run failed, and nobody waits for it: %s", life.error)

    def _reason(
        self, error: BaseException | None
    ) -> Literal["done", "drained", "failed", "cancelled"]:
        if isinstance(error, asyncio.CancelledError):
            return "cancelled"
        if error is not None:
            return "failed"
        return "drained" if self._drained else "done"

    def _stalled(self) -> None:
        if self._revision.stalled():
            return
        if self._life is None or self._life.error is not None or self._growth.let_one_go():
            return
        waits = [
            f"{node.name!r} waits for {_what(node)}"
            for node in self._nodes.values()
            if node.state in ("waiting", "blocked")
        ]
        self._life.abort(
            StalledError(f"no node can go on: {'; '.join(waits)}. A larger buffer_size may help.")
        )

    def _blame(self, task: asyncio.Task[Any] | None) -> str:
        for unit in self._life.units if self._life is not None else ():
            if task is unit.task or any(node.task is task for node in unit.nodes):
                return unit.title
        return "something in the event loop" if task is not None else ""

    async def _report_to(self, reporter: Reporter) -> None:
        with _forgiving(reporter):
            reporter.start(self.snapshot())
            while True:
                await asyncio.sleep(reporter.interval)
                reporter.update(self.snapshot())


def _compiled(graph: Graph, coro_map: Callable[[Any], Any] | None) -> Examination:
    if not isinstance(graph, Examination):
        return compile_graph(graph, coro_map=coro_map)
    if not graph.ok:
        raise GraphError(graph.problems)
    return graph


def _engine(engine: Engine | str) -> Engine:
    """Return the engine of a name."""
    return engines.get(engine)() if isinstance(engine, str) else engine


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _forgiving(reporter: Reporter) -> Any:
    """Keep a reporter's error from the run."""
    try:
        yield
    except Exception:
        logger.exception("the reporter %s failed", type(reporter).__name__)


def _what(node: Processor) -> str:
    if node.state == "blocked":
        full = [edge for edge in node.outlet.edges if edge.full()]
        return " and ".join(
            f"room on {e.source} -> {e.target} ({e.qsize()}/{e.maxsize})" for e in full
        )
    inlet = node.inlet
    empty = [edge for edge in (inlet.edges if inlet else ()) if edge.empty()]
    return " and ".join(f"an item on {e.source} -> {e.target}" for e in empty)


def run(
    graph: Graph, coro_map: Callable[[Any], Any] | None = None, **inputs: Iterable[Any]
) -> RunReport:
    """Run a graph to its end, in an event loop of its own, and return the report.

    Args:
        graph: what `Plumber` takes.
        coro_map: what `Plumber` takes.
        inputs: for an input node's name, the items to feed it with instead of its own step.

    Raises:
        GraphError: the graph is invalid.
        LookupError: a name is none of an input node.
        StepError, JoinError, StalledError: the run failed; see `Plumber.join`.
    """
    if inputs:
        spec = graph if isinstance(graph, GraphSpec) else load(_not_examined(graph))
        graph = _with_inputs(spec, inputs)
    return Plumber(graph, coro_map).run_sync()


def _not_examined(graph: Graph) -> Any:
    return graph.spec if isinstance(graph, Examination) else graph


def _with_inputs(spec: GraphSpec, inputs: Mapping[str, Iterable[Any]]) -> GraphSpec:
    fed = {edge.target for edge in spec.edges}
    known = [name for name in spec.nodes if name not in fed]
    nodes = dict(spec.nodes)
    for name, items in inputs.items():
        if name not in known:
            raise LookupError(f"{name!r} is no input node. {did_you_mean(name, known)}")
        nodes[name] = dataclasses.replace(nodes[name], coro=None, func=items, args={})
    return dataclasses.replace(spec, nodes=nodes)
