"""Where the nodes of a graph can run, other than in the process that starts it.

From the bottom up:

    plan        which nodes share a host          slices      what the driver's edges carry
    passage     one batch through a host          intake      batches, cut from edges
    hosting     a host, and its steps             transport   what a place for hosts must do
    inprocess   hosts in this process             dispatch    the driver's node for a host
    receipts    what a slice was made of          durability  whether that is known
    keeping     durable edges                     hosted      a run, made of all these
    actor       a host in a process of Ray        travel      what goes from process to process
    remote      the driver's side of an actor     ray         hosts on a Ray cluster
    cluster     Ray itself: starting and joining
"""

from __future__ import annotations

from typing import Any

from pipelines.registry import engines

__all__: list[str] = []


@engines.register("in-process")
def _in_process(**options: Any) -> Any:
    """Return an engine of hosts in this process."""
    from pipelines.engines.inprocess import InProcessEngine

    return InProcessEngine(**options)


@engines.register("ray")
def _ray(**options: Any) -> Any:
    """Return an engine on Ray, which is imported only here."""
    from pipelines.engines.ray import RayEngine

    return RayEngine(**options)
