"""Names the step that holds the event loop, so that a frozen run explains itself."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["Watchdog"]

logger = logging.getLogger(__name__)


class Watchdog:
    """A thread that looks now and then whether the loop still turns.

    Args:
        loop: the running loop, whose thread makes this object.
        blame: returns the names of the nodes that a task runs.
        patience: seconds after which a loop that has not turned is reported, once a task.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        blame: Callable[[asyncio.Task[object] | None], str],
        patience: float = 1.0,
    ) -> None:
        self._loop = loop
        self._blame = blame
        self._patience = patience
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._turned = threading.Event()
        self._reported: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="pipelines:watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._turned.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._patience):
            self._turned.clear()
            try:
                self._loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._turned.wait(self._patience) and not self._stopped.is_set():
                self._report()

    def _report(self) -> None:
        who = self._blame(asyncio.current_task(self._loop))
        if who and who not in self._reported:
            self._reported.add(who)
            logger.warning(
                "%s holds the event loop for more than %g s%s; nothing else can run meanwhile. "
                "Set executor: thread (it waits) or process (it computes) on that node.",
                who,
                self._patience,
                _place(sys._current_frames().get(self._loop_thread)),
            )


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return ""
    return f" (in {frame.f_code.co_name}, {frame.f_code.co_filename}:{frame.f_lineno})"
