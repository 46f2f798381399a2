"""How much of everything there may be, and the error that names the limit which was met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any

from pipelines.errors import Problem

__all__ = ["Limits", "flag_of", "over"]


def _limit(default: float, what: str) -> Any:
    return field(default=default, metadata={"what": what})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server allows; each is a flag ``--limit-…`` of ``plumber serve`` too.

    Sizes are in bytes of UTF-8 JSON (or of YAML), times in seconds.
    """

    nodes: int = _limit(50, "nodes of a graph")
    edges: int = _limit(200, "edges of a graph")
    args_bytes: int = _limit(16_000, "bytes of one node's arguments")
    yaml_bytes: int = _limit(64_000, "bytes of a graph as YAML")
    message_bytes: int = _limit(256_000, "bytes of one message; a longer one ends the connection")
    queue: int = _limit(1_000, "items that an edge or a batch may hold")
    concurrency: int = _limit(100, "calls that a node may have under way")
    threads: int = _limit(8, "threads of a run (executor: thread)")
    processes: int = _limit(0, "worker processes of a run (executor: process)")
    client_runs: int = _limit(1, "runs that a client may have at a time")
    runs: int = _limit(100, "runs at a time, of all clients")
    seconds: float = _limit(120.0, "seconds that a run may take")
    items: int = _limit(1_000_000, "items that may come to a node, or be given out, in a run")
    item_bytes: int = _limit(256_000, "bytes of an item that is sent to a program")
    push_items: int = _limit(100, "items of one push")
    sockets: int = _limit(200, "clients at a time")
    events_per_second: int = _limit(100, "events a second of one client; more ends the connection")
    handshake: float = _limit(10.0, "seconds in which a client must have connected")
    grace: float = _limit(30.0, "seconds that a run goes on after its client was lost")
    stall: float = _limit(30.0, "seconds for which a client may read nothing that waits for it")

    def described(self) -> Iterator[tuple[Field[Any], str]]:
        """Yield each limit with what it bounds, in words."""
        for each in fields(self):
            yield each, each.metadata["what"]

    def to_client(self) -> dict[str, float]:
        """Return what a client should know before it sends something."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def flag_of(name: str) -> str:
    """Return the flag that sets a limit."""
    return f"--limit-{name.replace('_', '-')}"


def over(
    limits: Limits, name: str, got: object, path: tuple[str | int, ...] = (), who: str = ""
) -> Problem:
    """Return the problem of having more than the limit `name` allows.

    Args:
        limits: those in force.
        name: a field of them.
        got: how much there was.
        path: where in the document.
        who: what has too much, for the message.
    """
    what = next(words for each, words in limits.described() if each.name == name)
    allowed = getattr(limits, name)
    whose = f"{who}: " if who else ""
    message = (
        f"{whose}{got:,} is too much; the limit is {allowed:,} {what}."
        if isinstance(got, int | float)
        else f"{whose}{got}; the limit is {allowed:,} {what}."
    )
    return Problem("limit", message, path, f"The server's {flag_of(name)} sets it.")
