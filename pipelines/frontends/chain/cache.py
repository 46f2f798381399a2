"""Results that are kept, in memory or in a folder, so that nothing is computed twice."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

from pipelines.errors import describe
from pipelines.frontends.chain.identity import code_of, key_of
from pipelines.frontends.chain.store import MEMORY, Folder, Store, Turns
from pipelines.step import Later

__all__ = ["Memo"]

logger = logging.getLogger(__name__)

_MISS: Final = object()
_TURNS: Turns[asyncio.Lock] = Turns(asyncio.Lock)


class Memo:
    """Keeps the results of one step.

    A hit is a copy of what was computed, so that nobody can change it for the next one. What
    raises is not kept, nor is `Later`. One key is computed once at a time.

    Args:
        where: true for memory, or the path of a folder.
        target: the step.
        args: its arguments.

    """

    def __init__(self, where: Literal[True] | str, target: Any, args: Mapping[str, Any]) -> None:
        self._store: Store = MEMORY if where is True else Folder(where)
        self._name = getattr(target, "__qualname__", type(target).__qualname__)
        self._code = code_of(target)
        self._args = dict(args)

    def recall(self, function: Callable[[Any], Any], row: tuple[Any, ...]) -> Any:
        """Return the result for a row, from the store if it is there.

        Raises:
            TypeError: the row can't be compared; see `key_of`.
        """
        key = key_of(self._code, self._args, row)
        with self._store.turn(key):
            value = self._load(key)
            if value is _MISS:
                value = function(row)
                self._save(key, value)
        return value

    async def recall_async(
        self, function: Callable[[Any], Awaitable[Any]], row: tuple[Any, ...]
    ) -> Any:
        """Return the result for a row; where the store is a folder, a thread reads and writes it.

        Raises:
            TypeError: the row can't be compared; see `key_of`.
        """
        key = key_of(self._code, self._args, row)
        async with _TURNS.of((asyncio.get_running_loop(), key)):
            value = await asyncio.to_thread(self._load, key)
            if value is _MISS:
                value = await function(row)
                await asyncio.to_thread(self._save, key, value)
        return value

    def _load(self, key: str) -> Any:
        try:
            kept = self._store.get(key)
            return _MISS if kept is None else pickle.loads(kept)
        except Exception as error:  # unpickling may raise anything
            logger.warning(
                "a cached result of %s can't be read, and is computed again: %s",
                self._name,
                describe(error),
            )
            return _MISS

    def _save(self, key: str, value: Any) -> None:
        if isinstance(value, Later):
            return
        try:
            self._store.put(key, pickle.dumps(value, protocol=5))
        except Exception as error:  # so may pickling; the result itself is good
            logger.warning("a result of %s can't be cached: %s", self._name, describe(error))
