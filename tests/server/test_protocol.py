"""Every example on the wiki page *Protocol* is what a real server answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs_blocks import blocks_of
from raw_client import RawClient

from pipelines.server.app import Server
from pipelines.server.seed import Programs
from pipelines.server.v1 import Editor

PAGE = (Path(__file__).parents[2] / "wiki/Protocol.md").read_text()
EXAMPLES = [json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json"]

Join = Callable[..., Any]


def shows(shown: Any, got: Any) -> bool:
    """Tell whether `got` has all that is shown; mappings may have more."""
    if isinstance(shown, dict):
        return isinstance(got, dict) and all(
            key in got and shows(value, got[key]) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return (
            isinstance(got, list)
            and len(shown) == len(got)
            and all(shows(a, b) for a, b in zip(shown, got, strict=True))
        )
    return bool(shown == got)


def filled(value: Any, run: str) -> Any:
    """Return an example with the run's real id."""
    return json.loads(json.dumps(value).replace('"RUN"', json.dumps(run)))


class Reader:
    """Plays the examples in their order, as one client."""

    def __init__(self, server: Server, join: Join) -> None:
        self._server = server
        self._join = join
        self._clients: dict[str, RawClient] = {}
        self._run = "RUN"

    async def play(self, example: dict[str, Any]) -> None:
        """Send what an example sends, and see that what comes is what it shows."""
        namespace = example.get("on", "/v1")
        if example.get("reconnect"):
            await self._clients.pop(namespace).close()
        if namespace not in self._clients:
            self._clients[namespace] = await self._join(self._server, namespace)
        client = self._clients[namespace]
        sent = filled(example["data"], self._run)
        ack = await client.ask(example["send"], sent, namespace)
        self._run = ack.get("run", self._run)
        assert shows(filled(example.get("ack", {}), self._run), ack), ack
        for event, data in filled(example.get("then", []), self._run):
            await self._expect(client, event, data)

    async def _expect(self, client: RawClient, event: str, shown: Any) -> None:
        items: list[Any] = []
        while True:
            got = await client.next(event)
            if event == "frame":  # what is shown may have come in several frames
                items += got["items"]
                got = {**got, "items": items}
                if not shows(shown, got):
                    assert (await client.ask("credit", {"run": self._run, "n": 1}))["ok"]
                    continue
            assert shows(shown, got), got
            return


async def test_the_examples_are_true(serve: Any, join: Join, no_task_left: None) -> None:
    """Played from top to bottom, each request is answered as shown, and each event comes."""
    async with serve({"grace": 10}) as server:
        reader = Reader(server, join)
        for example in EXAMPLES:
            await reader.play(example)


def test_every_event_has_an_example() -> None:
    """Of either namespace, those to the server and those to the client."""
    sent = {(example.get("on", "/v1"), example["send"]) for example in EXAMPLES}
    handled = {("/v1", name) for name in Editor.handlers} | {
        ("/", name) for name in Programs.handlers
    }
    assert handled <= sent
    assert {event for example in EXAMPLES for event, _ in example.get("then", [])} == {
        "recv",
        "done",
        "error",
        "frame",
    }


def test_an_example_that_differs_is_found() -> None:
    """The comparison fails where something is missing or else."""
    assert not shows({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]})
    assert not shows({"a": 1}, {})
    assert not shows([1], [1, 2])
    assert not re.search(r'"RUN"', json.dumps(filled({"run": "RUN"}, "x")))
