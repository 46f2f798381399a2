"""A step that tells somebody how a stream ended."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from pipelines.errors import describe, say, shorten
from pipelines.registry import steps
from pipelines.step import resolve

__all__ = ["Notice", "notify", "tell"]

Item = TypeVar("Item")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """How a step ended, or a whole graph.

    Attributes:
        step: the node's name; `None` for the whole graph.
        ok: whether it ended well.
        items: how many results it gave.
        seconds: how long after the start of the run that was.
        error: what failed, if anything did.
    """

    step: str | None
    ok: bool
    items: int
    seconds: float
    error: BaseException | None = None

    @property
    def title(self) -> str:
        """A line that says which step did what."""
        who = "pipeline" if self.step is None else f"step {self.step!r}"
        return f"{who} {'done' if self.ok else 'failed'}"

    @property
    def text(self) -> str:
        """A line that says how."""
        if self.error is not None:
            return say(self.error)
        results = "1 result" if self.items == 1 else f"{self.items:,} results"
        return f"{results} in {self.seconds:.3f} s"


@steps.register("notify")
class notify:  # noqa: N801  # a step is named as graphs spell it
    """Pass items on, and tell somebody when they have ended, or the run has failed.

    A message that can't be sent is logged, at level ERROR, and changes nothing else. A run that is
    cancelled tells nobody.

    Args:
        to: whom: an apprise URL such as ``mailto://…``, ``slack://…`` or ``json://host/path``; in
            Python also a function, which is called with a `Notice`, in a thread if it is not
            async; or a list of these. See `tell` for functions in a file.
        of: the node that this is about: the failure of another one is then not told.
        only: ``done`` or ``failed``, to tell of nothing else.
        timeout: seconds after which a message is given up.

    Returns:
        The item.

    Raises:
        ValueError: an URL is not one that apprise knows.
        ImportError: apprise is not installed.
    """

    def __init__(
        self,
        to: Any,
        of: str | None = None,
        only: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        if only not in (None, "done", "failed"):
            raise ValueError(f"only is 'done' or 'failed', not {only!r}")
        listed = to if isinstance(to, list | tuple) else [to]
        self._senders = [self._sender(each) for each in listed]
        self._of = of
        self._only = only
        self._timeout = timeout
        self._items = 0

    async def __aenter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def _sender(self, to: Any) -> Callable[[Notice], Any]:
        if isinstance(to, str) and "://" in to:
            return _apprise_sender(to)
        if not callable(to):
            raise ValueError(f"notify tells an apprise URL or a function, not {shorten(to, 60)}")
        return to  # type: ignore[no-any-return]

    def __call__(self, item: Item) -> Item:
        """Count the item."""
        self._items += 1
        return item

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not self._concerns(error):
            return
        if self._only in (None, "done" if error is None else "failed"):
            seconds = time.monotonic() - self._began
            cause = getattr(error, "cause", error) if self._of is not None else error
            await self._tell(Notice(self._of, error is None, self._items, seconds, cause))

    def _concerns(self, error: BaseException) -> bool:
        if not isinstance(error, Exception):
            return False
        return self._of is None or getattr(error, "node", None) == self._of

    async def _tell(self, notice: Notice) -> None:
        for send in self._senders:
            await self._deliver(notice, send)

    async def _deliver(self, notice: Notice, send: Callable[[Notice], Any]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                if inspect.iscoroutinefunction(send):
                    await send(notice)
                else:
                    await asyncio.to_thread(send, notice)
        except Exception as error:
            _log.error("could not tell that %s: %s", notice.title, describe(error))


class tell(notify):  # noqa: N801  # a step is named as graphs spell it
    """Do as `notify` does, and tell functions that are given as ``module:qualname`` too.

    It has no registered name: who may only use those can't have it import things.

    Raises:
        ImportError, LookupError: there is no such function.
    """

    def _sender(self, to: Any) -> Callable[[Notice], Any]:
        is_name = isinstance(to, str) and "://" not in to
        return super()._sender(resolve(to) if is_name else to)


def _apprise_sender(url: str) -> Callable[[Notice], Any]:
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise ImportError("notify needs apprise: pip install 'pipelines[notify]'") from error
    service = apprise.Apprise.instantiate(url)
    if service is None:
        # The rest of a URL holds passwords.
        raise ValueError(f"apprise knows no URL of the form {url.partition('://')[0]}://… given")

    # The service by itself: apprise's calls for several keep threads of theirs after the run.
    def send(notice: Notice) -> None:
        kind = apprise.NotifyType.SUCCESS if notice.ok else apprise.NotifyType.FAILURE
        if not service.notify(notice.text, title=notice.title, notify_type=kind):
            raise RuntimeError("apprise could not send it; its own log says why")

    return send
