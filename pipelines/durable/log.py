"""The log of one durable edge: batches in order, each kept until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.durable import scripts
from pipelines.durable.lease import DurableError, Lease
from pipelines.steps.redis.connecting import Server

__all__ = ["Batch", "Log"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some entries that lie on an edge one after the other.

    Attributes:
        id: of the log's own.
        first: the position of the first entry, counted from 0.
        count: how many entries there are.
        data: they, in whatever form the producer gave them.
    """

    id: str
    first: int
    count: int
    data: bytes


class Log:
    """The log of one durable edge, for the one run that produces and consumes it.

    It outlives that run, however it ends: the next one to `open` it goes on. Whatever was appended
    is read in order, and read again in the next run unless it was acknowledged; no position is ever
    appended twice. One task appends, one reads; any may acknowledge.

    Args:
        url: the server, such as ``redis://:password@localhost:6379/0``.
        key: names the graph and the edge; who says the same key means the same log.
        lease: seconds that this run may be silent before another one can take over.
        room: batches that may lie there; `append` waits for more to be acknowledged.
        patience: seconds for which the server may be away.

    Attributes:
        written: how many entries have ever been appended: the next position.
        ended: whether the producer has said that nothing comes any more.
        waiting: how many batches lie there that are not acknowledged.
        acknowledged: how many entries this run has acknowledged.
        redelivered: how many entries this run has read that an earlier one had read too.
        kept: up to which position of each root all that came of it was appended; see `append`.

    Raises:
        ValueError: an argument makes no sense.
        ImportError: redis is not installed.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        lease: float = 10.0,
        room: int = 64,
        patience: float = 30.0,
    ) -> None:
        if not 0 < lease < float("inf") or not 0 <= patience < float("inf") or room < 1:
            raise ValueError("lease is more than 0 s, patience 0 s or more, room 1 batch or more")
        self.written = 0
        self.ended = False
        self.waiting = 0
        self.acknowledged = 0
        self.redelivered = 0
        self.kept: dict[str, int] = {}
        self._key = key
        self._room = room
        self._server = Server(url, patience=patience)
        self._lease = Lease(self._server, key, lease, self._stir)
        self._next = 0  # the position to read from
        self._inherited = 0  # the position up to which an earlier run has written
        self._handed = 0  # and up to which one has read
        self._out: set[str] = set()
        self._moved = asyncio.Event()

    async def open(self) -> None:
        """Take the log over, from where the last run left it; wait for the lease of a dead one.

        Raises:
            LeaseHeldError: another run is at work on it.
            RedisError: the server is away, or refuses.
        """
        await self._server.__aenter__()
        try:
            facts = await self._lease.take()
            written, handed, total, waiting = map(int, facts[:4])
        except BaseException:
            await self._server.close()
            raise
        self.written, self.ended, self.waiting = written, total >= 0, waiting
        self._inherited, self._handed = written, handed
        self.kept = {
            root.decode(): int(position)
            for root, position in zip(facts[4::2], facts[5::2], strict=True)
        }

    async def append(
        self, first: int, count: int, data: bytes, up_to: tuple[str, int] | None = None
    ) -> bool:
        """Append a batch, once there is room; return `False` if all of it is there already.

        Cancelled, it may have appended all the same; the same call again then puts that right.

        Args:
            first: the position of its first entry.
            count: how many entries it has, 1 or more.
            data: they.
            up_to: what they were made of, as a root's name and the position behind that in it; the
                log notes both in the same step. A later run so knows where to go on.

        Raises:
            ValueError: some of it is there already; cut that off. It has no entries.
            DurableError: there would be a gap, or the log has ended.
            LeaseLostError: another run has taken over.
            RedisError: the server is away, or refuses.
        """
        if count < 1:
            raise ValueError(f"a batch has 1 entry or more, not {count}")
        if first + count <= self.written:
            return False
        self._refuse_misplaced(first)
        await self._until(lambda: self.waiting < self._room)
        sent = (first, count, _id(first), data, *(up_to or ()))
        written = int(await self._lease.run(scripts.APPEND, *sent))
        if written != first + count:
            raise self._torn(f"it holds {written} entries where there should be {first + count}")
        self.written = written
        self.waiting += 1
        if up_to is not None:
            self.kept[up_to[0]] = up_to[1]
        self._stir()
        return True

    async def end(self, total: int) -> None:
        """Say that nothing is appended any more; once said, it stays so.

        Raises:
            DurableError: not so many entries were appended.
            LeaseLostError, RedisError: as in `append`.
        """
        written = int(await self._lease.run(scripts.END, total))
        if written != total:
            raise self._torn(f"its producer ended after {total} entries, and it holds {written}")
        self.ended = True
        self._stir()

    def finish(self) -> None:
        """Append nothing more in this run; a later one may."""
        self.ended = True
        self._stir()

    async def read(self) -> Batch | None:
        """Wait for the next batch and return it; `None` where none comes any more.

        Raises:
            DurableError: batches have vanished from the server.
            LeaseLostError, RedisError: as in `append`.
        """
        while True:
            await self._until(lambda: self._next < self.written or self.ended)
            known = self.written
            if self._next >= known:
                return None
            found = await self._lease.run(scripts.NEXT, _id(self._next))
            if found:
                return self._hand_out(*found[0])
            self._go_to(known)

    async def ack(self, batch: Batch) -> None:
        """Say that a batch has had its effect, and is not to be read again.

        Raises:
            ValueError: it was not read here, or is acknowledged already.
            LeaseLostError, RedisError: as in `append`.
        """
        if batch.id not in self._out:
            raise ValueError(f"batch {batch.id} of {self._key!r} is not under way")
        await self._lease.run(scripts.ACKNOWLEDGE, batch.id)
        if batch.id in self._out:
            self._out.remove(batch.id)
            self.acknowledged += batch.count
            self.waiting -= 1
            self._stir()

    async def close(self, finished: bool) -> None:
        """Give the lease back; of a log that is finished leave nothing on the server.

        Raises:
            ValueError: it is not finished: it has not ended, or not all was acknowledged. Then all
                of it stays.
        """
        done = self.ended and not self.waiting
        try:
            await self._lease.release(remove=finished and done)
        finally:
            await self._server.close()
        if finished and not done:
            what = f"{self.waiting} batches are not acknowledged" if self.ended else "it has no end"
            raise ValueError(f"{self._key!r} is not finished: {what}")

    # Inside.

    def _refuse_misplaced(self, first: int) -> None:
        if self.ended:
            raise self._torn(f"it ended at {self.written}, and now comes position {first}")
        if first > self.written:
            raise self._torn(f"its next position is {self.written}, and {first} would leave a gap")
        if first < self.written:
            raise ValueError(f"cut off what is there: the next position is {self.written}")

    def _hand_out(self, name: bytes, fields: list[bytes]) -> Batch:
        held = dict(zip(fields[::2], fields[1::2], strict=True))
        key = name.decode()
        batch = Batch(key, _first(key), int(held[b"count"]), held[b"data"])
        self._go_to(batch.first)
        self._next = batch.first + batch.count
        self._out.add(key)
        if batch.first < self._handed:
            self.redelivered += batch.count
        return batch

    def _go_to(self, position: int) -> None:
        """Read on there: an earlier run has acknowledged what lies between, this one can't have."""
        if position > max(self._next, self._inherited):
            raise self._torn(f"what was appended from {self._next} to {position} has vanished")
        self._next = position

    def _torn(self, what: str) -> DurableError:
        return DurableError(
            f"the durable log {self._key!r} at {self._server.url} does not fit: {what}. If its "
            "graph or its source was changed, start anew under another name"
        )

    async def _until(self, holds: Callable[[], bool]) -> None:
        while True:
            self._lease.check()
            if holds():
                return
            await self._moved.wait()

    def _stir(self) -> None:
        """Let all who wait look again."""
        self._moved.set()
        self._moved = asyncio.Event()


def _id(first: int) -> str:
    return f"{first + 1}-0"  # 0-0 is none


def _first(key: str) -> int:
    return int(key.partition("-")[0]) - 1
