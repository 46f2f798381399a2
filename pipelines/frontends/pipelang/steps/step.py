"""What all steps of pipes share: envelopes, turns, polling, starting over, and time-outs."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pipelines.frontends.pipelang.result import Result, Status
from pipelines.frontends.pipelang.steps.desk import WORKERS, Desk
from pipelines.frontends.pipelang.steps.envelope import Envelope, merged, packed
from pipelines.step import SKIP, Later, Route, Skip

__all__ = ["PipeStep"]


@dataclass(slots=True)
class _Progress:
    """How far a step has come with one value, from its first call until it is done.

    Attributes:
        values: what the step at `place` is called with; at the end the one value that goes on.
        place: which of the earlier steps of the pipe is called, after a reset; else the last.
        began: when the first call began, and the first one of the step at `place`.
    """

    values: Sequence[Any]
    place: int
    began: float | None = None
    began_place: float | None = None


@dataclass(kw_only=True, eq=False)
class PipeStep(abc.ABC):
    """One step of a pipe; what it does with a value is for its subclass.

    Args:
        scope: the place of its scope among those that are served; 0 is the first.
        priority: within its scope higher ones come first.
        timeout: seconds from its first call for a value to its result, polls and resets included.
        poll: seconds between two calls for a value that is pending.
        workers: calls that may be under way at once in the whole run; see `desk.Desk`.
        give: for the first step of a pipe the variables that it is called with; `None` for any
            other, which is called with the value of the step before.
        keep: for the first step the variables that go on.
        assign: for the last step the variable that the result becomes.
        earlier: the steps before it in its pipe, for starting over: their `language`, and their
            arguments as here.

    Raises:
        TimeoutError: `timeout` has passed.
    """

    scope: int = 0
    priority: int = 0
    timeout: float | None = None
    poll: float = 5.0
    workers: int = WORKERS
    give: Sequence[str] | None = None
    keep: Collection[str] = ()
    assign: str | None = None
    earlier: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        self._rank = (self.scope, -self.priority)
        self._waiting: dict[int, _Progress] = {}
        self._before: list[PipeStep] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._desk = await stack.enter_async_context(Desk.joined(self.workers))
            self._before = [
                await stack.enter_async_context(self._like(**each)) for each in self.earlier
            ]
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def _like(self, language: str, **args: Any) -> PipeStep:
        """Return another step, to be called from this one."""
        return KINDS[language](**args, workers=self.workers)

    # For the subclass.

    @abc.abstractmethod
    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Make ready for calls; what must be closed goes on `stack`."""

    @abc.abstractmethod
    async def _work(self, values: Sequence[Any], seconds: float | None) -> Any:
        """Return the result for some values, or raise TimeoutError after so many seconds."""

    def _room(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Return what to hold during a call besides a turn."""
        return contextlib.nullcontext()

    # A value's way.

    async def __call__(self, *envelopes: Envelope | None) -> Any:
        """Take one envelope, or one of each call that meets here."""
        envelope = merged(envelopes)
        # The engine holds a value that waits, and calls again with the same object.
        key = id(next((each for each in envelopes if each is not None), None))
        progress = self._waiting.pop(key, None) or self._begin(envelope)
        stop = await self._advance(progress, envelope)
        if stop is None:
            return self._sealed(envelope, progress)
        if stop is not SKIP:
            self._waiting[key] = progress
        return stop

    def _begin(self, envelope: Envelope) -> _Progress:
        if self.give is None:
            return _Progress((envelope.get("value"),), len(self._before))
        variables = envelope.get("variables", {})
        return _Progress([variables.get(name) for name in self.give], 0)

    def _sealed(self, envelope: Envelope, progress: _Progress) -> Envelope:
        """Return the envelope with the result."""
        (value,) = progress.values
        variables = envelope.get("variables", {})
        args = envelope.get("args", ())
        if self.give is not None:
            args = [variables.get(name) for name in self.give]
            variables = {name: variables.get(name) for name in self.keep}
        if self.assign is not None:
            return {"variables": {**variables, self.assign: value}}
        return packed(value, args, variables)

    async def _advance(self, progress: _Progress, envelope: Envelope) -> Later | Skip | None:
        """Call this step, after a reset also those before it; return why it is not done, if so."""
        steps = (*self._before, self)
        while progress.place < len(steps):
            step = steps[progress.place]
            result = await self._attempt(step, progress)
            if result.status is Status.cancel:
                return SKIP
            if result.status is Status.done:
                progress.values, progress.began_place = (result.value,), None
                progress.place += 1
                continue
            if result.status is Status.reset:
                self._start_over(progress, envelope)
            delay = step.poll if result.delay is None else result.delay
            return Later(min([delay, *self._left(step, progress)]))
        return None

    def _start_over(self, progress: _Progress, envelope: Envelope) -> None:
        if self.give is None:
            if not self._before:
                raise RuntimeError("reset: this node does not know the `earlier` steps of its pipe")
            progress.values = envelope.get("args", ())
        else:
            progress.values = self._begin(envelope).values
        progress.place, progress.began_place = 0, None

    async def _attempt(self, step: PipeStep, progress: _Progress) -> Result:
        """Call a step when it is its turn, within what is left of its time and of ours."""
        async with step._room(), self._desk.turn(step._rank):
            now = asyncio.get_running_loop().time()
            progress.began = now if progress.began is None else progress.began
            if progress.began_place is None:
                progress.began_place = now
            left = min(self._left(step, progress), default=None)
            if left is not None and left <= 0:
                self._refuse_late(step, "it was still pending")
            try:
                return _result(await step._work(progress.values, left))
            except TimeoutError:
                if min(self._left(step, progress), default=1) > 0:
                    raise  # one of its own
                self._refuse_late(step, "the call was ended")
                raise

    def _refuse_late(self, step: PipeStep, how: str) -> None:
        timeout = min(each for each in (self.timeout, step.timeout) if each is not None)
        raise TimeoutError(f"no result after {timeout:g} s (!timeout): {how}") from None

    def _left(self, step: PipeStep, progress: _Progress) -> list[float]:
        """Return the seconds that are left of each time-out there is."""
        now = asyncio.get_running_loop().time()
        limits = ((self.timeout, progress.began), (step.timeout, progress.began_place))
        return [
            began + timeout - now
            for timeout, began in limits
            if timeout is not None and began is not None
        ]


#: The steps by their language; each module of one adds its own.
KINDS: dict[str, type[PipeStep]] = {}


async def within(seconds: float | None, awaitable: Any) -> Any:
    """Await something, and raise TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        return await awaitable


def _result(value: Any) -> Result:
    """Return what a function returned as a `Result`."""
    if isinstance(value, Result):
        return value
    if isinstance(value, Later):
        return Result(status=Status.pending, delay=value.seconds)
    if value is SKIP:
        return Result(status=Status.cancel)
    if isinstance(value, Route):
        raise TypeError("Route is of no use in a pipe: it has one way only")
    return Result(value)
