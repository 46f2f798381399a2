"""The seed's protocol, on the namespace ``/``: a graph comes, and its results go, one by one."""

from __future__ import annotations

from typing import Any

from pipelines.errors import GraphError, Problem
from pipelines.server.graphfile import GraphFiles
from pipelines.server.judge import Judge, Verdict
from pipelines.server.limits import Limits
from pipelines.server.offer import Offer
from pipelines.server.outputs import Forwarded
from pipelines.server.previews import to_json
from pipelines.server.refusal import refuse
from pipelines.server.requests import Ack, Client, Endpoint, request
from pipelines.server.runs import Runs
from pipelines.server.session import Session, Tell
from pipelines.server.tokens import Door
from pipelines.server.transport import Transport

__all__ = ["NAMESPACE", "Programs"]

NAMESPACE = "/"


class Programs(Endpoint):
    """Answers programs.

    Nothing is lost: where a client reads slowly, its graph waits; where it reads nothing for too
    long, it is hung up on.

    Args:
        offer: the steps that graphs may name.
        runs: all runs of the server.
        interval: seconds between two looks at the limits of a run.
    """

    def __init__(
        self,
        door: Door,
        limits: Limits,
        transport: Transport,
        offer: Offer,
        runs: Runs,
        interval: float,
    ) -> None:
        super().__init__(NAMESPACE, door, limits, transport)
        self._judge = Judge(offer, limits)
        self._files = GraphFiles(offer, limits)
        self._runs = runs
        self._interval = interval

    def left(self, client: Client) -> None:
        """End the client's run: nobody can come back for it."""
        self._runs.release(client.sid, grace=0)

    def arguments(self, handler: Any, data: list[Any]) -> dict[str, Any]:
        """Take the graph as it comes: the seed's event has no keys."""
        if len(data) != 1 or not isinstance(data[0], dict | str):
            raise refuse("bad-request", "process_msg comes with one graph.", (), "Send {…}.")
        return {"graph": data[0]}

    async def answer(self, client: Client, event: str, data: list[Any]) -> Ack:
        """Answer an event, and say with another event what is wrong: few programs wait for acks."""
        ack = await super().answer(client, event, data)
        if not ack["ok"]:
            await self.emit("error", {"errors": ack["errors"]}, to=client.sid)
        return ack

    @request()
    async def process_msg(self, client: Client, *, graph: Any) -> Ack:
        """Start a graph, and send what it gives."""
        self._runs.check_room(client.sid)
        document = graph if isinstance(graph, dict) else self._files.read(graph)[0]
        verdict = self._judge.judge(document)
        verdict.accepted()
        _refuse_unfed(verdict)
        session = Session(verdict, self._outputs(client), self.limits, self._interval)
        session.tell = self._tell(client)
        self._runs.add(client.sid, session)
        return {}

    def _outputs(self, client: Client) -> Forwarded:
        async def send(item: Any) -> None:
            try:
                await self.transport.has_room(client.connection)
            except TimeoutError:
                self.transport.hang_up_soon(client.connection)
                raise refuse("stalled", "the client reads nothing.") from None
            # In a tuple, as a list alone is taken for an item, but a lone `None` for no argument.
            await self.emit("recv", (to_json(item, self.limits.item_bytes),), to=client.sid)

        return Forwarded(send)

    def _tell(self, client: Client) -> Tell:
        async def tell(event: str, data: dict[str, Any]) -> None:
            if event != "done":
                return
            if "error" in data:
                await self.emit("error", {"errors": [data["error"]]}, to=client.sid)
            else:
                await self.emit("done", {"reason": data["reason"]}, to=client.sid)

        return tell


def _refuse_unfed(verdict: Verdict) -> None:
    what = "node {!r} names no step, so nothing would ever come from it here."
    hint = "Give it one that makes items."
    problems = [
        Problem("unfed-input", what.format(name), ("nodes", name), hint) for name in verdict.inputs
    ]
    if problems:
        raise GraphError(problems)
