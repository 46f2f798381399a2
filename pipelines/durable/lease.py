"""The right to work on a log: one run at a time has it, and a dead one's runs out."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import uuid
from collections.abc import Callable
from typing import Any

from pipelines.durable import scripts
from pipelines.errors import PipelinesError
from pipelines.steps.redis.connecting import RedisError, Server

__all__ = ["DurableError", "Lease", "LeaseHeldError", "LeaseLostError"]

_RENEWALS = 3  # in the time that a lease lasts
_LOOKS = 10  # at another's lease in the time that ours would last


class DurableError(PipelinesError):
    """A durable edge can't do what was asked of it; the message names it and says why."""


class LeaseHeldError(DurableError):
    """Another run is at work on a durable edge."""


class LeaseLostError(DurableError):
    """Another run has taken a durable edge over, or its log was deleted."""


class Lease:
    """Holds a log for this run, and runs scripts as its owner.

    A lease says only that its owner is alive. What fences off an owner that was asleep is its
    token: each script looks whether that is still the one of the last who took the lease.

    Args:
        server: where the log is.
        key: the name of the log.
        seconds: after which somebody else may take it, if it was not renewed.
        lost: is called when renewing has failed; `check` then says why.
    """

    def __init__(self, server: Server, key: str, seconds: float, lost: Callable[[], None]) -> None:
        self._server = server
        self._key = key
        self._seconds = seconds
        self._lost = lost
        self._token = f"{_machine()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._keys = [f"{{{key}}}:{part}" for part in ("state", "entries", "lease")]
        self._failure: PipelinesError | None = None
        self._renewal: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise what has ended the lease, if anything has."""
        if self._failure is not None:
            raise self._failure

    async def take(self) -> list[bytes]:
        """Take the lease, waiting for a dead owner's to run out; return the rest of `TAKE`.

        Raises:
            LeaseHeldError: its owner is alive.
        """
        seen, least = None, 0
        holder = b""
        while True:
            facts: list[bytes]
            dead = holder if holder and _is_dead(holder) else b""
            holder, *facts = await self._send(scripts.TAKE, self._milliseconds, dead)
            if not holder:
                break
            if _is_dead(holder):
                continue
            left = int(facts[0])
            if seen is not None and (holder != seen or left > least):
                raise self._held(holder)
            seen, least = holder, left
            await asyncio.sleep(min(self._seconds / _LOOKS, (left + 1) / 1000))
        self._renewal = asyncio.create_task(self._renew(), name=f"pipelines: lease of {self._key}")
        return facts

    async def run(self, script: str, *arguments: object) -> Any:
        """Run a script as the owner.

        Raises:
            LeaseLostError: that is no longer so.
        """
        self.check()
        reply = await self._send(script, *arguments)
        if reply is None:
            self._fail(await self._why())
            self.check()
        return reply

    async def release(self, *, remove: bool) -> None:
        """Give the lease back, and remove the log; nothing where it was lost.

        A server that is away is an error only where there is something to `remove`: a lease runs
        out by itself.
        """
        if self._renewal is None:
            return
        self._renewal.cancel()
        await asyncio.wait([self._renewal])
        try:
            await self._send(scripts.RELEASE, int(remove), patience=None if remove else 0)
        except RedisError:
            if remove:
                raise

    @property
    def _milliseconds(self) -> int:
        return max(1, round(self._seconds * 1000))

    async def _send(self, script: str, *arguments: Any, patience: float | None = None) -> Any:
        command = self._server.client.register_script(script)
        send = functools.partial(command, keys=self._keys, args=[self._token, *arguments])
        return await self._server.ask(send, self._key, patience=patience)

    async def _renew(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._seconds / _RENEWALS)
                await self.run(scripts.RENEW, self._milliseconds)
        except PipelinesError as error:
            self._fail(error)

    def _fail(self, error: PipelinesError) -> None:
        self._failure = error
        self._lost()

    def _held(self, holder: bytes) -> LeaseHeldError:
        return LeaseHeldError(
            f"{self._about} is at work in another run ({_person(holder)}): end that, or wait for it"
        )

    async def _why(self) -> LeaseLostError:
        state = self._keys[0]
        read = functools.partial(self._server.client.hget, state, "owner")
        owner: Any = await self._server.ask(read, self._key)
        if owner is None:
            return LeaseLostError(
                f"{self._about} is gone: somebody deleted it, or the server was started again "
                "without its data (it needs appendonly yes)"
            )
        return LeaseLostError(
            f"{self._about} was taken over by another run ({_person(owner)}), as this one did not "
            f"renew its lease of {self._seconds:g} s"
        )

    @property
    def _about(self) -> str:
        return f"the durable log {self._key!r} at {self._server.url}"


def _machine() -> str:
    """Return what tells this machine, or container, and its process numbers from all others."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # no Linux, so no containers with numbers of their own
        space = 0
    return f"{socket.gethostname()}/{space}"


def _is_dead(token: bytes) -> bool:
    """Tell whether an owner was a process of this machine that is no more."""
    machine, process, _ = token.decode().rsplit(":", 2)
    if machine != _machine():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _person(token: bytes) -> str:
    machine, process, _ = token.decode().rsplit(":", 2)
    return f"process {process} on {machine.rpartition('/')[0]}"
