"""What a cached result depends on, as a key: the code of a step, its arguments, and its input."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from pipelines.errors import describe, shorten

__all__ = ["code_of", "key_of"]

_PLAIN = (str, int, float, bool, bytes, type(None))


def key_of(code: Any, args: Any, row: tuple[Any, ...]) -> str:
    """Return the key of a result: the same in every run and process for equal values.

    Raises:
        TypeError: an argument or an input can't be pickled, so it can't be compared.
        ImportError: joblib is not installed.
    """
    hashing = _import_joblib()
    try:
        return str(hashing.hash((sys.version_info[:2], code, args, row), hash_name="sha1"))
    except Exception as error:  # pickling runs the code of what is pickled
        why = error.args[0] if error.args else describe(error)
        raise TypeError(
            "the arguments and the input of a cached step are compared by pickling them, and "
            f"{shorten((args, row))} can't be: {why}. Pass plain data, or leave `cache` out."
        ) from error


def code_of(target: Any) -> list[Any]:
    """Return what the behaviour of a step depends on, as data.

    That is its code, defaults and closure, and the code of every function and class of its own
    module that it names, and so on from there; of an object also its state. What it does with
    other modules and with global data is not looked at.
    """
    return list(_parts(target, set()))


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, functools.partial):
        yield from _parts(thing.func, seen)
        yield thing.args, thing.keywords
    elif isinstance(thing, MethodType):
        yield thing.__self__ if not isinstance(thing.__self__, type) else ""
        yield from _parts(thing.__func__, seen)
    elif isinstance(thing, FunctionType):
        yield from _function(thing, seen)
    elif isinstance(thing, type):
        yield from _class(thing, seen)
    elif isinstance(thing, staticmethod | classmethod):
        yield from _parts(thing.__func__, seen)
    elif isinstance(thing, property):
        for accessor in (thing.fget, thing.fset):
            yield from _parts(accessor, seen)
    elif hasattr(thing, "__wrapped__"):  # such as a function with functools.cache
        yield from _parts(thing.__wrapped__, seen)
    elif inspect.isroutine(thing) or isinstance(thing, ModuleType):
        yield getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")
    else:
        yield from _class(type(thing), seen)
        yield thing


def _function(function: FunctionType, seen: set[int]) -> Iterator[Any]:
    yield function.__module__, function.__qualname__, list(_code(function.__code__))
    cells = list(_contents(function.__closure__ or ()))
    for value in (
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
        *cells,
    ):
        yield from _parts(value, seen) if _has_code(value) else [value]
    for name in _names(function.__code__):
        named = function.__globals__.get(name)
        if _has_code(named) and getattr(named, "__module__", None) == function.__module__:
            yield from _parts(named, seen)


def _class(cls: type, seen: set[int]) -> Iterator[Any]:
    seen.add(id(cls))
    for base in cls.__mro__:
        yield base.__module__, base.__qualname__
        if base.__module__ == "builtins" or base.__module__.startswith("pipelines.frontends"):
            continue
        for name, value in sorted(vars(base).items()):
            if _has_code(value):
                yield name
                yield from _parts(value, seen)
            elif isinstance(value, _PLAIN) and name not in ("__module__", "__firstlineno__"):
                yield name, value


def _has_code(value: Any) -> bool:
    kinds = (FunctionType, MethodType, type, staticmethod, classmethod, property, functools.partial)
    return isinstance(value, kinds) or (callable(value) and hasattr(value, "__wrapped__"))


def _code(code: CodeType) -> Iterator[Any]:
    """Give what a code object does, but not where it stands."""
    yield code.co_code
    yield code.co_names
    for constant in code.co_consts:
        yield list(_code(constant)) if isinstance(constant, CodeType) else constant


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _contents(closure: Iterable[CellType]) -> Iterator[Any]:
    for cell in closure:
        with contextlib.suppress(ValueError):  # a name that was not given anything yet
            yield cell.cell_contents


def _import_joblib() -> ModuleType:
    try:
        import joblib
    except ModuleNotFoundError as error:
        raise ImportError("cache needs joblib: pip install 'pipelines[cache]'") from error
    return joblib  # type: ignore[no-any-return]
