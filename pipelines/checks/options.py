"""Options of a node that contradict each other, or what its step is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final, Literal

from pipelines.checks.targets import NodeView
from pipelines.places import Findings, Path
from pipelines.step import Later

__all__ = ["Clash", "check_options"]


def check_options(view: NodeView, dead_letter: bool, said: set[str], findings: Findings) -> None:
    """Note options that contradict each other, or what the step is.

    Args:
        view: the node.
        dead_letter: whether the graph has a step for dead letters.
        said: the codes of faults of the graph's `defaults` that were noted for another node.
        findings: is given the faults.
    """
    for rule in _RULES:
        for clash in rule(view):
            _note_clash(clash, view, said, findings)
    if view.properties.on_error == "dead_letter" and not dead_letter:
        hint = "Add `dead_letter: {func: ...}` to the graph, or use skip."
        clash = Clash("no-dead-letter", "the graph has no dead_letter step.", hint, "on_error")
        _note_clash(clash, view, said, findings)


@dataclass(frozen=True, slots=True)
class Clash:
    """An option that can't be had.

    Attributes:
        code, message, hint, severity: as of `Problem`.
        option: the property it is about, or empty for the step itself.
    """

    code: str
    message: str
    hint: str
    option: str = ""
    severity: Literal["error", "warning"] = "error"


def _note_clash(clash: Clash, view: NodeView, said: set[str], findings: Findings) -> None:
    path: Path
    if not clash.option:
        path = view.step_path
    elif getattr(view.spec.properties, clash.option) is not None:
        path = (*view.path, "properties", clash.option)
    elif clash.code in said:
        return
    else:
        said.add(clash.code)
        path = ("defaults", clash.option)
    what = f"{view.who}: {clash.message}"
    findings.add(clash.code, what, path, clash.hint, severity=clash.severity)


def _coro(view: NodeView) -> Iterator[Clash]:
    if view.key != "coro" or view.shape is None:
        return
    if view.shape.yields or not view.shape.is_async:
        kind = "yields" if view.shape.yields else "is no `async def`"
        what = f"{view.label} {kind}; a coro is an `async def` that returns."
        yield Clash("coro-not-async", what, "Use func.")


def _executor(view: NodeView) -> Iterator[Clash]:
    executor, shape = view.properties.executor, view.shape
    if executor == "inline" or _streams(view):
        return
    if executor == "process" and not view.sources:
        what = "an input node can't run in a process."
        yield Clash("process-source", what, "Use executor: thread.", "executor")
    if shape is not None and shape.is_async:
        what = f"{view.label} is async, so it runs in the event loop, not in a {executor}."
        yield Clash("async-in-executor", what, "Use executor: inline.", "executor")
    elif view.key == "coro":
        what = f"a coro runs in the event loop, not in a {executor}."
        yield Clash("coro-in-executor", what, "Use executor: inline, or func.", "executor")
    if executor == "process" and (name := _local_name(view.target)):
        hint = "Define it at the top of a module."
        what = f"{name} can't be sent to a process, which finds a step by its name."
        yield Clash("not-picklable", what, hint, "executor")
    if (
        shape is not None
        and shape.is_class
        and not shape.is_async
        and _only_async_enter(view.target)
    ):
        hint = "Give it __enter__ and __exit__, or use executor: inline."
        what = f"{view.label} has only an async enter, which a {executor} can't await."
        yield Clash("async-enter", what, hint, "executor")


def _local_name(target: Any) -> str:
    target = _unbound(target)
    name = getattr(target, "__qualname__", "") or type(target).__qualname__
    return name if "<" in name else ""


def _only_async_enter(target: Any) -> bool:
    return hasattr(target, "__aenter__") and not hasattr(target, "__enter__")


def _inline_sync(view: NodeView) -> bool:
    sync = view.shape is not None and not view.shape.is_async and view.key == "func"
    return sync and not _streams(view) and view.properties.executor == "inline"


def _timeout(view: NodeView) -> Iterator[Clash]:
    if view.properties.timeout is not None and view.sources and _inline_sync(view):
        what = f"{view.label} is not async, so nothing can interrupt it in the event loop."
        hint = "Use executor: thread or process, or make it async."
        own = view.spec.properties.timeout is not None
        severity: Literal["error", "warning"] = "error" if own else "warning"
        yield Clash("timeout-inline", what, hint, "timeout", severity)


def _no_effect(view: NodeView) -> Iterator[Clash]:
    own = view.spec.properties
    if own.batch is not None and not view.sources:
        what = "an input node takes no items, so it can't batch them."
        yield Clash("batch-on-input", what, "Put batch on the next node.", "batch")
    if own.timeout is not None and not view.sources:
        what = "an input node makes its items in one go, so there is no call to time."
        hint = "Put timeout on the next node, or give the whole run one."
        yield Clash("timeout-on-input", what, hint, "timeout")
    if own.join is not None and not _is_join(view) and not view.vague:
        what, hint = "join has no effect: this node does not pair several inputs.", "Remove it."
        yield Clash("no-effect", what, hint, "join", "warning")
    if (own.concurrency or 1) > 1 and (not view.sources or _inline_sync(view)):
        why = "a source runs once" if not view.sources else "this step is not async"
        hint = "Remove it." if not view.sources else "Use executor: thread, or remove it."
        what = f"concurrency has no effect: {why}."
        yield Clash("no-effect", what, hint, "concurrency", "warning")


def _is_join(view: NodeView) -> bool:
    return len(view.sources) > 1 and bool(view.properties.aggregate_inputs)


def _stream(view: NodeView) -> Iterator[Clash]:
    if not _streams(view):
        return
    if not view.sources and not view.vague:
        what = f"{view.label} takes the items of a stream, and no edge leads here."
        yield Clash("stream-source", what, "Lead an edge here.")
    if view.properties.executor == "process":
        what = f"{view.label} takes a whole stream, which no process can be handed."
        yield Clash("stream-in-process", what, "Use executor: thread, or leave it out.", "executor")
    if (view.properties.concurrency or 1) > 1 and view.properties.ordered:
        what = "several streams at once can't keep the order of their items."
        yield Clash("stream-ordered", what, "Set ordered: false.", "concurrency")
    own = view.spec.properties
    for option in ("retry", "timeout", "rate_limit"):
        if getattr(own, option) is not None:
            yield _no_policy(option)
    if own.on_error not in (None, "fail"):
        yield _no_policy("on_error")


def _no_policy(option: str) -> Clash:
    what = f"{option} is for single items, and this step takes a whole stream in one call."
    return Clash("stream-policy", what, "Remove it, or use a step that takes an item.", option)


def _streams(view: NodeView) -> bool:
    return view.shape is not None and view.shape.streams


def _polling(view: NodeView) -> Iterator[Clash]:
    if view.properties.ordered and view.shape is not None and _mentions_later(view):
        what = "it returns Later, and an ordered node must hold later results back meanwhile."
        yield Clash("polling-ordered", what, "Set ordered: false.", severity="warning")


def _mentions_later(view: NodeView) -> bool:
    function = inspect.unwrap(_called(view.target))
    code, names = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    if not isinstance(code, CodeType):
        return False
    return any(name == "Later" or names.get(name) is Later for name in _names(code))


def _called(target: Any) -> Any:
    """Return the function that runs for an item."""
    target = _unbound(target)
    if inspect.isclass(target):
        target = target.__call__
    elif not inspect.isroutine(target):
        target = type(target).__call__
    return getattr(target, "__func__", target)


def _unbound(target: Any) -> Any:
    while isinstance(target, functools.partial):
        target = target.func
    return target


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


_RULES: Final[tuple[Callable[[NodeView], Iterator[Clash]], ...]] = (
    _coro,
    _executor,
    _timeout,
    _no_effect,
    _stream,
    _polling,
)
