"""A graph's run in an event loop of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from pipelines.metrics import RunReport
from pipelines.plumber import Plumber

__all__ = ["Background"]


class Background:
    """Runs a `Plumber` in a thread, for code that has no event loop.

    Args:
        plumber: what to run.
        daemon: whether the program may end without waiting for the thread.
        ended: called in that thread when the run is over.
    """

    def __init__(
        self, plumber: Plumber, *, daemon: bool = True, ended: Callable[[], None] = lambda: None
    ) -> None:
        self.plumber = plumber
        self._ended = ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = threading.Event()
        self._report: RunReport | None = None
        self._error: BaseException | None = None
        self._over = self._unwanted = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pipelines: the run", daemon=daemon)

    def start(self) -> None:
        """Start the thread; the run has begun when this returns.

        If Ctrl-C comes first, the run is cancelled, and its end waited for.
        """
        try:
            self._thread.start()
            self._begun.wait()
        except BaseException:
            self.cancel()
            self.join()
            raise

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._over

    @property
    def failed(self) -> bool:
        """Whether the run has ended badly."""
        return self._error is not None

    def cancel(self) -> None:
        """Have the run end now; harmless if it has ended."""
        self._unwanted = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                self._loop.call_soon_threadsafe(self.plumber.cancel)

    def join(self) -> None:
        """Wait for the end of the thread."""
        if self._thread.ident is None:
            return  # it has not been started, or could not be
        # A join that Ctrl-C interrupts takes the thread for ended ever after; an event does not.
        self._done.wait()
        self._thread.join()

    def result(self) -> RunReport:
        """Wait for the end of the run, and return its report; raises what `Plumber.join` raises."""
        self.join()
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report

    def _work(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._report = runner.run(self._run())
        except BaseException as error:
            self._error = error
        finally:
            self._over = True
            self._begun.set()
            try:
                self._ended()
            finally:
                self._done.set()

    async def _run(self) -> RunReport:
        self._loop = asyncio.get_running_loop()
        self.plumber.create_pipeline()
        if self._unwanted:
            self.plumber.cancel()
        # Python 3.12.0 and 3.12.1 start no thread any more once the main one has ended.
        await self.plumber.entered()
        self._begun.set()
        return await self.plumber.join()
