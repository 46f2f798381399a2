"""Every exception that leaves the package, and `Problem`, one fault of a graph as data."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.excerpt import shorten

__all__ = [
    "ExecutorError",
    "GraphError",
    "HostError",
    "JoinError",
    "PipelinesError",
    "Problem",
    "ServerError",
    "StalledError",
    "StepError",
    "describe",
    "say",
    "shorten",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a graph: where it is, what is wrong, and how to mend it.

    Attributes:
        code: a stable kebab-case name of the kind of fault, such as ``unknown-node``.
        message: what is wrong, in the user's own words.
        path: keys and indices from the top of the document to the fault.
        hint: how to mend it; may be empty.
        severity: ``error`` refuses the graph, ``warning`` does not.
        file: the file the graph was read from, if any.
        line, column: 1-based place in that file, if known.
    """

    code: str
    message: str
    path: tuple[str | int, ...] = ()
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file or "", str(self.line or ""), str(self.column or "")]
        place = ":".join(part for part in parts if part)
        if not self.line and self.path:
            place = f"{place}{': ' if place else ''}{'.'.join(map(str, self.path))}"
        mend = f" {self.hint}" if self.hint else ""
        return f"{place}{'  ' if place else ''}{self.severity}[{self.code}]  {self.message}{mend}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as plain JSON data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "path": list(self.path),
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }


class PipelinesError(Exception):
    """Something in `pipelines` went wrong."""

    def __str__(self) -> str:
        # Without a message it still says what it means: the first line of its docstring.
        return super().__str__() or (type(self).__doc__ or type(self).__name__).splitlines()[0]


class GraphError(PipelinesError):
    """The graph is invalid; `problems` lists every fault found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphError, (self.problems,)


class StepError(PipelinesError):
    """A step failed on an item and its node does not tolerate it.

    Attributes:
        node: the node's name.
        item: the item the step was called with (`None` where there was none).
        attempt: which attempt failed, counted from 1.
        cause: the user's exception; also ``__cause__``, with the user's traceback.
        doing: what was under way, for the message.
    """

    def __init__(
        self,
        node: str,
        item: object,
        cause: BaseException,
        *,
        attempt: int = 1,
        doing: str = "on item",
    ) -> None:
        self.node = node
        self.item = item
        self.cause = cause
        self.attempt = attempt
        self.doing = doing
        what = f"{doing} {shorten(item)}" if doing == "on item" else doing
        tries = f" (attempt {attempt})" if attempt > 1 else ""
        super().__init__(f"node {node!r} failed {what}{tries}: {say(cause)}")
        self.__cause__ = cause

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their message alone, which is not what the constructor takes.
        make = functools.partial(StepError, attempt=self.attempt, doing=self.doing)
        return make, (self.node, self.item, self.cause)


class StalledError(PipelinesError):
    """Every live node waits for another one, so the run can never end."""


class JoinError(PipelinesError):
    """A join can't pair its inputs: a row is incomplete, or one input ended before the others."""


class ExecutorError(PipelinesError):
    """A step could not be run where its `executor` says: a worker died, or data can't travel."""


class HostError(PipelinesError):
    """A process that ran some of a graph's nodes was lost, or could not be had."""


class ServerError(PipelinesError):
    """The live server refused a request or could not be reached."""


def say(error: BaseException) -> str:
    """Return what an error says to a person: ours speak for themselves, others by their class."""
    return str(error) if isinstance(error, PipelinesError) else describe(error)


def describe(error: BaseException) -> str:
    """Return an error's class and text, also of one whose text can't be shown."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as raised:
        return f"{name} (its text can't be shown: str() raised {type(raised).__name__})"
    return f"{name}: {text}" if text else name
