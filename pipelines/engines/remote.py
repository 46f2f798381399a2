"""The driver's side of a host on Ray: calls its actor, and knows what is lost when that dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import uuid
from typing import Any

from pipelines.engines import travel
from pipelines.engines.actor import Answer, HostActor, Layout, Luggage, version
from pipelines.engines.cluster.joining import NAMESPACE, resource
from pipelines.engines.intake import Parcel
from pipelines.engines.passage import HostGraph, Outcome
from pipelines.engines.plan import HostPlan
from pipelines.engines.slices import Slice
from pipelines.engines.transport import Reply
from pipelines.errors import HostError, describe, shorten
from pipelines.metrics import HostCounts
from pipelines.schedule import clock

__all__ = ["RemoteHost", "had"]

logger = logging.getLogger(__name__)

#: How often a batch is made again whose process died, before the run fails.
RETRIES = 3

#: Seconds that a process gets to end what it does and to exit its steps, when a run fails.
PATIENCE = 10.0

#: What Ray says of an actor that could not even be made.
_CREATION = "raised in its creation task"

#: Seconds for which a batch is sent again to a process that can't be reached and is not known to be
#: lost, and between two such calls.
UNKNOWN = 30.0
AGAIN = 0.5

#: Calls that an actor takes at once; the driver bounds them more tightly.
CALLS = 1000


class RemoteHost:
    """One actor.

    Args:
        plan, graph: the host.
        replica: which of its processes this is.
        shares_files: workers may have this machine's folders, and import from where we do.
    """

    def __init__(
        self, plan: HostPlan, graph: HostGraph, replica: int, *, shares_files: bool
    ) -> None:
        self.plan = plan
        self._graph = graph
        self._replica = replica
        self._path = _folders() if shares_files else ()
        self._keeps_state = plan.stateful and _can_be_restored(graph)
        self._actor: Any = None
        self._call: Any = None
        self._id = ""
        self._ended_because = ""
        self._processes: list[str] = []
        self._place = ""
        self._batches = self._resent = 0

    @property
    def _nodes(self) -> str:
        return ", ".join(map(repr, self.plan.spec.nodes))

    @property
    def _title(self) -> str:
        """What `plumber cluster` lists it as; of several runs of a graph each has its own."""
        graph = self.plan.spec.name or "graph"
        return f"{graph}: {self.plan.name}#{self._replica} ({uuid.uuid4().hex[:8]})"

    async def open(self) -> None:
        """Start the actor, and have it enter the steps.

        Raises:
            StepError: a step could not be entered; the actor has been ended.
            HostError: the actor could not be started.
        """
        self._actor = await asyncio.to_thread(self._start)  # Ray waits for its own answer
        self._call = self._actor.process.options(num_returns=1 + len(self.plan.outbound))
        try:
            error, self._id, process, self._place = await self._ask(self._actor.open.remote())
            self._processes.append(process)
            if error is not None:
                raise error
        except BaseException as raised:
            await self.close(raised)
            raise

    def _start(self) -> Any:
        import ray

        plan = self.plan
        luggage = Luggage(
            travel.dump_host(self._graph), plan.head, len(plan.outbound), self._path, version()
        )
        # Without its state a step that remembers must not go on as if nothing had happened.
        again = not plan.stateful or self._keeps_state
        actor = ray.remote(HostActor).options(
            name=self._title,
            namespace=NAMESPACE,
            num_cpus=0,
            resources={} if plan.scope is None else {resource(plan.scope): 1},
            max_restarts=-1 if again else 0,
            max_task_retries=RETRIES if again else 0,
            max_concurrency=CALLS,
            scheduling_strategy="SPREAD",
        )
        return actor.remote(luggage)

    async def process(self, number: int, parcel: Parcel, state: Any) -> Reply:
        """Have the actor take a batch through the nodes."""
        layout, batches = self._lay_out(parcel)
        process = self._processes[-1]
        answer, outputs = await self._answer(number, layout, state, *batches)
        self._note(answer, process)
        parts = [
            Slice(ref, 0, size, missing)
            for ref, (size, missing) in zip(outputs, answer.sizes, strict=False)
        ]
        outcome: Outcome = _read(answer.outcome)
        return Reply(outcome, parts, answer.state if self._keeps_state else None)

    async def _answer(self, *arguments: Any) -> tuple[Answer, list[Any]]:
        """Call the actor, and call again while Ray does not know what has become of its machine.

        It can use up all retries within the seconds that it takes to find out that one is lost.
        """
        until, before = clock() + UNKNOWN, len(self._processes) - 1
        while True:
            refs = self._call.remote(*arguments)
            meta, *outputs = refs if self.plan.outbound else [refs]
            try:
                return await self._ask(meta), outputs
            except HostError as error:
                if not _is_unknown(error.__cause__) or clock() > until:
                    raise
                if await asyncio.to_thread(self._restarts) - before > RETRIES:
                    raise  # it is known: each process has died with the batch
                await asyncio.sleep(AGAIN)

    def _restarts(self) -> int:
        """Return how often Ray has started the actor again."""
        from ray._private.state import actors

        return int(actors(self._id)["NumRestarts"])

    def _lay_out(self, parcel: Parcel) -> tuple[Layout, list[Any]]:
        """Return which entries of which batches make up the parcel's columns, and the batches."""
        batches: list[Any] = []
        layout = []
        for edge, column in zip(self.plan.inbound, parcel.columns, strict=True):
            places = []
            for part in column:
                start, stop, batch = part.start, part.stop, part.batch
                if isinstance(batch, list):
                    batch = travel.pack(edge.source, batch[start:stop])
                    start, stop = 0, len(part)
                places.append((len(batches), start, stop))
                batches.append(batch)
            layout.append(places)
        return layout, batches

    def _note(self, answer: Answer, process: str) -> None:
        """Count a batch; another process than that it was sent to has done it if that was lost."""
        self._batches += 1
        self._resent += answer.process != process
        if answer.process not in self._processes:
            self._processes.append(answer.process)
            nodes = self._nodes
            logger.warning("the process that ran %s is lost; %s goes on", nodes, answer.place)
            self._place = answer.place

    async def _ask(self, ref: Any) -> Any:
        """Wait for what a call gives; being cancelled ends the work there.

        Raises:
            HostError: the process was lost.
        """
        import ray
        from ray.exceptions import RayError

        try:
            return _read(await ref)
        except asyncio.CancelledError:
            with contextlib.suppress(RayError, ValueError, TypeError):
                ray.cancel(ref)
            raise
        except RayError as error:
            raise HostError(self._lost(error)) from error

    def _lost(self, error: Exception) -> str:
        from ray.exceptions import RayTaskError

        nodes = self._nodes
        if self._ended_because:
            return f"the process that ran {nodes} was lost, and {self._ended_because}"
        if isinstance(error, RayTaskError) or _CREATION in str(error):
            return f"the process that is to run {nodes} can't do so: {_last_line(error)}"
        what = f"the process that ran {nodes} was lost ({type(error).__name__})"
        if self.plan.stateful and not self._keeps_state:
            return (
                f"{what}, and with it what the step remembered. Give the step checkpoint() and "
                "restore(state), or remove `stateful`"
            )
        return f"{what}, and so were {RETRIES} others that took its place, with the same batch"

    def give_up(self, why: str) -> None:
        """End the actor, so that all that waits for it fails and says why."""
        import ray

        self._ended_because = why
        ray.kill(self._actor)

    async def close(self, error: BaseException | None) -> BaseException | None:
        """End what is under way, exit the steps and end the actor.

        After a failure that may take `PATIENCE`; else it takes as long as it takes.
        """
        import ray

        told = None if error is None else travel.portable(error, "In the driver")
        try:
            async with asyncio.timeout(None if error is None else PATIENCE):
                return await self._ask(self._actor.close.remote(travel.dump(told)))  # type: ignore[no-any-return]
        except HostError:
            return None  # a process that is gone has nothing to exit
        except TimeoutError:
            return HostError(
                f"{self._nodes} did not end within {PATIENCE:g} s, so their process was killed"
            )
        finally:
            ray.kill(self._actor)

    def counts(self) -> HostCounts:
        """Return what is known of it."""
        return HostCounts(
            tuple(self.plan.spec.nodes),
            self.plan.scope,
            self._place,
            self._batches,
            max(len(self._processes) - 1, 0),
            self._resent,
        )


def _folders() -> tuple[str, ...]:
    """Return where this program imports from."""
    return tuple([os.path.abspath(each) for each in sys.path])


async def had(ref: Any) -> Any:
    """Return what a host has sent.

    Raises:
        HostError: it is lost, or can't be read here.
    """
    from ray.exceptions import RayError

    try:
        return _read(await ref)
    except RayError as error:
        raise HostError(f"the results of a batch were lost: {_last_line(error)}") from error


def _read(data: bytes) -> Any:
    try:
        return travel.load(data)
    except Exception as error:
        raise HostError(f"what a worker sent can't be read here: {describe(error)}") from error


def _is_unknown(error: BaseException | None) -> bool:
    """Tell whether Ray can't say if a process is lost."""
    from ray.exceptions import ActorUnavailableError

    return isinstance(error, ActorUnavailableError)


def _last_line(error: Exception) -> str:
    """Return what says most in one of Ray's errors: the end of the traceback in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten((lines or [type(error).__name__])[-1], 500)


def _can_be_restored(graph: HostGraph) -> bool:
    """Tell whether all steps of a stateful host say what they remember."""
    return all(
        hasattr(target, "checkpoint") and hasattr(target, "restore")
        for target in graph.targets.values()
    )
