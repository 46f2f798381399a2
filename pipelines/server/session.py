"""One live run, without any socket: it is watched by frames, stopped, fed, and ends within limits.

Frames are sent no faster than `Session.interval` and only with credit, and their counters are
cumulative, so a reader that is slow costs nothing, and one that is lost misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pipelines.errors import GraphError, PipelinesError, Problem
from pipelines.plumber import Plumber
from pipelines.server import frames
from pipelines.server.judge import Verdict
from pipelines.server.limits import Limits, over
from pipelines.server.outputs import Outputs, with_outputs
from pipelines.server.refusal import plain, refuse

__all__ = ["WINDOW", "Session", "Tell"]

logger = logging.getLogger(__name__)

#: Sends an event with its data to whoever watches.
Tell = Callable[[str, dict[str, Any]], Awaitable[None]]

#: Frames that may be asked for in advance.
WINDOW = 4

#: How a run ended in which the server itself is at fault.
_FAULT: dict[str, Any] = {
    "reason": "failed",
    "seconds": 0.0,
    "nodes": {},
    "balance": {"ok": False},
    "bottleneck": None,
    "error": plain(Problem("internal", "the server failed on this run; its log says why.")),
}

_PATIENCE = 0.05  # seconds that a push waits for room, before it says that there is none


class Session:
    """One run of one client.

    Args:
        graph: what to run; it may run.
        outputs: takes what the run gives.
        limits: those in force.
        interval: seconds between two frames, at the least.

    Attributes:
        id: a secret name: who knows it, and lost the connection that had it, may go on with it.
        graph: the document, as it came over the wire.
        inputs: the nodes that take what is pushed.
        ended: what `done` said; `None` while it runs.
        tell: how to reach who watches; `None` while nobody does.
    """

    def __init__(
        self, graph: Verdict, outputs: Outputs, limits: Limits, interval: float = 0.2
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.graph = graph.document
        self.inputs = graph.inputs
        self.tell: Tell | None = None
        self.ended: dict[str, Any] | None = None
        self._outputs = outputs
        self._limits = limits
        self._interval = interval
        # One more than allowed, so that as many as allowed are no fault.
        self._plumber = Plumber(with_outputs(graph.accepted(), outputs), limit=limits.items + 1)
        self._task: asyncio.Task[None] | None = None
        self._credit = 0
        self._seq = 0
        self._draining = False
        self._exceeded: dict[str, Any] | None = None
        self._frames: deque[dict[str, Any]] = deque(maxlen=WINDOW + 1)

    # Its life.

    def start(self) -> None:
        """Begin to run; what is told comes later than the caller's next answer."""
        self._task = asyncio.create_task(self._live(), name=f"pipelines: run {self.id[:6]}…")

    async def _live(self) -> None:
        try:
            await self._run()
        except Exception:  # a fault of ours; the client must hear of an end all the same
            logger.exception("run %s… failed", self.id[:6])
            self._plumber.cancel()
            self.ended = {**_FAULT, "run": self.id}
        await self.tell_end()

    async def _run(self) -> None:
        self._plumber.create_pipeline()
        run = asyncio.create_task(self._join(), name="pipelines: the end of a run")
        while not (await asyncio.wait([run], timeout=self._interval))[0]:
            self._enforce()
            await self._show()
        self._end()
        await self._send("frame", self._frames[-1])

    async def _join(self) -> None:
        # Also what is no Exception: a step that calls sys.exit() ends its run, not the server.
        with contextlib.suppress(BaseException):
            await self._plumber.join()

    def _enforce(self) -> None:
        snapshot = self._plumber.snapshot()
        if snapshot.seconds > self._limits.seconds:
            self._exceed("seconds", round(snapshot.seconds, 1))
        self._enforce_items()
        self._enforce_outputs()

    def _enforce_outputs(self) -> None:
        if self._exceeded is None and self._outputs.fault is not None:
            self._exceeded = plain(self._outputs.fault)
            self._plumber.cancel()

    def _enforce_items(self) -> None:
        most = max(node.received for node in self._plumber.snapshot().nodes.values())
        if most > self._limits.items:
            self._exceed("items", most)

    def _exceed(self, limit: str, got: float) -> None:
        if self._exceeded is None:
            self._exceeded = plain(over(self._limits, limit, got, (), "the run was ended"))
            self._plumber.cancel()

    def _end(self) -> None:
        report = self._plumber.report
        assert report is not None
        self._enforce_items()
        self._enforce_outputs()
        last, snapshot = self._frame(), self._plumber.snapshot()
        error = self._exceeded or (frames.fault_of(report) if report.reason == "failed" else None)
        self.ended = {
            "run": self.id,
            "reason": "limit" if self._exceeded else report.reason,
            "seconds": report.seconds,
            "nodes": last["nodes"],
            "balance": frames.balance(frames.visible(snapshot)),
            "bottleneck": last["bottleneck"],
            **({} if error is None else {"error": error}),
        }

    async def tell_end(self) -> None:
        """Tell how it ended, if it has and if somebody watches."""
        if self.ended is not None:
            await self._send("done", self.ended)

    async def close(self) -> None:
        """End the run if it still goes on, and wait until nothing of it is left."""
        self.tell = None
        if self._task is not None:
            self._plumber.cancel()
            await asyncio.wait([self._task])

    # Being watched.

    def add_credit(self, frames: int) -> None:
        """Allow some more frames to be sent; `WINDOW` in all, however often it is said."""
        self._credit = min(WINDOW, self._credit + frames)

    def attach(self, seq: int, tell: Tell) -> dict[str, Any]:
        """Be watched by somebody else; return a frame of everything as it is now.

        Items of frames after number `seq` are in it again: they were lost with the connection.
        """
        self.tell = tell
        self._credit = 0
        frame = self._frames[-1] if self.ended and self._frames else self._frame()
        missed = [each for each in self._frames if each["seq"] > seq]
        return {
            **frame,
            "items": [item for each in missed for item in each["items"]],
            "dropped": sum(each["dropped"] for each in missed),
        }

    def detach(self) -> None:
        """Be watched by nobody."""
        self.tell = None

    async def _show(self) -> None:
        if self._credit and self.tell is not None:
            self._credit -= 1
            await self._send("frame", self._frame())

    async def _send(self, event: str, data: dict[str, Any]) -> None:
        if self.tell is None:
            return
        try:
            await self.tell(event, data)
        except Exception:  # a reader that can't be told must not keep the run from ending
            logger.exception("can't tell of %s", event)
            self.tell = None

    def _frame(self) -> dict[str, Any]:
        whole = self._plumber.snapshot()
        seen = frames.visible(whole)
        live = None if self._plumber.report is not None else self._plumber
        items, dropped = self._outputs.take()
        self._seq += 1
        frame = {
            "run": self.id,
            "seq": self._seq,
            "t": whole.seconds,
            "nodes": frames.nodes_of(seen, live, draining=self._draining),
            "edges": frames.edges_of(seen),
            "bottleneck": frames.bottleneck(whole if self._outputs.waits else seen),
            "items": items,
            "dropped": dropped,
        }
        self._frames.append(frame)
        return frame

    # Being acted upon.

    def stop(self, mode: Literal["drain", "now"]) -> None:
        """Stop the sources and let the rest finish, or stop everything."""
        if mode == "now":
            self._plumber.cancel()
        else:
            self._draining = True
            self._plumber.stop_sources()

    async def apply(self, graph: Verdict) -> dict[str, Any]:
        """Have the run go on with another graph; return what that has changed.

        Raises:
            GraphError: the graph may not run, or can't come of this one.
            Refusal: the run, or a node that is to change, has ended.
        """
        accepted = with_outputs(graph.accepted(), self._outputs)
        try:
            changes = await self._plumber.apply(accepted)
        except GraphError:
            raise
        except PipelinesError as error:
            raise refuse("ended", f"{error}.", (), "Run the new graph instead.") from error
        self.graph, self.inputs = graph.document, graph.inputs
        return frames.changed(changes)

    async def push(self, node: str, items: list[Any]) -> int:
        """Put items into an input node, as far as there is room at once; return how many.

        Raises:
            Refusal: the node takes none, or no more.
        """
        if node not in self.inputs:
            known = ", ".join(self.inputs) or "this graph has none"
            raise refuse(
                "no-input", f"node {node!r} takes no items.", ("node",), f"Input nodes: {known}."
            )
        accepted = 0
        with contextlib.suppress(TimeoutError):
            for item in items:
                await self._put(node, item)
                accepted += 1
        return accepted

    async def _put(self, node: str, item: Any) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._plumber.put(node, item)
        except PipelinesError as error:
            raise refuse("ended", f"node {node!r} takes no more items.", ("node",)) from error
