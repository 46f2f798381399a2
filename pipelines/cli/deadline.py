"""A time after which a run is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.metrics import RunReport, Snapshot
    from pipelines.plumber import Plumber

__all__ = ["Deadline"]


class Deadline:
    """Cancels the run when its time is up; as a reporter it is told, in the loop, of the start."""

    interval = 3600.0

    def __init__(self, seconds: float) -> None:
        self.plumber: Plumber | None = None
        self.passed = False
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self, snapshot: Snapshot) -> None:
        """Set the timer."""
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._pass)

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing: the timer runs by itself."""

    def finish(self, report: RunReport) -> None:
        """Stop the timer."""
        if self._timer is not None:  # a run may be over before it is told that it began
            self._timer.cancel()

    def _pass(self) -> None:
        if self.plumber is not None:
            self.passed = True
            self.plumber.cancel()
