"""Words for what went wrong: problems of a graph, a step that failed, a fault of our own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable

import click

import pipelines
from pipelines.cli.exits import BAD_GRAPH, FAILED, complain
from pipelines.errors import GraphError, PipelinesError, Problem, StepError

__all__ = ["count", "explain", "summary", "user_traceback"]

_OURS = os.path.dirname(os.path.abspath(pipelines.__file__)) + os.sep
_RUNNERS = ("asyncio", "concurrent", "threading.py", "contextlib.py")
_STDLIB = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def explain(error: BaseException, *, full: bool = False) -> int:
    """Print what `error` means to the user; return the exit code.

    Args:
        error: whatever ended the verb.
        full: show every frame of a step's traceback, ours too.
    """
    if isinstance(error, GraphError):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        click.echo(summary(error.problems), err=True)
        return BAD_GRAPH
    if isinstance(error, StepError):
        complain(str(error))
        click.echo(user_traceback(error.cause, full=full), err=True, nl=False)
        return FAILED
    if isinstance(error, PipelinesError):
        complain(_chain(error))
        return FAILED
    traceback.print_exception(error, file=sys.stderr)
    complain("this is a bug in plumber, not in your graph; please report it with the lines above.")
    return FAILED


def count(number: int, thing: str) -> str:
    """Return ``"1 error"``, ``"2 errors"``, ``"1,200 errors"``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def summary(problems: Iterable[Problem]) -> str:
    """Return ``"2 errors, 1 warning"``, leaving out what there is none of."""
    kinds = [problem.severity for problem in problems]
    counts = ((kinds.count(kind), kind) for kind in ("error", "warning"))
    return ", ".join(count(number, kind) for number, kind in counts if number)


def user_traceback(cause: BaseException, *, full: bool = False) -> str:
    """Return the traceback of a step's exception, without the frames that called the step."""
    found = traceback.TracebackException.from_exception(cause)
    if full:
        return "".join(found.format())
    seen: TracebackChain = found
    while seen is not None:
        seen.stack = traceback.StackSummary.from_list(_users(seen.stack))
        seen = seen.__cause__ or seen.__context__
    return "".join(found.format())


TracebackChain = traceback.TracebackException | None


def _users(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Return the frames that are not ours, from the first that is not a runner's of Python's."""
    rest = [frame for frame in frames if not frame.filename.startswith(_OURS)]
    while rest and rest[0].filename.removeprefix(_STDLIB).startswith(_RUNNERS):
        rest.pop(0)
    return rest


def _chain(error: BaseException) -> str:
    """Return the message of `error`, then those of its causes."""
    text = str(error)
    if error.__cause__ is not None and str(error.__cause__) not in text:
        text += f": {_chain(error.__cause__)}"
    return text
