"""The steps of every pipe; a pipe may be made of pipes."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final

from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import Pipe, Script, Step, Word

__all__ = ["MOST_STEPS", "steps_of_pipes"]

#: Of one file.
MOST_STEPS: Final = 10_000

#: Steps of one pipe; a pipe of pipes of pipes grows beyond all bounds with every line.
_LONGEST: Final = 1_000

_MOST_CIRCLES: Final = 20  # that are told


def steps_of_pipes(script: Script, faults: Faults) -> Mapping[str, tuple[Step, ...] | None]:
    """Return the steps that each name runs, a step's own too; `None` for one that is faulty."""
    found: dict[str, tuple[Step, ...] | None] = {
        name: (step,) for name, step in script.steps.items()
    }
    for name in _inner_first(script, faults):
        if name in script.pipes:
            found[name] = _joined(script.pipes[name], found, script, faults)
    return found


def _inner_first(script: Script, faults: Faults) -> list[str]:
    """Return the names of all pipes, each after those that it is made of."""
    inside = {name: [each.text for each in pipe.members] for name, pipe in script.pipes.items()}
    for _ in range(_MOST_CIRCLES):
        try:
            return list(TopologicalSorter(inside).static_order())
        except CycleError as error:
            circle = error.args[1][::-1]
            first = min(circle, key=list(inside).index)
            what = f"this pipe runs in a circle: {' -> '.join(circle[:12])}."
            faults.add("circle", what, script.pipes[first].name, "Take one of them out.")
            inside[first] = []
    return list(inside)


def _joined(
    pipe: Pipe, found: Mapping[str, tuple[Step, ...] | None], script: Script, faults: Faults
) -> tuple[Step, ...] | None:
    parts = [_member(each, found, script, faults) for each in pipe.members]
    if any(part is None for part in parts):
        return None
    if sum(len(part or ()) for part in parts) > _LONGEST:
        what = f"pipe {quoted(pipe.name.text)} has more than {_LONGEST:,} steps."
        faults.add("too-large", what, pipe.name)
        return None
    return tuple(step for part in parts for step in part or ())


def _member(
    word: Word, found: Mapping[str, tuple[Step, ...] | None], script: Script, faults: Faults
) -> tuple[Step, ...] | None:
    if word.text in found:
        return found[word.text]
    if word.text not in script.doubtful and word.text not in script.pipes:  # of a circle
        what = f"no step or pipe is named {quoted(word.text)}."
        faults.add("unknown-step", what, word, faults.guess(word.text, script.names()))
    return None
