"""Whose run is whose, how many there are, and what becomes of those whose client is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from pipelines.server.limits import Limits, over
from pipelines.server.refusal import Refusal, refuse
from pipelines.server.session import Session, Tell

__all__ = ["Runs"]


class Runs:
    """All runs of a server.

    A run belongs to one connection. When that is lost, the run goes on for the grace time, in which
    another connection that knows its secret id may take it over.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[str, Session] = {}
        self._owners: dict[str, str] = {}  # of a run, by its id
        self._timers: dict[str, asyncio.TimerHandle] = {}  # of those that nobody owns
        self._closing: dict[asyncio.Task[None], Session] = {}

    def __len__(self) -> int:
        """Return how many runs go on, those too that are being ended."""
        sessions = (*self._sessions.values(), *self._closing.values())
        return sum(session.ended is None for session in sessions)

    def check_room(self, owner: str) -> None:
        """See that `owner` may start another run.

        Raises:
            Refusal: there are as many as may be.
        """
        own = [each for each in self._of(owner) if each.ended is None]
        if len(own) >= self._limits.client_runs:
            what = "another run of yours goes on"
            raise Refusal([over(self._limits, "client_runs", what)])
        if len(self) >= self._limits.runs:
            raise Refusal([over(self._limits, "runs", "the server is busy")])

    def add(self, owner: str, session: Session) -> None:
        """Keep a run as that of `owner`, and start it; those of theirs that ended are forgotten."""
        for ended in [each for each in self._of(owner) if each.ended is not None]:
            self._forget(ended.id)
        self._sessions[session.id] = session
        self._owners[session.id] = owner
        session.start()

    def get(self, owner: str, run: str) -> Session:
        """Return a run of `owner`.

        Raises:
            Refusal: there is no such run of theirs.
        """
        if self._owners.get(run) != owner:
            raise refuse("gone", "there is no such run of yours.", ("run",), "Start it again.")
        return self._sessions[run]

    def attach(self, owner: str, run: str, seq: int, tell: Tell) -> tuple[Session, dict[str, Any]]:
        """Give `owner` a run whose connection was lost; return it, and a frame of it.

        Args:
            owner: the new connection.
            run: the run's secret id.
            seq: the number of the last frame that its client has seen.
            tell: how to reach the client now.

        Raises:
            Refusal: there is no such run any more, or it has a connection.
        """
        if run not in self._sessions:
            raise refuse("gone", "there is no such run any more.", ("run",), "Start it again.")
        if self._owners.get(run, owner) != owner:
            hint = "Try again when that one is lost."
            raise refuse("in-use", "another connection has this run.", ("run",), hint)
        if timer := self._timers.pop(run, None):
            timer.cancel()
        self._owners[run] = owner
        session = self._sessions[run]
        return session, session.attach(seq, tell)

    def release(self, owner: str, *, grace: float) -> None:
        """Be told that the connection of `owner` is lost: their runs end after `grace` seconds."""
        loop = asyncio.get_running_loop()
        for session in list(self._of(owner)):
            del self._owners[session.id]
            session.detach()
            if grace > 0:
                self._timers[session.id] = loop.call_later(grace, self._forget, session.id)
            else:
                self._forget(session.id)
        self._make_room()

    async def close(self) -> None:
        """End all runs, and wait until nothing of them is left."""
        for run in list(self._sessions):
            self._forget(run)
        if self._closing:
            await asyncio.wait(self._closing)

    def _of(self, owner: str) -> Iterator[Session]:
        return (self._sessions[run] for run, whose in self._owners.items() if whose == owner)

    def _make_room(self) -> None:
        """Forget the oldest of those that have ended and are kept for somebody to come back."""
        waiting = [run for run in self._timers if self._sessions[run].ended is not None]
        for run in waiting[: max(0, len(waiting) - self._limits.runs)]:
            self._forget(run)

    def _forget(self, run: str) -> None:
        session = self._sessions.pop(run)
        self._owners.pop(run, None)
        if timer := self._timers.pop(run, None):
            timer.cancel()
        task = asyncio.create_task(session.close(), name="pipelines: the end of a session")
        self._closing[task] = session
        task.add_done_callback(self._closing.pop)
