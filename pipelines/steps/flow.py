"""Steps that change what flows, not what is in it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from pipelines.registry import steps
from pipelines.step import SKIP, Skip

__all__ = ["batch", "dedupe", "flatten", "sample", "tee_count", "throttle"]

Item = TypeVar("Item")
_log = logging.getLogger(__name__)


@steps.register("batch")
def batch(items: list[Any]) -> list[Any]:
    """Pass on lists of items, as the node's `batch` property gathers them.

    A step sees one item at a time and not the end of the stream, so it can't gather by itself::

        chunks: {func: batch, properties: {batch: {size: 100, timeout: 1s}}}

    Any other step takes the property just as well, and is then called with the list.

    Returns:
        The list: `size` items, or fewer at the end and where `timeout` has passed.

    Raises:
        TypeError: the node has no `batch` property.
    """
    if not isinstance(items, list):
        raise TypeError("batch needs the node's property: {batch: {size: 100}}")
    return items


@steps.register("flatten")
def flatten(item: Any) -> Iterator[Any]:
    """Pass on each element of an item, one after the other.

    Only one level is opened. Strings, bytes, mappings and what is not iterable go on as they are.

    Yields:
        The elements in their order; nothing for an empty item.
    """
    if isinstance(item, Iterable) and not isinstance(item, str | bytes | bytearray | Mapping):
        yield from item
    else:
        yield item


@steps.register("dedupe")
class dedupe:  # noqa: N801  # a step is named as graphs spell it
    """Pass on an item the first time it is seen, and skip it afterwards.

    Args:
        key: compare only what mappings hold under this key; by default the whole item, which must
            then be hashable (a dict is not).
        limit: how many items to remember, some 100 bytes each and their own size. Beyond it the
            one not seen for longest is forgotten, and would pass again.

    Returns:
        The item, or `SKIP`.

    Raises:
        KeyError: an item has nothing under `key`.
        TypeError: an item, or what is under its `key`, is not hashable.
    """

    def __init__(self, key: str | None = None, limit: int = 1_000_000) -> None:
        if limit < 1:
            raise ValueError(f"limit is a number of items from 1, not {limit!r}")
        self._key = key
        self._limit = limit
        self._seen: OrderedDict[Any, None] = OrderedDict()

    def __call__(self, item: Item) -> Item | Skip:
        """Return the item if it is new."""
        value: Any = item if self._key is None else item[self._key]  # type: ignore[index]
        if self._is_new(value):
            return item
        self._seen.move_to_end(value)
        return SKIP

    def _is_new(self, value: Any) -> bool:
        try:
            if value in self._seen:
                return False
        except TypeError as error:
            kind = type(value).__name__
            raise TypeError(f"dedupe can't compare by a {kind}: say a `key`, or another") from error
        self._seen[value] = None
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return True


@steps.register("sample")
class sample:  # noqa: N801  # a step is named as graphs spell it
    """Pass on a share of the items, the same ones on every run, and skip the rest.

    Say one of the two:

    Args:
        every: pass on the first of every so many items.
        fraction: pass on each item with this probability, 0 to 1.
        seed: of the random numbers that `fraction` draws.

    Returns:
        The item, or `SKIP`.
    """

    def __init__(
        self, every: int | None = None, fraction: float | None = None, seed: int = 0
    ) -> None:
        if (every is None) == (fraction is None):
            raise ValueError("sample takes either `every` or `fraction`")
        if every is not None and every < 1:
            raise ValueError(f"every is a number of items from 1, not {every!r}")
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"fraction is between 0 and 1, not {fraction!r}")
        self._every = every
        self._fraction = fraction
        self._count = 0
        self._random = random.Random(seed)

    def __call__(self, item: Item) -> Item | Skip:
        """Return the item if it is chosen."""
        return item if self._chosen() else SKIP

    def _chosen(self) -> bool:
        if self._every is None:
            return self._random.random() < (self._fraction or 0.0)
        self._count += 1
        return (self._count - 1) % self._every == 0


@steps.register("throttle")
class throttle:  # noqa: N801  # a step is named as graphs spell it
    """Pass items on no faster than a rate, evenly spaced.

    The property ``rate_limit: 20/s`` does that for the calls of any node, and is what protects a
    service that a step calls. Use this step to slow down a stream where no such node is: a replay,
    a demonstration, an edge to several nodes.

    Args:
        per_second: items a second; 0.5 is one every two seconds.

    Returns:
        The item.
    """

    def __init__(self, per_second: float) -> None:
        if not per_second > 0:
            raise ValueError(f"per_second is more than 0, not {per_second!r}")
        self._gap = 1 / per_second
        self._next = 0.0

    async def __call__(self, item: Item) -> Item:
        """Return the item when its turn has come."""
        now = asyncio.get_running_loop().time()
        slot = max(now, self._next)
        self._next = slot + self._gap
        await asyncio.sleep(slot - now)
        return item


@steps.register("tee_count")
class tee_count:  # noqa: N801  # a step is named as graphs spell it
    """Pass items on, count them, and log the total at the end of the run, at level INFO.

    Args:
        label: what the items are called in the log.
        every: log the count so far after each so many items as well.

    Returns:
        The item.
    """

    def __init__(self, label: str = "items", every: int | None = None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"every is a number of items from 1, not {every!r}")
        self._label = label
        self._every = every
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __call__(self, item: Item) -> Item:
        """Count the item."""
        self._count += 1
        if self._every is not None and self._count % self._every == 0:
            _log.info("%s: %d so far", self._label, self._count)
        return item

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _log.info("%s: %d in all", self._label, self._count)
