"""Whether a node can call its step: its arguments against the step's signature."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines.checks.targets import NodeView
from pipelines.places import Findings
from pipelines.registry import did_you_mean

__all__ = ["Call", "Misfit", "check_arguments", "misfits"]

_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Call:
    """How a step is called: with so many positional arguments, and these by name."""

    positional: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Misfit:
    """One reason why a call would raise a TypeError.

    Attributes:
        kind: ``unknown``, ``twice`` or ``missing`` (an argument), or ``inputs`` (too many).
        name: the argument.
        known: the arguments that may be given by name; for ``inputs`` those by position.
    """

    kind: str
    name: str = ""
    known: tuple[str, ...] = ()


def misfits(function: Any, call: Call, *, method: bool = False) -> Iterator[Misfit]:
    """Compare a call with a signature; a callable that has none, as some builtins, fits always.

    Args:
        function: what is called.
        call: how.
        method: `function` was taken from a class, so its first parameter is the instance.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[method:]
    except (ValueError, TypeError):
        return
    takes = [each for each in parameters if each.kind in _BY_POSITION]
    if call.positional > len(takes) and not _has(parameters, inspect.Parameter.VAR_POSITIONAL):
        yield Misfit("inputs", known=tuple(each.name for each in takes))
    filled = {each.name for each in takes[: call.positional]}
    yield from _by_name(parameters, filled, call.names)
    for each in parameters:
        needed = each.default is each.empty and each.kind in (*_BY_POSITION, *_BY_NAME)
        if needed and each.name not in filled and each.name not in call.names:
            yield Misfit("missing", each.name)


def _by_name(
    parameters: Sequence[inspect.Parameter], filled: Collection[str], names: Collection[str]
) -> Iterator[Misfit]:
    by_name = {each.name for each in parameters if each.kind in _BY_NAME}
    free = _has(parameters, inspect.Parameter.VAR_KEYWORD)
    for name in names:
        if name in by_name and name in filled:
            yield Misfit("twice", name)
        elif name not in by_name and not free:
            yield Misfit("unknown", name, tuple(sorted(by_name - set(filled))))


def _has(parameters: Sequence[inspect.Parameter], kind: Any) -> bool:
    return any(each.kind is kind for each in parameters)


def check_arguments(view: NodeView, findings: Findings, known: dict[object, list[Misfit]]) -> None:
    """Note where a node's step can't be called with its args and inbound edges.

    Args:
        view: the node.
        findings: is given the faults.
        known: what was found for the same step called in the same way: a signature is slow to get.
    """
    if view.shape is None:
        if view.spec.args:
            what = f"{view.who}: {view.label} is not called, so it takes no arguments."
            findings.add("unknown-arg", what, (*view.path, "args"), "Remove the args.")
        return
    call = Call(_positional(view), tuple(view.spec.args))
    key = (id(view.target), call)
    if key not in known:
        known[key] = list(_compare(view, call))
    for misfit in known[key]:
        if misfit.kind != "missing" or not view.vague:
            _note(misfit, view, call.positional, findings)


def _compare(view: NodeView, call: Call) -> Iterator[Misfit]:
    if view.shape is None or not view.shape.is_class:
        yield from misfits(view.target, call)
    else:
        yield from misfits(view.target, Call(0, call.names))
        if not view.shape.streams:
            yield from misfits(view.target.__call__, Call(call.positional), method=True)


def _positional(view: NodeView) -> int:
    """Return with how many positional arguments the step is called for an item."""
    if view.key == "coro":
        return 2  # the processor, and the row or the queue
    joins = view.properties.aggregate_inputs and not view.properties.batch
    return len(view.sources) if joins else min(len(view.sources), 1)


def _note(misfit: Misfit, view: NodeView, positional: int, findings: Findings) -> None:
    name, args = misfit.name, (*view.path, "args")
    match misfit.kind:
        case "unknown":
            what = f"{view.who}: {view.label}() takes no argument {name!r}."
            hint = did_you_mean(name, misfit.known) or "Remove it: it takes none by name."
            findings.add("unknown-arg", what, (*args, name), hint, at_key=True)
        case "twice":
            what = f"{view.who}: {view.label}() gets {name!r} with each item, so not from args."
            findings.add("arg-twice", what, (*args, name), "Remove it from args.", at_key=True)
        case "missing":
            what = f"{view.who}: {view.label}() needs an argument {name!r}."
            hint = "Add it under `args:`." if view.sources else _HINT_INPUT[view.key]
            findings.add("missing-arg", what, view.step_path, hint)
        case "inputs":
            what, hint = _too_many(view, positional, len(misfit.known))
            findings.add("wrong-inputs", f"{view.who}: {what}", view.step_path, hint)


_HINT_INPUT: Final = {
    "coro": "Add it under `args:`.",
    "func": "Add it under `args:`, or lead an edge here.",
}


def _too_many(view: NodeView, positional: int, takes: int) -> tuple[str, str]:
    call = f"{view.label}() takes {takes or 'no'} positional argument{'' if takes == 1 else 's'}"
    if view.key == "coro":
        form = "(self, q_elt)" if view.sources else "(self, output_q)"
        return f"{call}, but a coro gets two: {form}.", "Add them, or use func."
    if positional > 1:
        edges = ", ".join(map(repr, view.sources))
        hint = "Add parameters, or set aggregate_inputs: false."
        return f"{call}, but {positional} edges lead here: from {edges}.", hint
    return f"{call}, but is called with the item.", "Add a parameter for it."
