"""A source that reads a stream, its work shared with the other consumers of a group."""

from __future__ import annotations

import math
import os
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator
from typing import Literal

from pipelines.registry import steps
from pipelines.steps.redis.connecting import Server
from pipelines.steps.redis.entries import Entry
from pipelines.steps.redis.membership import Member

__all__ = ["redis_read"]

_LONGEST = 365 * 86_400.0


@steps.register("redis_read")
async def redis_read(
    url: str,
    stream: str,
    group: str = "plumber",
    consumer: str | None = None,
    start: str = "0",
    ack: Literal["later", "on_read"] = "later",
    count: int = 100,
    block: float = 1.0,
    claim_after: float = 60.0,
    stop_when_empty: bool = False,
    idle: float | None = None,
    end: str | None = None,
    patience: float = 30.0,
) -> AsyncIterator[Entry]:
    """Read a Redis stream as one consumer of a group.

    Each entry goes to one consumer of the group, and stays *pending* until it is acknowledged. What
    a consumer has had for longer than `claim_after` is taken over by another one. So with
    `redis_ack` behind the effect each entry has its effect at least once, whoever dies; with
    ``ack: on_read`` at most once, as an entry is acknowledged before it is sent on.

    It goes on until the run is drained, unless `stop_when_empty`, `idle` or `end` says otherwise.

    Args:
        url: the server, such as ``redis://:password@localhost:6379/0``.
        stream: the name of the stream; an empty one is made where there is none.
        group: the name of the group; it is made where there is none.
        consumer: the name of this consumer, by default a new one for each run. One that had the
            same name before goes on with what it had pending, so no two at work may share it.
        start: where a new group begins: ``0`` with the oldest entry, ``$`` with the next one to
            come, or behind the entry of that ID.
        ack: ``later``, by `redis_ack`, or ``on_read``.
        count: entries to fetch at a time.
        block: seconds to wait for entries before looking for some to take over.
        claim_after: seconds after which another consumer's entry is taken over; it should be more
            than an item takes from here to `redis_ack`.
        stop_when_empty: end as soon as there is nothing to read or to take over.
        idle: end when for so many seconds nothing has come.
        end: end at an entry that has this field, and acknowledge it; what lies behind it is left
            to the next reader.
        patience: seconds for which the server may be away.

    Yields:
        An `Entry`: a mapping of what the field ``data`` holds as JSON, where there is no other, or
        of all fields to their text; ``{data: value}`` where that is no mapping.

    Raises:
        RedisError: the server refuses; a `RedisUnreachableError` where it is away for longer than
            `patience`.
        ValueError: an argument makes no sense.
        ImportError: redis is not installed.
    """
    _refuse_odd(ack, start, count, block, claim_after, stop_when_empty, idle, patience)
    idle = 0.0 if stop_when_empty else idle
    name = consumer or _new_name()
    async with (
        Server(url, patience=patience, wait=block) as server,
        Member(server, stream, group, name, str(start), claim_after, count) as member,
    ):
        async for entry in _entries(member, block, math.inf if idle is None else idle):
            is_end = end is not None and end in entry
            if is_end or ack == "on_read":
                await member.acknowledge(entry)
            if is_end:
                return
            yield entry


#: A later run reads what is new; a durable edge need not leave anything out, see `engines.hosted`.
redis_read.resumes = True  # type: ignore[attr-defined]


async def _entries(member: Member, block: float, idle: float) -> AsyncIterator[Entry]:
    """Give what comes, until nothing has come for `idle` seconds."""
    quiet_since = time.monotonic()
    while True:
        entry = await member.next(min(block, quiet_since + idle - time.monotonic()))
        if entry is not None:
            yield entry
            quiet_since = time.monotonic()  # who waits here is not waiting for entries
        elif time.monotonic() - quiet_since >= idle:
            return


def _new_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _refuse_odd(
    ack: str,
    start: str,
    count: int,
    block: float,
    claim_after: float,
    stop_when_empty: bool,
    idle: float | None,
    patience: float,
) -> None:
    if ack not in ("later", "on_read"):
        raise ValueError(f"ack is 'later' or 'on_read', not {ack!r}")
    if not re.fullmatch(r"\$|\d+(-\d+)?", str(start)):
        raise ValueError(f"start is 0, $ or the ID of an entry, not {start!r}")
    if count < 1:
        raise ValueError(f"count is a number of entries, 1 or more, not {count!r}")
    if stop_when_empty and idle is not None:
        raise ValueError("stop_when_empty and idle are two ways to end: say one of them")
    times = {"block": block, "claim_after": claim_after, "idle": idle, "patience": patience}
    for name, value in times.items():
        if value is not None and not 0 <= value < _LONGEST:
            raise ValueError(f"{name} is in seconds, 0 or more, not {value!r}")
    if not block:
        raise ValueError("block is in seconds, more than 0: with 0 it would ask all the time")
