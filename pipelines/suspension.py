"""Finding out that a coroutine waits, at once and without asking the event loop."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

__all__ = ["noticed"]


@types.coroutine
def noticed(
    coroutine: Coroutine[Any, Any, None], suspended: Callable[[], object]
) -> Generator[Any, Any, None]:
    """Await a coroutine; call `suspended` when it waits for the first time, if it does.

    It is then as suspended as it will be: all that it has done is done. A callback of the loop,
    scheduled before, would tell the same one turn later, and cost 0.8 µs each time instead of 0.2.
    That it returns nothing saves 0.3 µs: no StopIteration is made to hand it over.
    """
    steps = coroutine.__await__()
    for waits_for in steps:
        suspended()
        yield from _resumed(steps, waits_for)
        return


def _resumed(steps: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with what has waited once."""
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:
            trace = error.__traceback__  # begins here, which is of no interest to anybody
            raised = error.with_traceback(trace and trace.tb_next)
            resume = functools.partial(steps.throw, raised)
        else:
            resume = functools.partial(steps.send, sent)
        try:
            waits_for = resume()
        except StopIteration:
            return
