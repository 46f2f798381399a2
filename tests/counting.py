"""Counts in the place of clocks: what a run makes the event loop do."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from running import ended
from virtual_time import VirtualLoop

from pipelines import Plumber


class CountingLoop(VirtualLoop):
    """A loop that counts the tasks and callbacks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks = self.callbacks = 0
        self.set_task_factory(self._make)

    def _make(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        self.tasks += 1
        return asyncio.Task(coroutine, loop=loop, **options)

    def call_soon(self, *args: Any, **options: Any) -> Any:
        """Count it."""
        self.callbacks += 1
        return super().call_soon(*args, **options)


def cost(document: dict[str, Any]) -> tuple[int, int]:
    """Return how many tasks and callbacks a run makes."""
    loops: list[CountingLoop] = []

    def make() -> CountingLoop:
        loops.append(CountingLoop())
        return loops[-1]

    # The slices of the loop's time would count how busy the machine is.
    with patch("pipelines.schedule.SLICE", 3600.0):
        ended(Plumber(document).run(), 1e9, make)
    return loops[0].tasks, loops[0].callbacks


class Flight:
    """An async step that counts its calls in flight."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def fly(self, value: Any) -> Any:
        """Be in flight for a while, another one for each value."""
        with self:
            await asyncio.sleep(0.1 + sum(map(ord, str(value))) * 7919 % 13 / 10)
        return value

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *raised: object) -> None:
        self.now -= 1
