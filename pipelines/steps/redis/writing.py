"""A step that writes items to a stream."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from pipelines.errors import shorten
from pipelines.registry import steps
from pipelines.steps.redis.connecting import RedisError, Server
from pipelines.steps.redis.entries import FIELD, encoded

__all__ = ["redis_write"]

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

_DAY = 86_400.0

# KEYS: the stream, and where items have keys, what remembers each. ARGV: the length of the stream,
# the milliseconds to remember for, and the items. The entry comes first: where it can't be written,
# its key must not be remembered.
_WRITE = f"""
local duplicates = 0
for i = 3, #ARGV do
    local seen = KEYS[i - 1]
    if seen and redis.call('EXISTS', seen) == 1 then
        duplicates = duplicates + 1
    else
        if ARGV[1] == '' then
            redis.call('XADD', KEYS[1], '*', '{FIELD}', ARGV[i])
        else
            redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', '{FIELD}', ARGV[i])
        end
        if seen then redis.call('SET', seen, '', 'PX', ARGV[2]) end
    end
end
return duplicates
"""


@steps.register("redis_write")
class redis_write:  # noqa: N801  # a step is named as graphs spell it
    """Write each item to a Redis stream, as JSON in the field ``data``.

    A list, such as the node's `batch` gathers, is an entry for each of its items, all of them
    written in one go or none.

    With a `key` an item is written once, however often it comes: the server looks the key up and
    writes in one step. So worth trying again, and without a `key` at the risk of a duplicate, are::

        retry: {attempts: 4, on: [RedisUnreachableError]}

    Args:
        url: the server, such as ``redis://:password@localhost:6379/0``.
        stream: the name of the stream; it is made where there is none.
        key: what tells one item from another: a field of items that are mappings, or a path to it
            such as ``order.id``. By default duplicates are written too.
        maxlen: about how many entries to keep: the oldest go, read or not. By default all stay.
        remember: seconds for which a key is remembered, which bounds the server's memory.

    Returns:
        The item, also where it was a duplicate.

    Raises:
        RedisError: the server refuses, JSON can't say the item, or it lacks the `key`; a
            `RedisUnreachableError` where the server is away.
        ValueError: an argument makes no sense.
        ImportError: redis is not installed.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        key: str | None = None,
        maxlen: int | None = None,
        remember: float = _DAY,
    ) -> None:
        _refuse_odd(key, maxlen, remember)
        self._server = Server(url)
        self._stream = stream
        self._path = None if key is None else key.split(".")
        self._limit = "" if maxlen is None else str(maxlen)
        self._remember = max(1, round(remember * 1000))
        self._script = self._server.client.register_script(_WRITE)
        self._duplicates = 0

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
        if self._duplicates:
            _log.info("%s: %d duplicates left out", self._stream, self._duplicates)

    async def __call__(self, item: Item) -> Item:
        """Write one item, or a list of them."""
        items: Sequence[Any] = item if isinstance(item, list) else [item]
        if items:
            arguments: list[Any] = [self._limit, self._remember, *map(encoded, items)]
            keys = [self._stream, *self._memories(items)]
            send = functools.partial(self._script, keys=keys, args=arguments)
            # Not `+= await`, which would add to what the count was before other calls.
            duplicates = await self._server.ask(send, self._stream)
            self._duplicates += duplicates
        return item

    def _memories(self, items: Sequence[Any]) -> list[str]:
        """Return the names of what remembers the items, on the same server of a cluster."""
        if self._path is None:
            return []
        return [f"{{{self._stream}}}:seen:{_digest(_held(item, self._path))}" for item in items]


def _refuse_odd(key: str | None, maxlen: int | None, remember: float) -> None:
    if key is not None and not all(key.split(".")):
        raise ValueError(f"key is a field, or a path such as order.id, not {key!r}")
    if maxlen is not None and maxlen < 1:
        raise ValueError(f"maxlen is a number of entries, 1 or more, not {maxlen!r}")
    if not 0 < remember < float("inf"):
        raise ValueError(f"remember is in seconds, more than 0, not {remember!r}")


def _held(item: Any, path: Sequence[str]) -> Any:
    found = item
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            wanted = ".".join(path)
            raise RedisError(f"redis_write's key is {wanted!r}; {shorten(item, 60)} has none")
        found = found[name]
    return found


def _digest(value: Any) -> str:
    """Return a name of fixed length for any value that JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
