"""What a step is in the graph: a class that the engine enters, calls with each page, and exits."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.failure import misused
from pipelines.frontends.decorators.definition import Definition
from pipelines.frontends.decorators.potato import Potato, Sender
from pipelines.processor import enter
from pipelines.step import CONTROL, SKIP, Skip

if TYPE_CHECKING:
    from pipelines.frontends.decorators.run import Run

__all__ = ["DecoratedNode", "Pages"]


class DecoratedNode:
    """The base of what the engine calls. Each node has a subclass of its own, which names its run.

    Attributes:
        run: the run.
        definition: what was decorated.
        name: of the node.
    """

    run: ClassVar[Run]
    definition: ClassVar[Definition]
    name: ClassVar[str]

    #: Sends what its calls send, and makes a call.
    sender: Sender
    call: Callable[..., Any]

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Make what the step is an instance of, and enter that."""
        self.sender = Sender(self.run, self.run.plumber[self.name])
        args, kwargs = self.run.arguments(self.definition)
        target: Callable[..., Any] = self.definition.target
        if not inspect.isclass(target):
            self.call = functools.partial(_call, target, args, kwargs)
            return self
        instance = target(*args, **kwargs)
        await enter(instance, self._stack)
        self.call = getattr(instance, "digest" if self.definition.kind == "step" else "traverse")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Exit the instance."""
        await self._stack.__aexit__(kind, error, trace)


def _call(
    function: Callable[..., Any], args: Any, kwargs: Any, potato: Potato, items: list[Any]
) -> Any:
    return function(potato, items, *args, **kwargs)


class Pages(DecoratedNode):
    """A step that gets pages of items."""

    async def __call__(self, page: list[Any]) -> AsyncIterator[Skip]:
        """Call the step with a page; it sends by itself, and nothing comes of the call."""
        potato = Potato(self.sender, self.name)
        try:
            async with potato.limit(self.definition.properties.timeout):
                result = await self.call(potato, list(page))
            if type(result) in CONTROL and result is not SKIP:
                raise misused(result)
        except (Exception, asyncio.CancelledError):
            if potato.sent:
                # To the engine the call has yielded, so it is not made again: items would be
                # sent twice.
                yield SKIP
            raise
        finally:
            potato.close()
