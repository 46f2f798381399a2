"""A step that tells a stream's group that entries are done with."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from pipelines.errors import shorten
from pipelines.registry import steps
from pipelines.steps.redis.connecting import RedisError, Server
from pipelines.steps.redis.entries import Entry

__all__ = ["redis_ack"]

_log = logging.getLogger(__name__)


@steps.register("redis_ack")
class redis_ack:  # noqa: N801  # a step is named as graphs spell it
    """Acknowledge entries of `redis_read`, once what they are for has been done.

    Put it behind the node whose effect counts. Where that gives its item on, the entry comes from
    there; where it gives something else, make this node a join of the source and that node, so
    that each entry comes together with what was made of it.

    Args:
        url: the server that they were read from.
        delete: remove acknowledged entries from the stream too, which other groups can then no
            longer read.

    Returns:
        The entry; of a batch, the list.

    Raises:
        RedisError: there is no entry in what came, or the server refuses; a
            `RedisUnreachableError` where it is away.
        ValueError: the URL is none of a Redis server.
        ImportError: redis is not installed.
    """

    def __init__(self, url: str, delete: bool = False) -> None:
        self._server = Server(url)
        self._delete = delete
        self._strange = 0

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.close()
        if self._strange:
            _log.warning(
                "%d entries were not pending at %s: acknowledged before, taken over by another "
                "consumer and done there, or read from another server",
                self._strange,
                self._server.url,
            )

    async def __call__(self, item: Any, *others: Any) -> Any:
        """Acknowledge the entries in one item or in a join's row."""
        entries = list(_entries((item, *others)))
        if not entries:
            raise RedisError(
                f"redis_ack got no entry of redis_read, but {shorten(item, 60)}: lead an edge "
                "from the source to it too, so that it gets each entry together with its result"
            )
        for (stream, group), some in itertools.groupby(sorted(entries, key=_place), key=_place):
            ids = [entry.id for entry in some]
            known = await self._server.ask(
                functools.partial(self._acknowledge, stream, group, ids), stream
            )
            self._strange += len(ids) - known
        return item if isinstance(item, list) else entries[0]

    async def _acknowledge(self, stream: str, group: str, ids: Sequence[str]) -> int:
        async with self._server.client.pipeline(transaction=True) as pipe:
            pipe.xack(stream, group, *ids)
            if self._delete:
                pipe.xdel(stream, *ids)
            known: int = (await pipe.execute())[0]
        return known


def _place(entry: Entry) -> tuple[str, str]:
    return entry.stream, entry.group


def _entries(value: Any) -> Iterator[Entry]:
    """Find the entries in a join's row, and in a batch."""
    if isinstance(value, Entry):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _entries(part)
