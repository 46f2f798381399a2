"""What a chain remembers of a step: how it was made, how its node runs, what it is linked with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pipelines.registry import did_you_mean
from pipelines.spec import Properties

__all__ = ["OPTIONS", "PROPERTIES", "Record", "is_given_inputs", "named_arguments", "take_options"]

#: The properties of a node, each a keyword of every step.
PROPERTIES = tuple(each.name for each in fields(Properties))

#: All keywords that every step takes besides those of its own constructor.
OPTIONS = ("name", "cache", "notify", *PROPERTIES)

_UNNAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


@dataclass(eq=False)
class Record:
    """What a chain knows of one of its steps.

    Attributes:
        title: what its node is called where nobody says; numbered when that repeats.
        target: what the node calls: a class, of which each run makes an instance, a callable, or
            the name of one.
        args: keyword arguments for it.
        options: the keywords of `OPTIONS` that were given.
        first: what becomes of it where no other step leads to it: it is called once without input
            (``call``) or with ``None`` (``item``), it makes a stream (``source``), or it can't
            stand there (``never``).
        inputs: false where it takes none, and only waits for the steps before it.
        before, after: the steps that `>>` has linked with it, in the order of the links.
        made: its attributes when it was made, to see that nobody changes them later.
        used_up: its items were an iterator, and a run has taken them.
    """

    title: str = ""
    target: Any = None
    args: Mapping[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    first: Literal["call", "item", "source", "never"] = "call"
    inputs: bool = True
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)
    made: Mapping[str, Any] = field(default_factory=dict)
    used_up: bool = False

    @property
    def name(self) -> str:
        """What to call the step in a message."""
        return str(self.options.get("name") or self.title)


def take_options(cls: type, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take out of a constructor's keywords those that are options, and return them.

    A parameter that the constructor itself names comes before an option of the same name.

    Raises:
        TypeError: a keyword is neither.
    """
    parameters = list(_signature(cls).parameters.values())[1:]
    own = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    options = {key: kwargs.pop(key) for key in [*kwargs] if key in OPTIONS and key not in own}
    if not any(each.kind is each.VAR_KEYWORD for each in parameters):
        refuse_unknown(cls, kwargs, (*own, *OPTIONS))
    return options


def refuse_unknown(cls: type, kwargs: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a keyword that is not known.

    Raises:
        TypeError: it names the nearest that is.
    """
    for key in kwargs:
        if key not in known:
            hint = did_you_mean(key, known)
            raise TypeError(f"{cls.__name__}() takes no argument {key!r}. {hint}")


def named_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor by their names, as a graph holds them.

    Raises:
        TypeError: one of them has no name.
    """
    signature = _signature(cls)
    given = dict(signature.bind(None, *args, **kwargs).arguments)
    del given[next(iter(signature.parameters))]
    for parameter in signature.parameters.values():
        if parameter.name in given and parameter.kind in _UNNAMED:
            raise TypeError(
                f"{cls.__name__}() was given {parameter.name!r} by position alone, and a graph "
                "holds arguments by name: take it as an ordinary parameter of __init__"
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= given.pop(parameter.name, {})
    return given


def is_given_inputs(method: Callable[..., Any]) -> bool:
    """Tell whether a method, without its `self`, takes anything by position."""
    parameters = inspect.signature(method).parameters.values()
    return any(each.kind not in _NAMED for each in parameters)


def _signature(cls: type) -> inspect.Signature:
    return inspect.signature(cls.__init__)  # type: ignore[misc]
