"""The editor's events, on the namespace ``/v1``; the wiki page *Protocol* shows each of them."""

from __future__ import annotations

import asyncio
import functools
import sys
from importlib import metadata
from typing import Annotated, Any, Literal

from pipelines.checks.schema import graph_schema
from pipelines.server.arguments import Slider
from pipelines.server.examples import examples_of
from pipelines.server.graphfile import GraphFiles
from pipelines.server.judge import Judge
from pipelines.server.limits import Limits, over
from pipelines.server.offer import Offer
from pipelines.server.outputs import AllItems, SomeItems
from pipelines.server.refusal import Refusal, plain, plain_all, refuse
from pipelines.server.requests import Ack, Client, Endpoint, request
from pipelines.server.runs import Runs
from pipelines.server.session import WINDOW, Session, Tell
from pipelines.server.tokens import Door
from pipelines.server.transport import Transport

__all__ = ["NAMESPACE", "PROTO", "Editor"]

NAMESPACE = "/v1"
PROTO = 1

Graph = dict[str, Any]


class Editor(Endpoint):
    """Answers the editor.

    Args:
        offer: the steps that graphs may name.
        runs: all runs of the server.
        interval: seconds between two frames, at the least.
        examples: graphs to begin with.
    """

    def __init__(
        self,
        door: Door,
        limits: Limits,
        transport: Transport,
        offer: Offer,
        runs: Runs,
        interval: float,
        examples: list[dict[str, Any]],
    ) -> None:
        super().__init__(NAMESPACE, door, limits, transport)
        self._offer = offer
        self._judge = Judge(offer, limits)
        self._files = GraphFiles(offer, limits)
        self._runs = runs
        self._interval = interval
        self._examples = examples_of(examples, offer)

    def left(self, client: Client) -> None:
        """Keep the client's run for a while: it may come back."""
        self._runs.release(client.sid, grace=self.limits.grace)

    def _tell(self, client: Client) -> Tell:
        async def tell(event: str, data: dict[str, Any]) -> None:
            await self.emit(event, data, to=client.sid)

        return tell

    @request()
    async def hello(self, client: Client, *, proto: int) -> Ack:
        """Say who is there, what is allowed, and what is offered."""
        if proto != PROTO:
            what = f"this server speaks version {PROTO} of the protocol, not {proto}."
            raise refuse("proto", what, ("proto",), "Reload the page.")
        return {
            "proto": PROTO,
            "versions": {"pipelines": _version(), "python": _python()},
            "limits": self.limits.to_client(),
            "schema": graph_schema(),
            "steps": self._offer.catalogue(),
            "examples": self._examples,
        }

    @request()
    async def validate(self, client: Client, *, graph: Graph) -> Ack:
        """Say all that is wrong with a graph."""
        verdict = self._judge.judge(graph)
        return {"problems": plain_all(verdict.errors), "warnings": plain_all(verdict.warnings)}

    @request("import")
    async def import_(self, client: Client, *, yaml: str) -> Ack:
        """Read a graph from the text of a file."""
        graph, layout = self._files.read(yaml)
        return {"graph": graph, **({"layout": layout} if layout else {})}

    @request()
    async def export(
        self, client: Client, *, graph: Graph, layout: dict[str, Any] | None = None
    ) -> Ack:
        """Write a graph as the text of a file."""
        return {"yaml": self._files.write(graph, layout)}

    @request()
    async def run(
        self, client: Client, *, graph: Graph, preview: Literal["sample", "all"] = "sample"
    ) -> Ack:
        """Start a graph."""
        self._runs.check_room(client.sid)
        verdict = self._judge.judge(graph)
        verdict.accepted()
        outputs = AllItems() if preview == "all" else SomeItems()
        session = Session(verdict, outputs, self.limits, self._interval)
        session.tell = self._tell(client)
        self._runs.add(client.sid, session)
        return {"run": session.id, "inputs": session.inputs}

    @request()
    async def apply(self, client: Client, *, run: str, graph: Graph) -> Ack:
        """Change the graph of a run; what did not change does not notice."""
        session = self._runs.get(client.sid, run)
        return {"changed": await session.apply(self._judge.judge(graph))}

    @request()
    async def credit(
        self, client: Client, *, run: str, n: Annotated[int, Slider(1, WINDOW)]
    ) -> Ack:
        """Allow some more frames."""
        self._runs.get(client.sid, run).add_credit(n)
        return {}

    @request()
    async def stop(self, client: Client, *, run: str, mode: Literal["drain", "now"]) -> Ack:
        """Stop a run."""
        self._runs.get(client.sid, run).stop(mode)
        return {}

    @request()
    async def push(self, client: Client, *, run: str, node: str, items: list[Any]) -> Ack:
        """Put items into an input node."""
        session = self._runs.get(client.sid, run)
        if len(items) > self.limits.push_items:
            raise Refusal([over(self.limits, "push_items", len(items), ("items",))])
        accepted = await session.push(node, items)
        if accepted < len(items):
            return _full(node, accepted)
        return {"accepted": accepted}

    @request()
    async def attach(
        self, client: Client, *, run: str, seq: Annotated[int, "the last frame seen"] = 0
    ) -> Ack:
        """Go on with a run whose connection was lost."""
        session, frame = self._runs.attach(client.sid, run, seq, self._tell(client))
        if session.ended is not None:  # it is told again, behind this answer
            loop = asyncio.get_running_loop()
            loop.call_soon(self.transport.start_background_task, session.tell_end)
        return {"graph": session.graph, "inputs": session.inputs, "frame": frame}


def _full(node: str, accepted: int) -> Ack:
    what = f"node {node!r} has no room for more at the moment."
    problem = refuse("full", what, ("items", accepted), "Push the rest later.").problems[0]
    return {"ok": False, "accepted": accepted, "errors": [plain(problem)]}


@functools.cache
def _version() -> str:
    try:
        return metadata.version("pipelines")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))
