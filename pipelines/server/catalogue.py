"""A step as an editor shows it: what kind it is, what its docstring says, what it may be given."""

from __future__ import annotations

import collections.abc
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_origin

from pipelines.server.arguments import annotations_of, object_schema, schema_of
from pipelines.step import shape_of

__all__ = ["Kind", "describe_step", "is_seed", "kind_of"]

Kind = Literal["source", "step", "sink"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STREAMS = (
    collections.abc.Iterable,
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)


def is_seed(target: Any) -> bool:
    """Tell whether a step is a coroutine of the seed's protocol: its first argument is `self`."""
    names = [each.name for each in _parameters(target)]
    return inspect.iscoroutinefunction(target) and len(names) > 1 and names[0] == "self"


def kind_of(target: Any) -> Kind:
    """Return the kind of node that a step is for, as far as its signature says.

    A step is a source if it needs no item and gives several, a sink if it says that it returns
    nothing.
    """
    hints = annotations_of(target)
    if is_seed(target):
        second = _parameters(target)[1]
        queue = second.name == "output_q" or "Queue" in str(second.annotation)
        return "source" if queue else "step"
    if _is_object(target):
        return "source" if not shape_of(target).is_class else "step"
    shape, returned = shape_of(target), get_origin(hints.get("return")) or hints.get("return")
    if (shape.yields or returned in _STREAMS) and not _items(target, hints):
        return "source"
    if not _takes_something(target):
        return "source"
    return "sink" if "return" in hints and returned in (None, types.NoneType) else "step"


def _is_object(target: Any) -> bool:
    """Tell whether a step is a class of which an instance is made for the run."""
    if not inspect.isclass(target):
        return False
    ways = (getattr(target, name, None) for name in ("__iter__", "__aiter__"))
    # Those of `str` and `list` are none of Python's functions: they are made of an item.
    return shape_of(target).is_class or any(map(inspect.isfunction, ways))


def describe_step(name: str, target: Any, kind: Kind, title: str | None = None) -> dict[str, Any]:
    """Return the description of a step: its name, title, kind, help, and the schema of its args."""
    doc = inspect.cleandoc(_doc(target))
    schema = _args_schema(target, kind)
    for argument, words in _documented(doc).items():
        if argument in schema["properties"]:
            schema["properties"][argument].setdefault("description", words)
    return {
        "name": name,
        "title": title or name.replace("_", " "),
        "kind": kind,
        "doc": doc,
        "args": schema,
        "required": schema["required"],
    }


def _doc(target: Any) -> str:
    doc = inspect.getdoc(target)
    if inspect.isclass(target) and doc == inspect.getdoc(object):
        return ""
    return doc or ""


def _args_schema(target: Any, kind: Kind) -> dict[str, Any]:
    hints = annotations_of(target)
    taken = [] if kind == "source" and not is_seed(target) else _items(target, hints)
    named = [
        each
        for each in _parameters(target)
        if each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and each.name not in taken
    ]
    return object_schema(named, hints)


def _parameters(target: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(target).parameters.values())
    except (ValueError, TypeError):  # a builtin that does not say
        return []


def _items(target: Any, hints: Mapping[str, Any]) -> list[str]:
    """Return the parameters that get items: of a seed's the first two, else the leading ones.

    The first one does, if it needs a value that is no plain text or number, or if it is not for a
    source; further ones only where nothing says that they are of a kind that a form can ask for.
    """
    if is_seed(target):
        return [each.name for each in _parameters(target)[:2]]
    if _is_object(target):
        return []
    found: list[str] = []
    shape = shape_of(target)
    for each in _parameters(target):
        if each.kind not in _POSITIONAL or each.default is not each.empty:
            break
        first = not found and not shape.yields
        if not first and _can_be_asked_for(hints.get(each.name)):
            break
        found.append(each.name)
    return found


def _can_be_asked_for(annotation: Any) -> bool:
    return not isinstance(annotation, TypeVar) and bool(schema_of(annotation))


def _takes_something(target: Any) -> bool:
    """Tell whether a call needs a value by position, or takes any number; a builtin may not say."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (ValueError, TypeError):
        return True
    return any(
        each.kind is inspect.Parameter.VAR_POSITIONAL
        or (each.kind in _POSITIONAL and each.default is each.empty)
        for each in parameters
    )


_SECTION = re.compile(r"^Args:\n((?:(?:[ \t]+.*)?\n?)*)", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}\*{0,2}(\w+)(?: \([^)]*\))?: (.*(?:\n {5,}.*)*)", re.MULTILINE)


def _documented(doc: str) -> dict[str, str]:
    """Return what the ``Args:`` section of a docstring says of each argument."""
    section = _SECTION.search(doc)
    if section is None:
        return {}
    return {name: " ".join(words.split()) for name, words in _ARGUMENT.findall(section[1])}
