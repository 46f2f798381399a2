"""The beginning of a value's repr, without making all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["shorten"]

_SHOWN = 200  # characters of an item that an error message quotes

#: What a container's repr is written between, where its type has not written its own.
_BRACKETS: dict[type[Any], tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def shorten(value: object, limit: int = _SHOWN) -> str:
    """Return ``repr(value)`` cut at `limit` characters; a repr that raises is named instead.

    Of containers and texts no more is written than is shown: the whole repr of a few lists that
    hold one another twice each would not fit into memory.
    """
    text = ""
    try:
        for piece in _pieces(value, limit, set()):
            text += piece
            if len(text) > limit:
                return text[: limit - 1] + "…"
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _pieces(value: Any, limit: int, within: set[int]) -> Iterator[str]:
    """Yield what makes up the repr of a value, which stands within those of some ids."""
    kind = type(value)
    if kind is str or kind is bytes:
        yield repr(value) if len(value) <= limit else repr(_head(value, limit))
    elif kind not in _BRACKETS or not value:
        yield repr(value)
    elif id(value) in within:
        yield "...".join(_BRACKETS[kind])
    else:
        opening, closing = _BRACKETS[kind]
        within.add(id(value))
        yield opening
        for number, member in enumerate(value.items() if kind is dict else value):
            yield ", " if number else ""
            yield from _member(member if kind is dict else (member,), limit, within)
        yield f",{closing}" if kind is tuple and len(value) == 1 else closing
        within.discard(id(value))


def _member(parts: Iterable[Any], limit: int, within: set[int]) -> Iterator[str]:
    """Yield what makes up an element of a container, or a key and its value."""
    for number, part in enumerate(parts):
        yield ": " if number else ""
        yield from _pieces(part, limit, within)


def _head(text: Any, limit: int) -> Any:
    """Return the beginning of a text, with quotes behind it so that its repr has the whole's."""
    single, double = ("'", '"') if type(text) is str else (b"'", b'"')
    return text[:limit] + single * (single in text) + double * (double in text)
