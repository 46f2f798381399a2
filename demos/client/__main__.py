"""Run a graph on a live server, and print what it gives.

    python demos/client graph.json             each result as a line of JSON
    python demos/client --watch graph.yaml     the same, with live counters
    python demos/client --check graph.yaml     what is wrong with it
    python demos/client --steps                what the server offers

Results go to stdout, everything else to stderr. It exits with 0 if the run ended well, 1 if it did
not, 69 if the server can't be reached or does not let you in, and 78 if the graph is invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Self

import socketio

FAILED, NO_SERVER, BAD_GRAPH = 1, 69, 78
ENDED_WELL = ("done", "drained")


def say(*words: object) -> None:
    """Print something that is no result."""
    print(*words, file=sys.stderr)


def complain(errors: list[dict[str, Any]]) -> None:
    """Print what the server found wrong."""
    for error in errors:
        place = ".".join(map(str, error["path"]))
        say(f"{place}: {error['message']} {error['hint']}".removeprefix(": ").rstrip())


class Refused(Exception):
    """The server refused a request, and says why."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


class Client:
    """A connection to one namespace of a server."""

    def __init__(self, url: str, namespace: str, token: str | None) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._url = url
        self._namespace = namespace
        self._auth = {"token": token} if token else None
        self._socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        for event in ("recv", "done", "error", "frame", "disconnect"):
            self._socket.on(event, self._keep(event), namespace=namespace)

    def _keep(self, event: str) -> Any:
        def keep(data: Any = None) -> None:
            self.events.put_nowait((event, data))

        return keep

    async def __aenter__(self) -> Self:
        await self._socket.connect(
            self._url, auth=self._auth, namespaces=[self._namespace], transports=["websocket"]
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._socket.disconnect()

    async def emit(self, event: str, data: Any) -> None:
        """Send an event that needs no answer."""
        await self._socket.emit(event, data, namespace=self._namespace)

    async def ask(self, event: str, **data: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            Refused: the server says no.
        """
        answer: dict[str, Any] = await self._socket.call(event, data, namespace=self._namespace)
        if not answer["ok"]:
            raise Refused(answer["errors"])
        return answer


async def receive(client: Client, graph: Any) -> int:
    """Run a graph over the simple protocol: one event there, many back."""
    await client.emit("process_msg", graph)
    while True:
        event, data = await client.events.get()
        if event == "recv":
            print(json.dumps(data), flush=True)
        elif event == "done":
            say(f"the run ended: {data['reason']}")
            return 0
        elif event == "error":
            complain(data["errors"])
            return FAILED
        else:
            say("the connection was lost")
            return NO_SERVER


async def watch(client: Client, graph: Any) -> int:
    """Run a graph over the editor's protocol; the server waits for each frame to be asked for."""
    run = (await client.ask("run", graph=graph, preview="all"))["run"]
    await client.ask("credit", run=run, n=1)
    while True:
        event, data = await client.events.get()
        if event == "frame":
            show(data)
            await client.ask("credit", run=run, n=1)
        elif event == "done":
            if "error" in data:
                complain([data["error"]])
            say(f"the run ended after {data['seconds']:.1f} s: {data['reason']}")
            return 0 if data["reason"] in ENDED_WELL else FAILED
        elif event == "disconnect":
            say("the connection was lost")
            return NO_SERVER


def show(frame: dict[str, Any]) -> None:
    """Print the items of a frame, and where the nodes are."""
    for item in frame["items"]:
        print(item["node"], item["text"], sep="\t", flush=True)
    counts = (f"{name} {node['received']} {node['state']}" for name, node in frame["nodes"].items())
    say(f"{frame['t']:6.1f} s ", " · ".join(counts))


async def check(client: Client, graph: Any) -> int:
    """Say what is wrong with a graph."""
    answer = await client.ask("validate", graph=graph)
    complain(answer["problems"] + answer["warnings"])
    return BAD_GRAPH if answer["problems"] else 0


async def steps(client: Client) -> int:
    """Say what the server offers."""
    for step in (await client.ask("hello", proto=1))["steps"]:
        arguments = ", ".join(step["args"]["properties"])
        print(
            f"{step['name']}({arguments})", step["kind"], step["doc"].partition("\n")[0], sep="\t"
        )
    return 0


async def act(options: argparse.Namespace, text: str) -> int:
    """Do what the command line says with a graph's text."""
    simple = not (options.watch or options.check or options.steps)
    async with Client(options.url, "/" if simple else "/v1", options.token) as client:
        if options.steps:
            return await steps(client)
        if simple:
            return await receive(client, json.loads(text) if text.startswith("{") else text)
        graph = (await client.ask("import", yaml=text))["graph"]
        return await (check if options.check else watch)(client, graph)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser("client", description="Run a graph on a live server.")
    parser.add_argument("graph", nargs="?", help="a file, JSON or YAML")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="default: %(default)s")
    parser.add_argument("--token", default=os.environ.get("PLUMBER_SERVE_TOKEN"))
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--watch", action="store_true", help="show live counters")
    kinds.add_argument("--check", action="store_true", help="say what is wrong with the graph")
    kinds.add_argument("--steps", action="store_true", help="say what the server offers")
    options = parser.parse_args()
    if options.graph is None and not options.steps:
        parser.error("which graph?")
    try:
        text = Path(options.graph).read_text(encoding="utf-8") if options.graph else ""
        return asyncio.run(act(options, text))
    except Refused as refused:
        complain(refused.errors)
        return BAD_GRAPH
    except socketio.exceptions.ConnectionError as error:
        say(f"{options.url} can't be reached, or does not let you in: {error}")
        return NO_SERVER
    except OSError as error:
        say(f"{error.filename}: {error.strerror}")
        return FAILED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
