"""Names as they can be drawn: printable, not too wide, and measured in terminal cells."""

from __future__ import annotations

__all__ = ["fitted", "width_of"]


def width_of(text: str) -> int:
    """Return how many terminal cells `text` takes: two for a wide character, none for an accent."""
    from rich.cells import cell_len

    return cell_len(text)


def fitted(text: str, limit: int) -> str:
    """Return `text` printable and at most `limit` cells wide; the middle is left out."""
    text = "".join(each if each.isprintable() else "�" for each in text)
    if width_of(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    while width_of(head) > limit // 2:
        head = head[:-1]
    while width_of(tail) > limit - limit // 2 - 1:
        tail = tail[1:]
    return f"{head}…{tail}"
