"""From what a node names as its step to the callable, each name looked up once; and `NodeView`."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import describe, shorten
from pipelines.places import Path
from pipelines.registry import did_you_mean, steps
from pipelines.spec import NodeSpec, Properties
from pipelines.step import Shape, is_iterable_source, resolve, shape_of

__all__ = ["NodeView", "Outcome", "Resolver"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a name led to: `target`, or why nothing; both are empty where nothing was looked up.

    Attributes:
        shape: what kind of callable the target is, if it is one.
        code, message, hint: as of `Problem`.
    """

    target: Any = None
    shape: Shape | None = None
    code: str = ""
    message: str = ""
    hint: str = ""


class Resolver:
    """Looks steps up.

    Args:
        coro_map: maps what stands in a node to its callable, or to another name.
        import_steps: whether modules may be imported at all.
        trusted: whether the graph may say which.
    """

    def __init__(
        self, coro_map: Callable[[Any], Any] | None, *, import_steps: bool, trusted: bool
    ) -> None:
        self._coro_map = coro_map
        self._import_steps = import_steps
        self._trusted = trusted
        self._known: dict[object, Outcome] = {}
        self._broken_modules: dict[str, Outcome] = {}

    def find(self, value: Any) -> Outcome:
        """Return what `value`, a node's `coro` or `func`, leads to."""
        key = value if isinstance(value, str) else id(value)
        if key not in self._known:
            found = self._find(value)
            shape = shape_of(found.target) if callable(found.target) else None
            self._known[key] = replace(found, shape=shape)
        return self._known[key]

    def _find(self, value: Any) -> Outcome:
        if self._coro_map is not None:
            try:
                value = self._coro_map(value)
            except Exception as error:
                what = f"coro_map raised {describe(error)} for {shorten(value, 60)}."
                return Outcome(None, None, "unknown-step", what, "Let it know this name.")
        if isinstance(value, str):
            return self._find_name(value)
        if callable(value) or is_iterable_source(value):
            return Outcome(value)
        whose = "coro_map gave " if self._coro_map else ""
        hint = "Give a function, a class, or a name."
        return Outcome(
            None, None, "not-callable", f"{whose}{shorten(value, 60)} can't be called.", hint
        )

    def _find_name(self, name: str) -> Outcome:
        module, colon, _ = name.partition(":")
        if not self._import_steps:
            return Outcome()
        if colon and not self._trusted:
            hint = did_you_mean(name, steps)
            return Outcome(None, None, "unknown-step", f"{name!r} is not offered here.", hint)
        if colon and module in self._broken_modules:
            return self._broken_modules[module]
        outcome = _resolve(name)
        if outcome.code == "import-failed" and colon:
            self._broken_modules[module] = outcome
        return outcome


def _resolve(name: str) -> Outcome:
    try:
        found = resolve(name)
    except LookupError as error:
        return Outcome(None, None, "unknown-step", _sentence(str(error.args[0])), _spelling(name))
    except (Exception, SystemExit) as error:
        where = _where_raised(error.__cause__ or error)
        what = str(error) if isinstance(error, ImportError) else f"{name!r}: {describe(error)}"
        hint = "Mend that line." if where else "Install it, or check the spelling."
        return Outcome(None, None, "import-failed", _sentence(f"{what}{where}"), hint)
    if callable(found) or is_iterable_source(found):
        return Outcome(found)
    what = f"{name} is {shorten(found, 60)}, which can't be called."
    return Outcome(None, None, "not-callable", what, "Name a function or a class.")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _spelling(name: str) -> str:
    module, dot, last = name.rpartition(".")
    return f"Write it as {module}:{last}." if dot and ":" not in name else ""


def _where_raised(error: BaseException) -> str:
    """Return the line of the user's code that raised `error`, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not frame.filename.startswith(_OURS)
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


_OURS = tuple(function.__code__.co_filename for function in (resolve, _resolve))


def _label(value: Any, target: Any) -> str:
    """Return how to call a step in a message: as the graph names it, or as its module does."""
    if isinstance(value, str):
        return value
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    return f"{module}:{name}" if module and name else shorten(target, 60)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with all that is known about it.

    Attributes:
        spec: as asked for.
        path: where it stands in the document.
        properties: its own, over the graph's and the general ones.
        sources: the nodes that lead to it; empty for an input node.
        target: its step, `None` if that could not be found or there is none.
        shape: what kind of callable that is, `None` for one that is not called.
        vague: more edges may lead here, but they are faulty.
    """

    spec: NodeSpec
    path: Path
    properties: Properties
    sources: tuple[str, ...]
    target: Any = None
    shape: Shape | None = None
    vague: bool = False

    @property
    def key(self) -> str:
        """Which of ``coro`` and ``func`` is given."""
        return "coro" if self.spec.coro is not None else "func"

    @property
    def step_path(self) -> Path:
        """Where its step is named."""
        return (*self.path, self.key)

    @property
    def label(self) -> str:
        """What its step is called in a message."""
        return _label(self.spec.target, self.target)

    @property
    def who(self) -> str:
        """What it is called in a message itself."""
        return "dead_letter" if self.path == ("dead_letter",) else f"node {self.spec.name!r}"
