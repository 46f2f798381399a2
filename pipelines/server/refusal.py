"""The one exception that refuses a request."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from pipelines.errors import Problem, ServerError

__all__ = ["Refusal", "plain", "plain_all", "refuse"]

_SHOWN = 100  # problems of one answer
_LENGTH = 1_000  # characters of one text in it


class Refusal(ServerError):
    """A request is refused; `problems` says why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Refusal, (self.problems,)


def refuse(code: str, message: str, path: tuple[str | int, ...] = (), hint: str = "") -> Refusal:
    """Return the refusal for one reason; the arguments are those of `Problem`."""
    return Refusal([Problem(code, message, path, hint)])


def plain(problem: Problem) -> dict[str, Any]:
    """Return a problem as it goes over the wire, cut to what a person reads."""
    return {
        "path": [part if isinstance(part, int) else _cut(part) for part in problem.path],
        "code": problem.code,
        "message": _cut(problem.message),
        "hint": _cut(problem.hint),
    }


def plain_all(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as they go over the wire: the first hundred."""
    return [plain(problem) for problem in islice(problems, _SHOWN)]


def _cut(text: str) -> str:
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"
