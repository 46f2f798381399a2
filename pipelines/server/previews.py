"""Items as text for a person, and as JSON for a program."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from typing import Any

from pipelines.server.limits import flag_of
from pipelines.server.refusal import Refusal, refuse

__all__ = ["LENGTH", "preview", "to_json"]

#: Characters of a preview.
LENGTH = 200

_DEPTH = 64  # of lists and mappings within each other, in an item that goes out as JSON


class _Preview(reprlib.Repr):
    """Shows enough of an item to know it by, however large it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 8
        self.maxstring = self.maxother = self.maxlong = LENGTH


_PREVIEW = _Preview()


def preview(item: Any) -> str:
    """Return an item as at most `LENGTH` characters of text."""
    try:
        text = _PREVIEW.repr(item)
    except Exception as error:
        text = f"<{type(item).__name__} that can't be shown: {type(error).__name__}>"
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def to_json(item: Any, limit: int) -> Any:
    """Return an item as plain JSON data: tuples as lists, NaN as null, what else there is as repr.

    Args:
        item: anything.
        limit: bytes of JSON that it may take.

    Raises:
        Refusal: it takes more, or is nested too deeply.
    """
    budget = _Budget(limit)
    value = budget.plain(item, 0)
    if len(json.dumps(value)) > limit:
        raise budget.spent()
    return value


class _Budget:
    """Converts an item, and stops where it is too large to be sent: it may share its parts."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def spent(self) -> Refusal:
        """Return the refusal of an item that is too large."""
        what = f"a result takes more than {self._limit:,} bytes as JSON."
        hint = f"The server's {flag_of('item_bytes')} sets the limit."
        return refuse("limit", what, (), hint)

    def plain(self, value: Any, depth: int) -> Any:
        """Return a value as JSON data."""
        self._left -= 1 + (len(value) if isinstance(value, str) else 0)
        if self._left < 0:
            raise self.spent()
        if depth > _DEPTH:
            raise refuse("limit", f"a result is nested deeper than {_DEPTH} levels.")
        if isinstance(value, bool | str | None):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, list | tuple):
            return [self.plain(each, depth + 1) for each in value]
        if isinstance(value, Mapping):
            return {_key(key): self.plain(each, depth + 1) for key, each in value.items()}
        return preview(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else preview(key)
