"""One loop through all steps of a line or a region, instead of one loop for each of them.

From stage to stage, an item of four functions passes through four lists. Here their calls are
written out one below the other, for as many as there are: nothing lies between them, and the
interpreter specializes each for the function that it calls. An item takes a sixth less time with
Python 3.11, a fourth less with 3.12 and 3.13, where a call from `map` costs more. With one function
it is a twentieth and a tenth. Coroutine functions take a fifth less.

A fork's result is called for twice; a join's row is the arguments of a call.

That is for quick steps and plain results. What is out of the ordinary goes from stage to stage, and
now and then so does everything: that tells how the time is shared among the steps. Once a call
waits, the loop comes to its end behind that one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import length_hint
from types import CodeType, CoroutineType, FunctionType
from typing import Any, NamedTuple, TypeAlias

from pipelines.failure import SPECIAL
from pipelines.schedule import clock
from pipelines.stage import Stage, stopped_iterating

__all__ = ["Shortcut", "Stop"]

#: Functions that are written out at most, to bound the code.
MOST = 64

#: Seconds that the steps may take for an item so that any run of items goes through the loop. It
#: then matters little which of them a stray delay is put down to.
QUICK = 1e-4

#: Items of a run that does, at least, where that is not known to be so: of a millisecond.
ITEMS = 32

#: Of how many runs one goes from stage to stage.
SAMPLE = 32

#: Runs at most that go from stage to stage after one that could not be finished here.
PAUSE = 256


class Stop(NamedTuple):
    """An item that can't go on here.

    Attributes:
        stage: its number; what its step returned is special, or it raised, or its call waits.
        item: what its step was called with.
        before: what the stages before it have made of the item.
        left: the items that have not begun.
        made: what the step returned; nothing if it raised, or is still to return.
        error: what it raised.
    """

    stage: int
    item: Any
    before: Sequence[Any]
    left: list[Any]
    made: Sequence[Any] = ()
    error: BaseException | None = None


class _Form(NamedTuple):
    """What a loop is written for.

    Attributes:
        inputs: the stages whose results each stage's step is called with, two or more for the row
            of a join. Those without get what they are from outside.
        awaits: whether each stage's calls are awaited.
        unpacks: whether each stage's step takes a row as several arguments.
        makes: the first one has items as they are, and calls no step.
        keeps: the last one's results go on.
    """

    inputs: tuple[tuple[int, ...], ...]
    awaits: tuple[bool, ...]
    unpacks: tuple[bool, ...]
    makes: bool
    keeps: bool

    def names(self, stage: int) -> list[str]:
        """Return what the loop calls a stage's item, or the parts of its row."""
        inputs = [f"result{number}" for number in self.inputs[stage]]
        return inputs or ["result0" if self.makes else "item"]

    def call(self, stage: int) -> str:
        """Return a stage's call."""
        names = self.names(stage)
        row, joins, unpacks = ", ".join(names), len(names) > 1, self.unpacks[stage]
        argument = row if joins == unpacks else f"*{row}" if unpacks else f"({row})"
        return f"{'await ' * self.awaits[stage]}call{stage}({argument})"


#: Where a loop came to its end: the stage, the loop's variables, and what it raised. A stage that
#: raised is to be found out by the line: to note each call would cost as much as a check.
_End: TypeAlias = tuple[int | None, dict[str, Any], BaseException | None]

#: Calls the steps with each item. Takes the items, the list for the last step's results, the steps,
#: the types that results are likely of, which it brings up to date, and a list that is empty as
#: long as it is to go on behind a call that it awaits. A coroutine function if it awaits any.
_Loop: TypeAlias = Callable[
    [Iterator[Any], list[Any], Sequence[Callable[..., Any]], list[type | None], list[bool]],
    "CoroutineType[Any, Any, _End | None] | _End | None",
]


class Shortcut:
    """Takes runs of items through a line or a region.

    Args:
        stages: in topological order; the first may make the items.
        inputs: the numbers of the stages that each gets its items from. The first has none, and it
            alone; one with several is a join.
    """

    def __init__(self, stages: Sequence[Stage], inputs: Sequence[Sequence[int]]) -> None:
        self._stages = stages
        self._inputs = tuple(map(tuple, inputs))
        self._form: _Form | None = None
        self._kinds: list[type | None] = [None] * len(stages)
        #: The part of the time that each stage takes, and what says so.
        self._shares: list[float] = []
        self._worked: list[float] = []
        self._sampled = 0
        self._until_sample = 0
        self._quick = False
        self._closed = self._pause = 0
        #: The run of items under way or the last one: all, those that have not begun, and its
        #: begin.
        self._items: list[Any] = []
        self._left: Iterator[Any] = iter(())
        self._began = 0.0
        #: Items that have come through and are not counted yet, and the seconds that they took.
        self._done = 0
        self._spent = 0.0
        for stage in stages:
            stage.uncounted = self.settle
        #: A loop that awaits calls.
        self._under_way: CoroutineType[Any, Any, _End | None] | None = None
        #: Not empty once a call waits: the loop is to come back with that alone.
        self._parted: list[bool] = []

    @classmethod
    def through(
        cls, stages: Sequence[Stage], inputs: Sequence[Sequence[int]] | None = None
    ) -> Shortcut | None:
        """Return a shortcut through these stages if there are functions, and not too many.

        Args:
            stages: see `Shortcut`.
            inputs: the same; those of a line by default.
        """
        if not 0 < len(stages) - stages[0].makes <= MOST:
            return None
        return cls(stages, inputs or [(), *((before,) for before in range(len(stages) - 1))])

    def is_open(self, count: int) -> bool:
        """Tell whether the next run, of `count` items, is to be taken here."""
        if self._closed or self._until_sample in (0, SAMPLE):
            self.settle()
        if self._closed:
            self._closed -= 1
            return False
        if self._until_sample in (0, SAMPLE):
            worked = [stage.node.worked for stage in self._stages]
            if not self._until_sample:
                self._worked, self._sampled, self._until_sample = worked, count, SAMPLE
                return False
            spent = [now - before for now, before in zip(worked, self._worked, strict=True)]
            if not (total := sum(spent)):
                return False  # the sample was cut short
            self._shares = [part / total for part in spent]
            self._quick = total < QUICK * self._sampled
        self._until_sample -= 1
        if self._quick or count >= ITEMS:
            return True
        self.settle()
        return False

    async def run(self, items: list[Any], began: float) -> Stop | None:
        """Take items through; what comes out are the last stage's results.

        Args:
            items: a run of them.
            began: `clock()` as it is.

        Returns:
            What became of the first one that has not come through. After `part` that is the one
            whose call waited, and what is left of it.
        """
        last = self._stages[-1]
        results: list[Any] = []
        last.outcomes = last.results = results
        if self._form is None or self._form.keeps != bool(last.node.outlet.edges):
            self._write()
        self._items, self._left, self._began = items, iter(items), began
        end = self._loop(self._left, results, self._calls, self._kinds, self._parted)
        if type(end) is CoroutineType:
            self._under_way = end
            end = await end
            self._under_way = None
        if end is None:
            self._pause = 0
            self._items = []  # which may be large, and the next one far away
            self._done += len(items)
            self._spent += clock() - began
            return None
        stop = self._stop(*end)
        if not self._parted:
            self._closed = self._pause = min(2 * self._pause + 1, PAUSE)
            self._count(stop)
        return stop

    def part(self) -> Stop | None:
        """Have the run under way end with the call that waits.

        Returns:
            The item whose call waits; `None` where no run is under way.
        """
        if self._under_way is None:
            return None
        frame = self._under_way.cr_frame
        assert frame is not None
        self._parted.append(True)
        stage, _ = divmod(frame.f_lineno - _FIRST, _LINES)
        stop = self._stop_at(stage, frame.f_locals)
        self._count(stop)
        return stop

    def _stop(self, stage: int | None, values: dict[str, Any], error: BaseException | None) -> Stop:
        """Tell what became of an item that has not come through."""
        if error is None:
            assert stage is not None
            return self._stop_at(stage, values, [values[f"result{stage}"]])
        trace = error.__traceback__
        assert trace is not None
        stage, line = divmod(trace.tb_lineno - _FIRST, _LINES)
        inside = 0 <= stage < len(self._stages) and not isinstance(error, GeneratorExit)
        if not inside or (line and not isinstance(error, Exception)):
            raise error  # a KeyboardInterrupt, or want of memory, where no call is under way
        if line:  # a proxy could not tell its class
            return self._stop_at(stage, values, [values[f"result{stage}"]])
        if isinstance(error, StopIteration):
            error = stopped_iterating()
        return self._stop_at(stage, values, error=error.with_traceback(trace.tb_next))

    def _stop_at(
        self,
        stage: int,
        values: Mapping[str, Any],
        made: Sequence[Any] = (),
        error: BaseException | None = None,
    ) -> Stop:
        before = [values[f"result{number}"] for number in range(stage)]
        row = tuple([before[number] for number in self._inputs[stage]])
        if not row:
            row = (made[0] if self._stages[0].makes else values["item"],)
        left = self._items[len(self._items) - length_hint(self._left) :]
        return Stop(stage, row[0] if len(row) == 1 else row, before, left, made, error)

    def _count(self, stop: Stop) -> None:
        """Count the items that have come through, and one at the stages before its stop."""
        self._done += len(self._items) - len(stop.left) - 1
        self._spent += clock() - self._began
        self.settle()
        for each in self._stages[: stop.stage]:
            each.count(1)

    def settle(self) -> None:
        """Count what has come through, and share the time out: not for each run, but when asked.

        That takes a twentieth of the time of an item that comes alone.
        """
        done, spent = self._done, self._spent
        if done or spent:
            self._done, self._spent = 0, 0.0
            for stage, share in zip(self._stages, self._shares, strict=True):
                stage.count(done, spent * share)

    def _write(self) -> None:
        """Write the loop, anew where a last node has come to lead somewhere."""
        nodes = [stage.node for stage in self._stages]
        self._form = form = _Form(
            self._inputs,
            awaits=tuple(each.node.shape.is_async and not each.makes for each in self._stages),
            unpacks=tuple(node.star is not None for node in nodes),
            makes=self._stages[0].makes,
            keeps=bool(nodes[-1].outlet.edges),
        )
        self._calls = [node.star or node.call for node in nodes]
        # With code of its own, as the interpreter specializes that for what it calls.
        self._loop: _Loop = FunctionType(_code(form).replace(), _NAMES)


#: The line of a loop where the first stage is written out, and how many lines each has.
_FIRST, _LINES = 6, 2


@functools.cache
def _code(form: _Form) -> CodeType:
    """Write a loop.

    To check what four small functions return takes a fifth of the time, and has to be done before
    the next call, for SKIP must not reach that. An object's ``__class__`` takes 2 ns less than its
    `type()`. It may lie, as that of a proxy does, but nothing that is special lies. A list of
    results that nobody takes would cost a twentieth.
    """
    stages = range(len(form.inputs))
    results = [f"result{stage}" for stage in stages]
    lines = [
        f"{'async ' * any(form.awaits)}def loop(items, results, calls, kinds, parted):",
        f"    {''.join(f'call{stage}, ' for stage in stages)} = calls",
        f"    {''.join(f'kind{stage}, ' for stage in stages)} = kinds",
        "    try:",
        f"        for {form.names(0)[0]} in items:",
    ]
    for stage, result in zip(stages, results, strict=True):
        over = "parted or " * form.awaits[stage]
        lines += [
            "" if form.makes and not stage else f"            {result} = {form.call(stage)}",
            f"            if {over}{result}.__class__ is not kind{stage}"
            f" and (kind{stage} := type({result})) in SPECIAL: return {stage}, locals(), None",
        ]
    lines += [
        f"            results.append({results[-1]})" if form.keeps else "",
        "    except BaseException as error:",
        "        return None, locals(), error",
        f"    kinds[:] = {''.join(f'kind{stage}, ' for stage in stages)}",
    ]
    module = compile("\n".join(lines), f"<{__name__}>", "exec")
    return next(each for each in module.co_consts if isinstance(each, CodeType))


#: What loops refer to.
_NAMES: dict[str, Any] = {"SPECIAL": SPECIAL}
