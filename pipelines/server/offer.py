"""Which steps a graph from the network may name: an explicit offer, and nothing else.

A name is looked up in a table, never imported. What is put into the table is said by whoever starts
the server: by patterns on the command line, or step by step in a script. A pattern offers what it
says by where a thing is really defined, so ``mine:*`` does not offer what ``mine`` has imported.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from pipelines.errors import ServerError
from pipelines.registry import Registry, did_you_mean
from pipelines.registry import steps as registered
from pipelines.server.catalogue import Kind, describe_step, is_seed, kind_of
from pipelines.server.samples import SAMPLES
from pipelines.step import resolve

__all__ = ["DEFAULT", "Offer", "Offered"]

#: What is offered where nobody says what: steps without a file, a URL or a program.
DEFAULT = ("samples", "flatten", "dedupe", "sample", "throttle", "batch")


@dataclass(frozen=True, slots=True)
class Offered:
    """One step that graphs may name.

    Attributes:
        name: as graphs name it.
        target: the callable.
        key: the key under which the library's own documents name it.
        kind: what kind of node it makes.
        reference: how a graph file names it, so that ``plumber run`` finds it.
        description: the step for the editor's palette and form.
    """

    name: str
    target: Any
    key: Literal["coro", "func"]
    kind: Kind
    reference: str
    description: dict[str, Any]


class Offer:
    """The steps that are offered, by name."""

    def __init__(self) -> None:
        self._steps: dict[str, Offered] = {}
        self._by_reference: dict[str, Offered] = {}

    @classmethod
    def allowing(cls, patterns: Iterable[str] = DEFAULT) -> Offer:
        """Return the offer that patterns describe; see `allow`.

        Raises:
            ServerError: a pattern offers nothing.
        """
        offer = cls()
        for pattern in patterns:
            offer.allow(pattern)
        return offer

    def allow(self, pattern: str) -> None:
        """Offer what a pattern says.

        Args:
            pattern: ``samples``; a name, or wildcards for names, of registered steps and samples;
                or ``module:name``, also with wildcards: functions and classes that are defined in
                that module.

        Raises:
            ServerError: it offers nothing.
        """
        if pattern == "samples":
            names = list(SAMPLES)
        elif ":" in pattern:
            self._allow_from_module(pattern)
            return
        else:
            names = [name for name in (*SAMPLES, *registered) if fnmatchcase(name, pattern)]
        if not names:
            hint = did_you_mean(pattern, ("samples", *SAMPLES, *registered))
            raise ServerError(f"no step is named {pattern!r}. {hint}")
        for name in names:
            self._allow_name(name)

    def _allow_name(self, name: str) -> None:
        if name in SAMPLES:
            target, kind = SAMPLES[name]
            self.add(name, target, kind=kind)
            return
        target = _registered(registered, name)
        module = home_of(target)
        if module.partition(".")[0] in sys.stdlib_module_names:
            raise ServerError(
                f"the step {name!r} is really {module}:{_name_of(target)}; "
                "to offer that, name it so"
            )
        self.add(name, target, reference=name)

    def _allow_from_module(self, pattern: str) -> None:
        module, _, names = pattern.partition(":")
        if not any(sign in names for sign in "*?["):
            self._allow_reference(pattern)
            return
        found = [
            (name, thing)
            for name, thing in vars(_module(module)).items()
            if fnmatchcase(name, names) and not name.startswith("_") and _is_own(thing, module)
        ]
        if not found:
            raise ServerError(f"{module!r} defines no function or class that {names!r} matches")
        for name, thing in found:
            self.add(f"{module}:{name}", thing, title=name)

    def _allow_reference(self, reference: str) -> None:
        try:
            target = resolve(reference)
        except (ImportError, LookupError) as error:
            raise ServerError(f"{reference!r} can't be offered: {error.args[0]}") from error
        module, _, name = reference.partition(":")
        if not callable(target):
            raise ServerError(f"{reference!r} can't be offered: it can't be called")
        if home_of(target) != module:
            home = f"{home_of(target)}:{_name_of(target)}"
            raise ServerError(f"{reference!r} is really {home}; to offer that, name it so")
        self.add(reference, target, title=name)

    def add(
        self,
        name: str,
        target: Callable[..., Any],
        *,
        kind: Kind | None = None,
        title: str | None = None,
        reference: str | None = None,
    ) -> None:
        """Offer one step.

        Args:
            name: as graphs will name it.
            target: any step, one of the seed's protocol too.
            kind: ``source``, ``step`` or ``sink``; by default as its signature suggests.
            title: how people call it; by default the name.
            reference: how a graph file names it; by default ``module:name``, where it is defined.

        Raises:
            ServerError: another step has that name.
        """
        if name in self._steps and self._steps[name].target != target:
            raise ServerError(f"two steps are to be offered as {name!r}")
        kind = kind or kind_of(target)
        step = Offered(
            name,
            target,
            "coro" if is_seed(target) else "func",
            kind,
            reference or _reference(target) or name,
            describe_step(name, target, kind, title),
        )
        self._steps[name] = step
        self._by_reference[step.reference] = step

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order in which they were offered."""
        return iter(self._steps)

    def __len__(self) -> int:
        """Return how many steps are offered."""
        return len(self._steps)

    def find(self, name: object) -> Offered | None:
        """Return the step of that name, if one is offered."""
        return self._steps.get(name) if isinstance(name, str) else None

    def find_reference(self, name: object) -> Offered | None:
        """Return the step that a graph file names so, or that is offered under that name."""
        return self.find(name) or self._by_reference.get(str(name))

    def catalogue(self) -> list[dict[str, Any]]:
        """Return the steps as they are described to an editor."""
        return [step.description for step in self._steps.values()]


def home_of(target: Any) -> str:
    """Return the module in which a callable is really defined, whoever has imported it since."""
    function = _bare(target)
    known = getattr(function, "__globals__", {}).get("__name__")
    return str(known or getattr(function, "__module__", None) or type(function).__module__)


def _bare(target: Any) -> Any:
    while isinstance(target, functools.partial):
        target = target.func
    target = inspect.unwrap(target)
    return getattr(target, "__func__", target)


def _is_own(thing: Any, module: str) -> bool:
    return callable(thing) and home_of(thing) == module


def _name_of(target: Any) -> str:
    return str(getattr(_bare(target), "__qualname__", type(target).__qualname__))


def _reference(target: Any) -> str | None:
    """Return the name by which a step can be imported, if there is one."""
    name = f"{home_of(target)}:{_name_of(target)}"
    if "<" in name:
        return None
    try:
        return name if resolve(name) == target else None
    except (ImportError, LookupError):
        return None


def _registered(registry: Registry[Callable[..., Any]], name: str) -> Callable[..., Any]:
    try:
        return registry.get(name)
    except Exception as error:  # another package's step
        raise ServerError(f"the step {name!r} can't be imported: {error}") from error


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ServerError(f"the module {name!r} can't be imported: {error}") from error
