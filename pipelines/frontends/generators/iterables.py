"""What pipelines of iterators often need, and `itertools` has not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

__all__ = ["chunk", "consume", "flatten", "recursive_flatten"]

T = TypeVar("T")


def chunk(chunk_size: int = 32) -> Callable[[Iterable[T]], Iterator[list[T]]]:
    """Return a step that gathers items into lists of `chunk_size`; the last one may be shorter.

    Raises:
        ValueError: `chunk_size` is below 1.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is a number of items from 1, not {chunk_size!r}")

    def chunk(iterator: Iterable[T]) -> Iterator[list[T]]:
        items = iter(iterator)
        while gathered := list(islice(items, chunk_size)):
            yield gathered

    return chunk


def flatten(iterator: Iterable[Iterable[T]]) -> Iterator[T]:
    """Give the elements of each item, one level deep: what `chunk` gathered, item by item."""
    return chain.from_iterable(iterator)


def recursive_flatten(elements: Iterable[Any]) -> Iterator[Any]:
    """Give the elements of each item at every depth; text and bytes stay whole."""
    for element in elements:
        if isinstance(element, Iterable) and not isinstance(element, str | bytes | bytearray):
            yield from recursive_flatten(element)
        else:
            yield element


def consume(iterator: Iterable[Any], n: int | None = None) -> None:
    """Pull all items of an iterator, or `n` of them, and forget them.

    Raises:
        ValueError: `n` is negative.
    """
    if n is None:
        deque(iterator, maxlen=0)  # the quickest way there is
    else:
        next(islice(iterator, n, n), None)
