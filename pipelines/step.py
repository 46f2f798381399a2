"""Any callable a user gives, in the one shape that the loops know.

`resolve` turns a name into the callable, `shape_of` says what kind of callable it is, and `Step`
binds it to its arguments: whatever it was, a loop calls ``step(item)``.
"""

from __future__ import annotations

import abc
import enum
import functools
import importlib
import inspect
import types
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from pipelines.errors import describe
from pipelines.registry import did_you_mean, steps

__all__ = [
    "CONTROL",
    "SKIP",
    "Later",
    "Route",
    "Shape",
    "Skip",
    "SkipEntry",
    "Step",
    "StreamStep",
    "discard",
    "is_iterable_source",
    "resolve",
    "shape_of",
]


class Skip(enum.Enum):
    """The type of `SKIP`; an Enum member, so that it pickles to itself."""

    SKIP = "SKIP"

    def __repr__(self) -> str:
        return "SKIP"


#: Returned by a step: nothing goes on for this item.
SKIP = Skip.SKIP


class SkipEntry(Exception):
    """Raised by a step: nothing goes on for this item, as where it returns `SKIP`."""


@final
class Route:
    """Returned by a step: send a value to the named edges only.

    ``Route("urgent", item)`` or ``Route({"urgent": a, "archive": b})``; a name is the name of a
    node that an edge leads to. An empty mapping sends nothing, as `SKIP` does.
    """

    __slots__ = ("values",)

    def __init__(self, to: str | Mapping[str, Any], value: Any = None) -> None:
        self.values: Mapping[str, Any] = {to: value} if isinstance(to, str) else dict(to)

    def __repr__(self) -> str:
        return f"Route({self.values!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]  # values need not be hashable


@final
@dataclass(frozen=True, slots=True)
class Later:
    """Returned by a step: try this item again after `seconds`; no failure, and no worker waits."""

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"Later takes seconds of 0 or more, not {self.seconds!r}")


#: Exact types of a result that are no plain value: one set look-up per item tells.
CONTROL = frozenset(
    {Skip, Route, Later, types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType}
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of callable a step is.

    Attributes:
        is_class: constructed with the node's `args`, then its instance is called.
        is_async: calling it gives something to await or to iterate with ``async for``.
        yields: it gives any number of values for one item.
        streams: it takes all items at once, as an iterator; see `StreamStep`.
    """

    is_class: bool = False
    is_async: bool = False
    yields: bool = False
    streams: bool = False


class StreamStep(abc.ABC):
    """The base of a class whose instances take a whole stream: an iterator in, an iterable out.

    It runs in a thread of its own, where its iterator may wait for the next item. A node with a
    `concurrency` of n has n threads, each with its own call of `stream` and its own share of the
    items.
    """

    @abc.abstractmethod
    def stream(self, items: Iterator[Any]) -> Iterable[Any] | None:
        """Return the results of all items; `None` where there are none.

        Args:
            items: gives each item as it comes, and ends when the stream does.
        """


def discard(outcomes: Iterable[Any]) -> None:
    """Close the coroutines among outcomes that nobody will look at."""
    for outcome in outcomes:
        if isinstance(outcome, types.CoroutineType):
            outcome.close()


def shape_of(target: Any) -> Shape:
    """Return the `Shape` of a callable: of a class that defines ``__call__``, its instances'.

    Any other class, such as `str` or a dataclass, is a plain function from an item to an instance.
    """
    if inspect.isclass(target):
        if issubclass(target, StreamStep):
            return Shape(is_class=True, yields=True, streams=True)
        own = next(
            (vars(base)["__call__"] for base in target.__mro__ if "__call__" in vars(base)), None
        )
        return Shape() if own is None else _call_shape(own, is_class=True)
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    return _call_shape(target)


def _call_shape(function: Any, is_class: bool = False) -> Shape:
    if inspect.isasyncgenfunction(function):
        return Shape(is_class, is_async=True, yields=True)
    if inspect.isgeneratorfunction(function):
        return Shape(is_class, yields=True)
    return Shape(is_class, is_async=inspect.iscoroutinefunction(function))


def resolve(name: str) -> Any:
    """Return what `name` names: a registered step, or the object at ``module:qualname``.

    Raises:
        LookupError: nothing has that name; the message says what was looked for and the nearest.
        ImportError: the module can't be found, or raised while it was imported (its cause).
    """
    if ":" not in name:
        return steps.get(name)
    module_name, _, qualname = name.partition(":")
    found: Any = _import(module_name)
    owner = module_name
    for part in qualname.split("."):
        if not hasattr(found, part):
            public = [each for each in dir(found) if not each.startswith("_")]
            raise LookupError(f"{owner!r} has no {part!r}. {did_you_mean(part, public)}".strip())
        found = getattr(found, part)
        owner += f".{part}" if ":" in owner else f":{part}"
    return found


def _import(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ImportError(f"no module named {error.name!r} can be found") from None
        raise ImportError(f"importing {name!r} failed: {error}") from error
    except Exception as error:
        raise ImportError(f"importing {name!r} raised {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Step:
    """A user's callable bound to its node's arguments: calling the bound step takes one item.

    It pickles where its target and arguments do, so that a worker process can bind it for itself.

    Attributes:
        target: the function, class or other callable.
        args: keyword arguments, of the constructor where the shape is a class.
        shape: what kind of callable it is.
        spread: an item is a join's row, handed over as one positional argument each.
        seed: the `Processor` that the seed's protocol wants as first argument, or `None`.
    """

    target: Callable[..., Any]
    args: Mapping[str, Any]
    shape: Shape
    spread: bool = False
    seed: Any = None

    def construct(self) -> Any:
        """Return the object that is entered for the run: of a class its instance, else `None`."""
        if not self.shape.is_class:
            return None
        try:
            return self.target(**self.args)
        except StopIteration as error:  # which a coroutine would make nameless
            raise RuntimeError(f"the constructor raised {describe(error)}") from error

    def bind(self, instance: Any = None) -> Callable[[Any], Any]:
        """Return the one-argument callable, of `instance` where the step is a class."""
        if isinstance(instance, StreamStep):
            return instance.stream
        function = self.target if instance is None else instance
        args = self.args if instance is None else {}
        if self.seed is not None:
            return functools.partial(
                _call_seed if self.spread else _call_seed_1, function, self.seed, args
            )
        if self.spread:
            return functools.partial(_call_spread, function, args)
        return functools.partial(function, **args) if args else function

    def star(self, instance: Any = None) -> Callable[..., Any] | None:
        """Return what takes a row as several arguments, where `bind` would only unpack it.

        To unpack it in C takes half the time.
        """
        if not self.spread or self.seed is not None or (self.args and instance is None):
            return None
        return self.target if instance is None else instance


def _call_spread(
    function: Callable[..., Any], args: Mapping[str, Any], row: tuple[Any, ...]
) -> Any:
    return function(*row, **args)


def _call_seed(
    coro: Callable[..., Any], processor: object, args: Mapping[str, Any], row: tuple[Any, ...]
) -> Any:
    return coro(processor, row, **args)


def _call_seed_1(
    coro: Callable[..., Any], processor: object, args: Mapping[str, Any], item: Any
) -> Any:
    return coro(processor, (item,), **args)


def is_iterable_source(target: Any) -> bool:
    """Tell whether `target` is itself a source of items, not something to call for one."""
    return isinstance(target, Iterable | AsyncIterable) and not callable(target)
