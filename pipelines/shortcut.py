"""One loop through all steps of a line of plain functions, instead of one loop for each of them.

From stage to stage, an item of four functions passes through four lists. Here their calls are
written out one below the other, for as many as there are: nothing lies between them, and the
interpreter specializes each for the function that it calls. An item takes a sixth less time with
Python 3.11, a fourth less with 3.12 and 3.13, where a call from `map` costs more. With one function
it is a twentieth and a tenth.

That is for quick steps and plain results. What is out of the ordinary goes from stage to stage, and
now and then so does everything: that tells how the time is shared among the steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from pipelines.failure import SPECIAL
from pipelines.schedule import clock
from pipelines.stage import Stage, stopped_iterating

__all__ = ["Shortcut", "Stop"]

#: Functions that are written out at most, to bound the code.
MOST = 64

#: Items of a run, at least. One that takes a millisecond then has steps so quick that it matters
#: little which of them a stray delay is put down to.
ITEMS = 32

#: Of how many runs one goes from stage to stage.
SAMPLE = 32

#: Runs at most that go from stage to stage after one that could not be finished here.
PAUSE = 256


class Stop(NamedTuple):
    """An item that can't go on here.

    Attributes:
        stage: its number; what its step returned is special, or it raised.
        item: what its step was called with.
        made: what the step returned; nothing if it raised.
        error: what it raised.
    """

    stage: int
    item: Any
    made: Sequence[Any] = ()
    error: BaseException | None = None


class _Form(NamedTuple):
    """What a loop is written for.

    Attributes:
        stages: how many there are.
        makes: the first one has items as they are, and calls no step.
        unpacks: the first one's step takes an item, a row, as several arguments.
        keeps: the last one's results go on.
    """

    stages: int
    makes: bool
    unpacks: bool
    keeps: bool


#: Calls the steps with each item. Takes the items, the list for the last step's results, the steps,
#: and the types that results are likely of, which it brings up to date.
_Loop = Callable[
    [Iterator[Any], list[Any], Sequence[Callable[..., Any]], list[type | None]], Stop | None
]


class Shortcut:
    """Takes runs of items through a line.

    Args:
        stages: those of the line; none awaits anything, and the first may make the items.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._form: _Form | None = None
        self._kinds: list[type | None] = [None] * len(stages)
        #: The part of the time that each stage takes, and what says so.
        self._shares: list[float] = []
        self._worked: list[float] = []
        self._until_sample = 0
        self._closed = self._pause = 0

    @classmethod
    def through(cls, stages: Sequence[Stage]) -> Shortcut | None:
        """Return a shortcut through these stages if there are functions, and not too many."""
        return cls(stages) if 0 < len(stages) - stages[0].makes <= MOST else None

    def is_open(self, count: int) -> bool:
        """Tell whether the next run, of `count` items, is to be taken here."""
        if count < ITEMS:
            return False
        if self._closed:
            self._closed -= 1
            return False
        if self._until_sample in (0, SAMPLE):
            worked = [stage.node.worked for stage in self._stages]
            if not self._until_sample:
                self._worked, self._until_sample = worked, SAMPLE
                return False
            spent = [now - before for now, before in zip(worked, self._worked, strict=True)]
            if not (total := sum(spent)):
                return False  # the sample was cut short
            self._shares = [part / total for part in spent]
        self._until_sample -= 1
        return True

    def run(self, items: list[Any], began: float) -> tuple[int, Stop | None]:
        """Take items through; what comes out are the last stage's results.

        Args:
            items: a run of them.
            began: `clock()` as it is.

        Returns:
            How many have come through, and what became of the next one if it has not.
        """
        last = self._stages[-1]
        results: list[Any] = []
        last.outcomes = last.results = results
        calls = [stage.node.star or stage.node.call for stage in self._stages]
        left = iter(items)
        stop = self._written()(left, results, calls, self._kinds)
        done = len(items)
        if stop is None:
            self._pause = 0
        else:
            done -= length_hint(left) + 1
            self._closed = self._pause = min(2 * self._pause + 1, PAUSE)
        seconds = clock() - began
        for number, (stage, share) in enumerate(zip(self._stages, self._shares, strict=True)):
            stage.count(done + (stop is not None and number < stop.stage), seconds * share)
        return done, stop

    def _written(self) -> _Loop:
        """Return the loop, written anew where a last node has come to lead somewhere."""
        first, last = self._stages[0], self._stages[-1]
        form = _Form(
            len(self._stages),
            first.makes,
            first.node.star is not None,
            bool(last.node.outlet.edges),
        )
        if form != self._form:
            self._form = form
            # With code of its own, as the interpreter specializes that for what it calls.
            self._loop: _Loop = FunctionType(_code(form).replace(), _NAMES)
        return self._loop


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
    stages = range(form.stages)
    results = [f"result{stage}" for stage in stages]
    items = ["result0" if form.makes else "item", *results[:-1]]
    lines = [
        "def loop(items, results, calls, kinds):",
        f"    {''.join(f'call{stage}, ' for stage in stages)} = calls",
        f"    {''.join(f'kind{stage}, ' for stage in stages)} = kinds",
        "    try:",
        f"        for {items[0]} in items:",
    ]
    for stage, item, result in zip(stages, items, results, strict=True):
        row = "*" if form.unpacks and not stage else ""
        lines += [
            f"            {result} = call{stage}({row}{item})" if item != result else "",
            f"            if {result}.__class__ is not kind{stage} and type({result}) in SPECIAL:"
            f" return Stop({stage}, {item}, [{result}])",
        ]
    lines += [
        f"            results.append({results[-1]})" if form.keeps else "",
        "    except BaseException as error:",
        f"        return stop(error, locals(), {[*items, results[-1]]})",
        f"    kinds[:] = map(type, [{', '.join(results)}])",
    ]
    module = compile("\n".join(lines), f"<{__name__}>", "exec")
    return next(each for each in module.co_consts if isinstance(each, CodeType))


def _stop(error: BaseException, values: dict[str, Any], names: Sequence[str]) -> Stop:
    """Find out by the line what raised: to note each call would cost as much as a check."""
    trace = error.__traceback__
    assert trace is not None
    stage, line = divmod(trace.tb_lineno - _FIRST, _LINES)
    inside = 0 <= stage < len(names) - 1
    if not inside or (line and not isinstance(error, Exception)):
        raise error  # a KeyboardInterrupt, or want of memory, where no call is under way
    item = values[names[stage]]
    if line:
        return Stop(stage, item, [values[names[stage + 1]]])  # a proxy could not tell its class
    if isinstance(error, StopIteration):
        error = stopped_iterating()
    return Stop(stage, item, error=error.with_traceback(trace.tb_next))


#: What loops refer to.
_NAMES: dict[str, Any] = {"SPECIAL": SPECIAL, "Stop": Stop, "stop": _stop}
