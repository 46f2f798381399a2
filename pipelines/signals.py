"""What SIGINT and SIGTERM do to a run: the first drains it, the second cancels it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Protocol, TypeVar

from pipelines.errors import PipelinesError

__all__ = ["Interrupted", "interruptible"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds within which an event loop that turns has come to what a signal asked of it. Only then is
#: it interrupted where it stands, which may be between any two lines, those of asyncio too.
HELD = 0.05

T = TypeVar("T")


class Interrupted(PipelinesError):
    """A second signal, or the time that a drain may take, forced the run to stop.

    Attributes:
        signum: the signal's number; a program by convention exits with 128 more.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}")


class Stoppable(Protocol):
    """What signals stop."""

    def stop_sources(self) -> None:
        """Begin to drain."""

    def cancel(self) -> None:
        """Stop now."""


class _Runner:
    """Runs one coroutine, and passes signals on to what it runs."""

    def __init__(self, target: Stoppable, patience: float) -> None:
        self._target = target
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last: int | None = None
        self._asked = 0.0  # when the loop was last asked to do something
        self._draining = False
        self._to_cancel = False

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result.

        Raises:
            Interrupted: a signal has cancelled it.
        """
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                return runner.run(coroutine)
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self._last is None:
                raise
            raise Interrupted(self._last) from None

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Be the signal handler."""
        first, self._last = self._last is None, signum
        if self._loop is None or self._loop.is_closed():
            raise KeyboardInterrupt
        if first:
            self._ask(self._drain)
        elif not self._to_cancel and (self._draining or not self._holds()):
            self._to_cancel = True
            self._ask(self._cancel)
        elif self._holds():
            # The loop has not come to the last request: a step holds it, or an exit never ends.
            raise KeyboardInterrupt

    def _ask(self, request: Callable[[], None]) -> None:
        assert self._loop is not None
        self._asked = time.monotonic()
        self._loop.call_soon_threadsafe(request)

    def _holds(self) -> bool:
        return time.monotonic() - self._asked > HELD

    def _drain(self) -> None:
        self._draining = True
        self._target.stop_sources()
        assert self._loop is not None
        self._loop.call_later(self._patience, self._cancel)

    def _cancel(self) -> None:
        self._to_cancel = True
        self._target.cancel()


@contextlib.contextmanager
def interruptible(target: Stoppable, patience: float) -> Iterator[_Runner]:
    """Give a runner whose signals drain `target`, and cancel it after `patience` seconds.

    Outside the main thread, where Python allows no signal handlers, it runs without any.
    """
    runner = _Runner(target, patience)
    if threading.current_thread() is not threading.main_thread():
        yield runner
        return
    before = {signum: signal.signal(signum, runner.handle) for signum in SIGNALS}
    try:
        yield runner
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
