"""A table of names with "did you mean", and the one of steps that everything registers in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from importlib import metadata

__all__ = ["Registry", "did_you_mean", "engines", "nearest", "steps"]

T = TypeVar("T")
U = TypeVar("U")


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or `None` if none is close."""
    import difflib

    found = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"``, or the list of valid names, or an empty string."""
    known = sorted(known)
    if guess := nearest(name, known):
        return f"Did you mean {guess!r}?"
    if not known:
        return ""
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"Known: {shown}."


class Registry(Generic[T]):
    """Things by name, some of them found in other people's installed packages.

    Args:
        kind: what is registered, in the singular, for messages.
        group: the entry-point group in which other distributions offer more;
            read at the first look-up that needs it.
        home: a module of ours that registers the built-in ones when imported.
    """

    def __init__(self, kind: str, group: str | None = None, home: str | None = None) -> None:
        self.kind = kind
        self._group = group
        self._home = home
        self._things: dict[str, T] = {}
        self._offered: dict[str, metadata.EntryPoint] | None = None

    def register(self, name: str) -> Callable[[U], U]:
        """Return a decorator that registers what it decorates under `name`.

        Raises:
            ValueError: the name is taken by another thing.
        """

        def decorate(thing: U) -> U:
            self.add(name, cast(T, thing))
            return thing

        return decorate

    def add(self, name: str, thing: T) -> None:
        """Register `thing` under `name`.

        Raises:
            ValueError: the name is taken by another thing.
        """
        if self._things.get(name, thing) is not thing:
            raise ValueError(f"a {self.kind} named {name!r} is already registered")
        self._things[name] = thing

    def get(self, name: str) -> T:
        """Return the thing called `name`.

        Raises:
            LookupError: nothing has that name; the message suggests the nearest.
        """
        self._import_home()
        if name not in self._things and name in self._entry_points():
            self._things[name] = self._entry_points()[name].load()
        if name not in self._things:
            raise LookupError(f"no {self.kind} is named {name!r}. {did_you_mean(name, self)}")
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        self._import_home()
        return name in self._things or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        """Iterate over all names, sorted."""
        self._import_home()
        return iter(sorted({*self._things, *self._entry_points()}))

    def _import_home(self) -> None:
        if self._home is not None:
            home, self._home = self._home, None
            __import__(home)

    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        if self._offered is None:
            from importlib import metadata  # 20 ms that most runs do without

            found = metadata.entry_points(group=self._group) if self._group else ()
            self._offered = {entry.name: entry for entry in found}
        return self._offered


#: Steps by name: ours, and those that other packages offer as ``pipelines.steps`` entry points.
steps: Registry[Callable[..., Any]] = Registry(
    "step", group="pipelines.steps", home="pipelines.steps"
)

#: What makes an engine, by name: `build.Engine`. Other packages may offer ``pipelines.engines``.
engines: Registry[Callable[..., Any]] = Registry(
    "engine", group="pipelines.engines", home="pipelines.engines"
)
