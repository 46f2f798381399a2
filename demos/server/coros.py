"""Coroutines of the form that the project started with; most wait a little, as for a network."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

__all__ = ["StringFuncs"]


class StringFuncs:
    """Make strings, change them, and give them out."""

    @classmethod
    async def input_coro(cls, self: Any, output_q: Any, how_many: int = 20) -> None:
        """Make random strings.

        Args:
            how_many: strings in all.
        """
        for _ in range(how_many):
            await output_q.put(str(uuid.uuid4()))
            await asyncio.sleep(0.01)

    @classmethod
    async def reverse(cls, self: Any, q_elt: tuple[str, ...]) -> str:
        """Turn a string around."""
        await asyncio.sleep(0.02)
        return q_elt[0][::-1]

    @classmethod
    async def upper(cls, self: Any, q_elt: tuple[str, ...]) -> str:
        """Change a string to capitals."""
        await asyncio.sleep(0.01)
        return q_elt[0].upper()

    @classmethod
    async def lower(cls, self: Any, q_elt: tuple[str, ...]) -> str:
        """Change a string to small letters."""
        return q_elt[0].lower()

    @classmethod
    async def output_coro(cls, self: Any, q_elt: tuple[Any, ...]) -> tuple[Any, ...]:
        """Give out what comes in: a server sends it to whoever sent the graph."""
        return q_elt
