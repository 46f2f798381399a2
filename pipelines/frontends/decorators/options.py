"""Whether a decorator's target and options will do, by the rules of a graph document."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeVar

from pipelines.check import examine
from pipelines.checks.signatures import Call, misfits
from pipelines.errors import GraphError, shorten
from pipelines.registry import did_you_mean
from pipelines.spec import Properties

__all__ = ["check_signature", "entry_document", "named_as", "page_properties", "tree_properties"]

#: Seconds within which a page is handed over: what is there, without waiting for more.
AT_ONCE: Final = 1e-6

T = TypeVar("T")

_SPELLING: Final = {
    "entry_point": "async def start(p, *args, **kwargs)",
    "step": "async def f(p, items), or a class with async def digest(self, p, items)",
    "tree_traversal": "a class with async def traverse(self, p, payload, index) that yields lists",
}
_POLICY: Final = ("retry", "on_error")
_OPTIONS: Final = (*_POLICY, "timeout", "rate_limit", "executor")
_REFUSED: Final = {
    "aggregate_inputs": "what is sent to a step is merged as it comes",
    "batch": "a step gets its items in pages: say page_size",
    "join": "what is sent to a step is merged as it comes",
    "ordered": "a step sends when it likes; with concurrency=1 that is in order",
    "page_size": "a tree is gone through one node at a time",
    "waiting_limit": "it is for steps that return Later, and one that sends by itself can't",
}


def check_signature(kind: str, target: Any) -> None:
    """Look whether a decorator's target is what it can decorate.

    Raises:
        TypeError: it isn't; the message shows the right spelling.
    """
    called, given, is_method = target, 1 if kind == "entry_point" else 2, False
    if inspect.isclass(target) and kind != "entry_point":
        method = "digest" if kind == "step" else "traverse"
        called, is_method = getattr(target, method, None), True
        given = 2 if kind == "step" else 3
    right = inspect.isasyncgenfunction if kind == "tree_traversal" else inspect.iscoroutinefunction
    named = inspect.isfunction(target) or inspect.isclass(target)
    if not named or is_method != inspect.isclass(target) or not right(called):
        raise TypeError(f"@{kind} is for {_SPELLING[kind]}, not for {_describe(target)}")
    if kind == "tree_traversal" and not is_method:
        raise TypeError(f"@{kind} is for {_SPELLING[kind]}, not for {_describe(target)}")
    faults = [each.kind for each in misfits(called, Call(given), method=is_method)]
    if "inputs" in faults:
        raise TypeError(
            f"@{kind}: {_describe(target)} takes too few arguments: write {_SPELLING[kind]}"
        )


def _describe(target: Any) -> str:
    if inspect.isclass(target):
        return f"the class {target.__qualname__}"
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        return f"{target.__qualname__}(), which yields"
    if inspect.isfunction(target) and not inspect.iscoroutinefunction(target):
        return f"{target.__qualname__}(), which is no async def"
    if inspect.isfunction(target):
        return f"{target.__qualname__}()"
    return shorten(target, 60)


def entry_document(
    target: Callable[..., Any],
    name: str | None,
    dead_letter: Any,
    max_failures: int | str | None,
    properties: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the document of a graph that has an entry point and nothing else as yet.

    Raises:
        TypeError: a property is none of an entry point.
        GraphError: the document is faulty.
    """
    _check_names("entry_point", properties, _POLICY)
    document: dict[str, Any] = {
        "nodes": {target.__name__: {"coro": _entry_stub(target), "properties": dict(properties)}}
    }
    if name is not None:
        document["name"] = name
    if dead_letter is not None:
        is_node = isinstance(dead_letter, Mapping)
        document["dead_letter"] = dead_letter if is_node else {"func": dead_letter}
    if max_failures is not None:
        document["runtime"] = {"max_failures": max_failures}
    if properties or len(document) > 1:
        _check(document)
    return document


def page_properties(
    target: Callable[..., Any],
    concurrency: int,
    buffer_size: int,
    page_size: int,
    properties: Mapping[str, Any],
) -> Properties:
    """Return the properties of a step's node.

    Raises:
        TypeError, ValueError, GraphError: as of `definition.step`.
    """
    _check_names("step", properties, _OPTIONS)
    _check_sizes(concurrency=concurrency, buffer_size=buffer_size, page_size=page_size)
    if page_size > buffer_size:
        raise ValueError(
            f"page_size ({page_size:,}) is more than buffer_size ({buffer_size:,}): no page could "
            "ever be full; say both"
        )
    sizes = {"concurrency": concurrency, "buffer_size": buffer_size}
    batch = {"size": page_size, "timeout": AT_ONCE}
    return _properties(target, {**sizes, "batch": batch, **properties}, bool(properties))


def tree_properties(
    target: Callable[..., Any], concurrency: int, buffer_size: int, properties: Mapping[str, Any]
) -> Properties:
    """Return the properties of a tree's node.

    Raises:
        TypeError, ValueError, GraphError: as of `definition.tree_traversal`.
    """
    _check_names("tree_traversal", properties, _OPTIONS)
    _check_sizes(concurrency=concurrency, buffer_size=buffer_size)
    sizes = {"concurrency": concurrency, "buffer_size": buffer_size}
    return _properties(target, {**sizes, **properties}, bool(properties))


def _properties(target: Callable[..., Any], said: dict[str, Any], check: bool) -> Properties:
    if check:
        name = target.__name__
        nodes = {f"before {name}": {}, name: {"func": _page_stub(target), "properties": said}}
        # Whether there is a step for dead letters is known when the pipeline runs.
        buried = said.get("on_error") == "dead_letter"
        letters = {"dead_letter": {"func": print}} if buried else {}
        _check({"nodes": nodes, "graph": {f"before {name}": [name]}, **letters})
    return Properties.from_dict({"aggregate_inputs": False, "ordered": False, **said})


def _page_stub(target: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for a step where only its kind and its name matter."""

    async def stub(page: Any) -> AsyncIterator[Any]:
        yield page

    return named_as(target, stub)


def _entry_stub(target: Callable[..., Any]) -> Callable[..., Any]:
    async def stub(processor: Any, output_q: Any) -> None:
        """Do nothing."""

    return named_as(target, stub)


def named_as(target: Callable[..., Any], thing: T) -> T:
    """Return `thing`, named as a step of the user's, for messages and pictures."""
    for name in ("__module__", "__name__", "__qualname__"):
        setattr(thing, name, getattr(target, name))
    return thing


def _check_names(kind: str, properties: Mapping[str, Any], known: tuple[str, ...]) -> None:
    sizes = {
        "entry_point": ("name", "dead_letter", "max_failures", "reporters"),
        "step": ("concurrency", "buffer_size", "page_size"),
        "tree_traversal": ("concurrency", "buffer_size"),
    }[kind]
    faults = [_fault(name, (*sizes, *known)) for name in properties if name not in known]
    if faults:
        raise TypeError(f"@{kind}: {'; '.join(faults)}")


def _fault(name: str, known: tuple[str, ...]) -> str:
    if name in _REFUSED:
        return f"{name} can't be set: {_REFUSED[name]}"
    return f"there is no {name!r}. {did_you_mean(name, known)}".rstrip(".")


def _check_sizes(**sizes: Any) -> None:
    wrong = [
        f"{name} must be a whole number, not {shorten(size, 60)}"
        for name, size in sizes.items()
        if not isinstance(size, int) or isinstance(size, bool)
    ]
    if wrong:
        raise TypeError("; ".join(wrong))
    small = [f"{name} must be 1 or more, not {size}" for name, size in sizes.items() if size < 1]
    if small:
        raise ValueError("; ".join(small))


def _check(document: Mapping[str, Any]) -> None:
    problems = [each for each in examine(document).problems if each.severity == "error"]
    if problems:
        raise GraphError(problems)
