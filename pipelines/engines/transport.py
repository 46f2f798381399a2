"""What the driver asks of the place where hosts run; `inprocess` and `ray` are such places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.engines.intake import Parcel
from pipelines.engines.passage import HostGraph, Outcome
from pipelines.engines.plan import HostPlan
from pipelines.engines.slices import Slice
from pipelines.metrics import HostCounts

__all__ = ["Remote", "Reply", "Transport"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a host gives back for a batch.

    Attributes:
        outcome: all but the outputs and the state.
        outputs: where they are, one slice for each outbound edge.
        state: where the state of stateful steps is, if there is any.
    """

    outcome: Outcome
    outputs: Sequence[Slice]
    state: Any = None


class Remote(Protocol):
    """One process of a host."""

    async def process(self, number: int, parcel: Parcel, state: Any) -> Reply:
        """Take a batch through the host's nodes; being cancelled ends the work there.

        Raises:
            HostError: the process was lost, and so were those that took its place.
        """

    async def close(self, error: BaseException | None) -> BaseException | None:
        """Exit the steps and end the process; return what the first exit that raised raised."""

    def counts(self) -> HostCounts:
        """Return what is known of the process."""


class Transport(Protocol):
    """A place where hosts run.

    Attributes:
        elsewhere: that is in other processes than this one.
    """

    elsewhere: bool

    def prepare(self, hosts: Sequence[tuple[HostPlan, HostGraph]]) -> None:
        """Be told of all hosts, and look whether what they need can get there.

        Raises:
            GraphError: a step, its arguments or the `env_vars` can't; it lists every problem.
        """

    async def open(self) -> None:
        """Get ready.

        Raises:
            PipelinesError: that can't be done.
        """

    async def start(self, plan: HostPlan, graph: HostGraph, replica: int) -> Remote:
        """Start one process of a host, and enter its steps.

        Raises:
            StepError: a step could not be entered.
            PipelinesError: there is nowhere to start it, or its nodes can't travel there.
        """

    async def fetch(self, part: Slice) -> list[Any]:
        """Return the entries of a slice."""

    async def dump(self, part: Slice) -> bytes:
        """Return a slice as bytes, to be kept."""

    async def load(self, data: bytes) -> Any:
        """Return the batch of `dump`, as it stands in a `Slice`."""

    async def close(self) -> None:
        """End all that was begun."""
