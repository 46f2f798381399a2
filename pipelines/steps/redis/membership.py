"""A consumer of a stream's group: what it fetches, takes over, and gives back."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from pipelines.steps.redis.connecting import RedisError, Server
from pipelines.steps.redis.entries import Entry, decoded

__all__ = ["Member"]

T = TypeVar("T")

_NEW = ">"  # where to read on: with what no consumer of the group has had

_Found = tuple[bytes, Mapping[bytes, bytes]]  # an ID, and the fields, none where it was deleted

# Forget consumers without anything pending: a live one is made again at its next read.
_FORGET = """
local quiet = tonumber(ARGV[2])
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local of = {}
    for i = 1, #facts, 2 do of[facts[i]] = facts[i + 1] end
    if of.pending == 0 and (of.idle >= quiet or of.name == ARGV[3]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    end
end
"""

# Make what is still this consumer's look as if nobody had touched it since 1970.
_GIVE_BACK = """
for i = 3, #ARGV do
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) == 1 then
        redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'TIME', 0, 'JUSTID')
    end
end
"""


class Member:
    """One consumer of one group, from entering to leaving.

    On entering the stream and the group are made where they are missing. On leaving, what was
    fetched but never asked for goes back, for any consumer to take over at once.

    Args:
        server: where the stream is.
        stream, group, consumer: their names.
        start: the ID behind which a new group begins, or ``$`` for the end of the stream.
        claim_after: seconds after which what another consumer has is taken over.
        count: entries to fetch at a time.
    """

    def __init__(
        self,
        server: Server,
        stream: str,
        group: str,
        consumer: str,
        start: str,
        claim_after: float,
        count: int,
    ) -> None:
        self._server = server
        self._client: Any = server.client
        self._stream = stream
        self._group = group
        self._name = consumer
        self._start = start
        self._idle = round(claim_after * 1000)
        self._count = count
        self._waiting: deque[Entry] = deque()
        self._after = "0"  # first what a consumer of this name had pending
        self._last = "0-0"  # the newest ID that has come
        self._claiming: set[bytes] = set()
        self._looked = 0.0  # when there was a look for entries to take over

    async def __aenter__(self) -> Self:
        await self._ask(self._join)
        await self._run(_FORGET, self._idle, "")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What does not get back now is taken over later.
        with contextlib.suppress(RedisError):
            ids = [entry.id for entry in self._waiting]
            await self._run(_GIVE_BACK, self._name, *ids, patience=0)
            await self._run(_FORGET, self._idle, self._name, patience=0)

    async def next(self, wait: float) -> Entry | None:
        """Return the next entry; `None` where none comes within `wait` seconds."""
        if not self._waiting:
            self._take_in(await self._ask(functools.partial(self._fetch, wait)))
            if not self._waiting or time.monotonic() - self._looked >= self._idle / 1000:
                self._take_in(await self._ask(self._take_over))
                self._looked = time.monotonic()
        return self._waiting.popleft() if self._waiting else None

    async def acknowledge(self, entry: Entry) -> None:
        """Say that the entry is done with."""
        await self._ask(lambda: self._client.xack(self._stream, self._group, entry.id))

    async def _ask(self, make: Callable[[], Awaitable[T]]) -> T:
        return await self._server.ask(make, self._stream)

    async def _run(self, script: str, *arguments: Any, patience: float | None = None) -> None:
        send = functools.partial(
            self._client.eval, script, 1, self._stream, self._group, *arguments
        )
        await self._server.ask(send, self._stream, patience=patience)

    async def _join(self) -> None:
        from redis.exceptions import ResponseError

        try:
            await self._client.xgroup_create(self._stream, self._group, self._start, mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    # What comes.

    async def _fetch(self, wait: float) -> list[Entry]:
        """Return what is pending here although it never came, else what is new."""
        while self._after != _NEW:
            found = await self._read(self._after, None)
            self._after = found[-1][0].decode() if found else _NEW
            if some := self._entries(found):
                return some
        self._after = self._last  # should the answer get lost, it is pending behind that
        found = await self._read(_NEW, math.ceil(wait * 1000) if wait > 0 else None)
        self._after = _NEW
        return self._entries(found)

    async def _read(self, after: str, block: int | None) -> list[_Found]:
        reply = await self._client.xreadgroup(
            self._group, self._name, {self._stream: after}, self._count, block
        )
        found = [each for _, some in reply or () for each in some]
        if gone := [name for name, fields in found if not fields]:  # deleted, or trimmed
            await self._client.xack(self._stream, self._group, *gone)
        return found

    async def _take_over(self) -> list[Entry]:
        """Return what other consumers have had for too long."""
        wanted = await self._neglected()
        if not wanted:
            return []
        self._claiming.update(wanted)  # where the answer gets lost these are ours, but not here
        found = await self._client.xclaim(self._stream, self._group, self._name, self._idle, wanted)
        self._claiming.difference_update(wanted)
        return self._entries(found)

    async def _neglected(self) -> list[bytes]:
        """Find IDs to take over; not our own, which are only on their way."""
        low = "-"
        while True:
            page = await self._client.xpending_range(
                self._stream, self._group, low, "+", self._count, idle=self._idle
            )
            ids = [each["message_id"] for each in page if self._is_neglected(each)]
            if ids or len(page) < self._count:
                return ids
            low = f"({page[-1]['message_id'].decode()}"

    def _is_neglected(self, pending: Mapping[str, Any]) -> bool:
        mine = pending["consumer"].decode() == self._name
        return not mine or pending["message_id"] in self._claiming

    def _entries(self, found: Iterable[_Found]) -> list[Entry]:
        return [
            Entry(decoded(fields), name.decode(), self._stream, self._group)
            for name, fields in found
            if fields
        ]

    def _take_in(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._waiting.append(entry)
            self._last = max(self._last, entry.id, key=_order)


def _order(entry: str) -> tuple[int, ...]:
    return tuple(map(int, entry.split("-")))
