"""Faults of a `.pipe` text, each with its place, the line itself, and a caret below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from pipelines.errors import GraphError, Problem
from pipelines.frontends.pipelang.model import Word
from pipelines.registry import did_you_mean

__all__ = ["Faults", "PipeProblem", "quoted"]

_SHOWN = 100  # characters of a line
_MAX_PROBLEMS = 100
_MAX_GUESSES = 50  # a guess compares with every name
_MAX_NAME = 60  # characters of a name that are compared, or quoted


@dataclass(frozen=True, slots=True)
class PipeProblem(Problem):
    """One fault; its text goes on with the line of the file and a caret.

    Attributes:
        excerpt: these two lines, indented.
    """

    excerpt: str = ""

    def __str__(self) -> str:
        said = Problem.__str__(self)
        return f"{said}\n{self.excerpt}" if self.excerpt else said


class Faults:
    """Gathers the faults of one text.

    Args:
        text: the text, its lines ended by a line feed alone.
        file: where it was read from, if that is a file.
    """

    def __init__(self, text: str, file: str | None = None) -> None:
        self.file = file
        self._lines = text.split("\n")
        self._found: dict[Problem, None] = {}
        self._guesses = 0

    def add(
        self,
        code: str,
        message: str,
        word: Word,
        hint: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Note one fault at a word; beyond a hundred none is noted any more."""
        if len(self._found) < _MAX_PROBLEMS:
            place = {"file": self.file, "line": word.line, "column": word.column}
            problem = Problem(code, message, hint=hint, severity=severity, **place)  # type: ignore[arg-type]
            self._found[self.shown(problem, len(word.text.partition("\n")[0]))] = None

    def guess(self, name: str, known: Iterable[str]) -> str:
        """Return ``Did you mean …?``, or the names there are; nothing after many guesses."""
        self._guesses += 1
        if self._guesses > _MAX_GUESSES:
            return ""
        return did_you_mean(name[:_MAX_NAME], [each[:_MAX_NAME] for each in known])

    def shown(self, problem: Problem, width: int = 1) -> Problem:
        """Return a problem together with the line that it is about, where that is one of ours."""
        if isinstance(problem, PipeProblem):
            return problem
        if problem.line is None or problem.file != self.file or problem.line > len(self._lines):
            return problem
        said: dict[str, Any] = {each.name: getattr(problem, each.name) for each in fields(Problem)}
        line = self._lines[problem.line - 1]
        return PipeProblem(**said, excerpt=_excerpt(line, problem.column or 1, width))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All faults, from the top of the text down."""
        return tuple(sorted(self._found, key=lambda each: (each.line or 0, each.column or 0)))

    @property
    def fatal(self) -> bool:
        """Whether one of them is an error."""
        return any(problem.severity == "error" for problem in self._found)

    def refuse(self) -> None:
        """Raise all of them if one is an error.

        Raises:
            GraphError: that is so.
        """
        if self.fatal:
            raise GraphError(self.problems)


def _excerpt(line: str, column: int, width: int) -> str:
    """Return the part of a line around a column, and below it a caret for each character."""
    start = max(0, column - 1 - _SHOWN * 2 // 3)
    part = "".join(each if each.isprintable() or each == "\t" else "�" for each in line)
    before, rest = part[start : column - 1], part[column - 1 : start + _SHOWN]
    pad = "".join("\t" if each == "\t" else " " for each in before)
    return f"    {before}{rest}\n    {pad}{'^' * max(1, min(width, len(rest)))}".rstrip()


def quoted(name: str) -> str:
    """Return a name in quotes, a long one cut."""
    return repr(name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…")
