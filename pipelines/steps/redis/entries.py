"""What lies in a stream: an item as JSON in the field ``data``, or whatever others put there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.errors import shorten
from pipelines.steps.redis.connecting import RedisError

__all__ = ["FIELD", "Entry", "decoded", "encoded"]

#: The field that holds an item.
FIELD = "data"


class Entry(dict[str, Any]):
    """One entry of a stream, as the mapping that it holds.

    Attributes:
        id: such as ``1526919030474-55``.
        stream, group: where it was read.
    """

    __slots__ = ("group", "id", "stream")

    id: str
    stream: str
    group: str

    def __init__(self, held: Mapping[str, Any], id: str, stream: str, group: str) -> None:  # noqa: A002
        super().__init__(held)
        self.id = id
        self.stream = stream
        self.group = group


def encoded(item: Any) -> bytes:
    """Return an item as JSON.

    Raises:
        RedisError: JSON can't say it.
    """
    try:
        return json.dumps(item, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(item).__name__
        text = f"can't write the item {shorten(item, 60)} of type {kind}: {error}"
        raise RedisError(text) from error


def decoded(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return what the fields of an entry hold.

    Where ``data`` is the only one, that is the mapping which it holds as JSON; any other value of
    JSON stays under ``data``. Other fields are text, and bytes where they are no UTF-8.
    """
    texts = {str(_text(name)): _text(value) for name, value in fields.items()}
    if texts.keys() != {FIELD}:
        return texts
    value = _from_json(texts[FIELD])
    return value if isinstance(value, dict) else {FIELD: value}


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _from_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
