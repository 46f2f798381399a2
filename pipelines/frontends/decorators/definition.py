"""The decorators, and what they note of a step: how it runs, and nothing of any run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from pipelines.frontends.decorators.options import (
    check_signature,
    entry_document,
    page_properties,
    tree_properties,
)
from pipelines.metrics import Reporter
from pipelines.spec import Properties

__all__ = ["Definition", "definition_of", "entry_point", "step", "tree_traversal"]

T = TypeVar("T", bound=Callable[..., Any])

_MARK = "__pipelines_step__"


@dataclass(frozen=True, eq=False, slots=True)
class Definition:
    """What a decorator was told of the function or class below it.

    Attributes:
        kind: which decorator it was.
        target: the function or class.
        properties: as of a node in a graph document.
        document: of an entry point: what it says of the whole graph.
        reporters: of an entry point: who is told how the run goes.
    """

    kind: Literal["entry_point", "step", "tree_traversal"]
    target: Callable[..., Any]
    properties: Properties
    document: Mapping[str, Any] | None = None
    reporters: tuple[Reporter, ...] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.target.__name__)

    @property
    def given(self) -> int:
        """How many arguments its call gets before the pipeline's: `p`, and the items."""
        if inspect.isclass(self.target):
            return 0  # its constructor's call
        return 1 if self.kind == "entry_point" else 2

    @property
    def takes_more(self) -> bool:
        """Whether it takes anything of the pipeline's arguments."""
        return len(inspect.signature(self.target).parameters) > self.given


def definition_of(thing: object) -> Definition | None:
    """Return what is known of a decorated function or class; `None` for anything else.

    What a wrapper or a subclass has taken over from a decorated one does not count.
    """
    found = getattr(thing, "__dict__", {}).get(_MARK)
    return found if isinstance(found, Definition) and found.target is thing else None


def _define(definition: Definition) -> Any:
    setattr(definition.target, _MARK, definition)
    return definition.target


@overload
def entry_point(target: T, /) -> T: ...


@overload
def entry_point(
    *,
    name: str | None = None,
    dead_letter: Any = None,
    max_failures: int | str | None = None,
    reporters: Iterable[Reporter] = (),
    **properties: Any,
) -> Callable[[T], T]: ...


def entry_point(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    dead_letter: Any = None,
    max_failures: int | str | None = None,
    reporters: Iterable[Reporter] = (),
    **properties: Any,
) -> Any:
    """Make ``async def start(p, *args, **kwargs)`` what `pipeline` can be started with.

    The function itself is returned. What holds for the whole run is said here.

    Args:
        target: the function, where this stands without parentheses.
        name: what the graph is called in reports and logs.
        dead_letter: what is called with each dead letter: a callable, the name of one, or a mapping
            with `func` and `args`.
        max_failures: how many tolerated failures the run allows: a count, or a share such as 5%.
        reporters: are told how the run goes.
        properties: `retry` and `on_error`, as in a graph document.

    Raises:
        TypeError: `target` is no such function, or a keyword is unknown.
        GraphError: an option is faulty; it lists every problem.
    """

    def decorate(function: T) -> T:
        check_signature("entry_point", function)
        document = entry_document(function, name, dead_letter, max_failures, properties)
        own = Properties.from_dict(document["nodes"][function.__name__]["properties"])
        told = tuple(reporters)
        made: T = _define(Definition("entry_point", function, own, document, told))
        return made

    return decorate if target is None else decorate(target)


@overload
def step(target: T, /) -> T: ...


@overload
def step(
    *, concurrency: int = 1, buffer_size: int = 10_000, page_size: int = 100, **properties: Any
) -> Callable[[T], T]: ...


def step(
    target: Any = None,
    /,
    *,
    concurrency: int = 1,
    buffer_size: int = 10_000,
    page_size: int = 100,
    **properties: Any,
) -> Any:
    """Make ``async def f(p, items, *args, **kwargs)`` a step; the function itself is returned.

    Or a class with ``async def digest(self, p, items)``, which is made with the pipeline's
    arguments, and entered and exited around the run where it can be.

    Args:
        target: the function or class, where this stands without parentheses.
        concurrency: calls at the same time.
        buffer_size: items that may wait for it in all, before who sends has to wait.
        page_size: items that a call gets at most; it gets what is there.
        properties: `retry`, `on_error`, `timeout`, `rate_limit` and `executor`, as in a graph
            document. They hold for a page as a whole.

    Raises:
        TypeError: `target` is no such function or class, or a keyword is unknown.
        ValueError: a size is below 1, or a page larger than the buffer.
        GraphError: another option is faulty; it lists every problem.
    """

    def decorate(thing: T) -> T:
        check_signature("step", thing)
        own = page_properties(thing, concurrency, buffer_size, page_size, properties)
        made: T = _define(Definition("step", thing, own))
        return made

    return decorate if target is None else decorate(target)


@overload
def tree_traversal(target: T, /) -> T: ...


@overload
def tree_traversal(
    *, concurrency: int = 1, buffer_size: int = 1_000, **properties: Any
) -> Callable[[T], T]: ...


def tree_traversal(
    target: Any = None,
    /,
    *,
    concurrency: int = 1,
    buffer_size: int = 1_000,
    **properties: Any,
) -> Any:
    """Make a class that knows the children of a node of a tree a step that goes through trees.

    It has ``async def traverse(self, p, payload, index)``, which yields lists of children. Each of
    these is traversed in its turn, depth first. `index` is the path there from the root, a list of
    child numbers, empty at the root itself. The class itself is returned; it is made with the
    pipeline's arguments, and entered and exited around the run where it can be.

    Args:
        target: the class, where this stands without parentheses.
        concurrency: calls of `traverse` at work at the same time. One whose children have their
            turn is suspended, and does not count.
        buffer_size: roots that may wait for it in all, before who sends has to wait.
        properties: `retry`, `on_error`, `timeout` (up to each list), `rate_limit` and `executor`,
            as in a graph document. They hold for each node of a tree.

    Raises:
        TypeError: `target` is no such class, or a keyword is unknown.
        ValueError: a size is below 1.
        GraphError: another option is faulty; it lists every problem.
    """

    def decorate(thing: T) -> T:
        check_signature("tree_traversal", thing)
        own = tree_properties(thing, concurrency, buffer_size, properties)
        made: T = _define(Definition("tree_traversal", thing, own))
        return made

    return decorate if target is None else decorate(target)
