"""What goes from process to process: steps, items and errors, as bytes that can be read there.

Functions and classes travel by name where they have one that can be imported, and as their code
where they were made in a script or at run time, as `cloudpickle` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipelines.engines.passage import HostGraph, Outcome
from pipelines.errors import (
    ExecutorError,
    GraphError,
    HostError,
    Problem,
    StepError,
    describe,
    shorten,
)
from pipelines.letters import plain
from pipelines.worker import portable_error

__all__ = ["check", "dump", "dump_host", "dump_outcome", "load", "load_host", "pack", "portable"]


def dump(value: Any) -> bytes:
    """Return a value as bytes; raises what its pickling raises."""
    from ray import cloudpickle  # the one that workers have too

    return cloudpickle.dumps(value)  # type: ignore[no-any-return]


def load(data: bytes) -> Any:
    """Return the value of bytes; raises what its unpickling raises."""
    from ray import cloudpickle

    return cloudpickle.loads(data)


def pack(node: str, entries: Sequence[Any]) -> bytes:
    """Return a batch as bytes.

    Raises:
        StepError: an item of it can't travel.
    """
    try:
        return dump(entries)
    except Exception as error:
        for entry in entries:
            _try_item(node, entry)
        raise StepError(node, None, error, doing="while its items were sent on") from error


def _try_item(node: str, entry: Any) -> None:
    try:
        dump(entry)
    except Exception as error:
        cause = ExecutorError(
            f"the item can't travel to another process: {describe(error)}. Send plain data on, or "
            "what makes the object: each step can make its own"
        )
        raise StepError(node, entry, cause) from error


# Steps.


def check(hosts: Iterable[HostGraph]) -> None:
    """Look whether the steps of hosts can travel.

    Raises:
        GraphError: one can't; it lists every problem.
    """
    if problems := [each for host in hosts for each in _faults(host)]:
        raise GraphError(problems)


def _faults(host: HostGraph) -> Iterator[Problem]:
    for name, node in host.spec.nodes.items():
        key = "coro" if node.coro is not None else "func"
        yield from _fault(("nodes", name, key), f"the step of node {name!r}", host.targets[name])
        for argument, value in node.args.items():
            path = ("nodes", name, "args", argument)
            yield from _fault(path, f"the argument {argument!r} of node {name!r}", value)
    yield from _fault(("env_vars",), "env_vars", host.env_vars)


def _fault(path: tuple[str, ...], what: str, value: Any) -> Iterator[Problem]:
    try:
        dump(value)
    except Exception as error:
        message = f"{what} can't travel to another process: {describe(error)}."
        hint = "Give it by name or as plain data; a class can make connections when it is entered."
        yield Problem("not-portable", message, path, hint)


def dump_host(host: HostGraph) -> bytes:
    """Return a host's graph as bytes, each step by itself, so that a fault is its node's."""
    nodes = host.spec.nodes
    steps = {name: dump((host.targets[name], node.args)) for name, node in nodes.items()}
    named = {
        name: replace(
            node,
            coro=None if node.coro is None else name,
            func=None if node.func is None else name,
            args={},
        )
        for name, node in nodes.items()
    }
    bare = replace(host, spec=replace(host.spec, nodes=named), targets={}, env_vars=None)
    return dump((bare, steps, dump(host.env_vars)))


def load_host(data: bytes) -> HostGraph:
    """Return the host's graph of bytes.

    Raises:
        StepError: a step can't be had here.
        HostError: the `env_vars` can't.
    """
    host, steps, env_vars = load(data)
    nodes, targets = dict(host.spec.nodes), {}
    for name, step in steps.items():
        targets[name], args = _load_step(name, step)
        nodes[name] = replace(nodes[name], args=args)
    spec = replace(host.spec, nodes=nodes)
    return replace(host, spec=spec, targets=targets, env_vars=_load_env_vars(env_vars))  # type: ignore[no-any-return]


def _load_env_vars(data: bytes) -> Any:
    try:
        return load(data)
    except Exception as error:
        raise HostError(f"the worker can't take the env_vars: {_why(error)}") from error


def _load_step(name: str, data: bytes) -> Any:
    try:
        return load(data)
    except Exception as error:
        cause = HostError(f"the worker can't import the step: {_why(error)}")
        raise StepError(name, None, cause, doing="while starting") from error


def _why(error: Exception) -> str:
    """Return what an error says that came of something that is missing here."""
    if not isinstance(error, ImportError | AttributeError):
        return describe(error)
    return (
        f"{describe(error)}. Workers find what lies in the folder of the graph, what `py_modules` "
        "names, and what is installed there"
    )


# Outcomes.


def dump_outcome(outcome: Outcome, place: str) -> bytes:
    """Return an outcome as bytes; what can't travel is replaced by what says the same.

    Args:
        outcome: without outputs and state.
        place: where it was made, for the note that shows an error's traceback.
    """
    if outcome.error is not None:
        outcome.error = portable(outcome.error, place)
    try:
        return dump(outcome)
    except Exception:
        outcome.letters = [_plain_letter(letter) for letter in outcome.letters]
        return dump(outcome)


def _plain_letter(letter: Mapping[str, Any]) -> dict[str, Any]:
    try:
        dump(letter["item"])
        item = letter["item"]
    except Exception:
        item = shorten(letter["item"])
    return {**letter, "item": item, "args": plain(letter["args"])}


def portable(error: BaseException, place: str) -> BaseException:
    """Return an error that survives the way, with the traceback of the user's code as a note."""
    if not isinstance(error, StepError):
        return portable_error(error, place, _copy)
    cause, item = portable_error(error.cause, place, _copy), error.item
    try:
        _copy(item)
    except Exception:
        item = _Shown(shorten(item))
    return StepError(error.node, item, cause, attempt=error.attempt, doing=error.doing)


def _copy(value: Any) -> Any:
    return load(dump(value))


class _Shown:
    """Stands for an item that can't travel; shows like it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
