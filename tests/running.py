"""Short ways to say a graph and to run it to its end, for the engine's tests."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import pytest
from virtual_time import VirtualLoop

from pipelines import Plumber, RunReport

T = TypeVar("T")

#: Virtual seconds after which a run that has not ended counts as one that never will.
LONG = 20.0

#: What hung, kept so that no later test is troubled by its being collected.
_ABANDONED: list[Any] = []


def named(argument: Any) -> str:
    """Name a parametrised test without addresses: all workers must find the same names."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(argument))[:60]


def node(
    target: Any, /, args: Mapping[str, Any] | None = None, **properties: Any
) -> dict[str, Any]:
    """Return the document of one node with a `func`."""
    said: dict[str, Any] = {"func": target, "properties": properties}
    return said | ({"args": dict(args)} if args else {})


def graph(edges: str, /, **nodes: Any) -> dict[str, Any]:
    """Return the document of a graph.

    Args:
        edges: such as ``"s > a b; a > j; b > j"``.
        nodes: a node's document, or what is its `func`.
    """
    lines = [line.split(">") for line in edges.split(";")]
    return {
        "nodes": {
            name: target if isinstance(target, dict) else {"func": target}
            for name, target in nodes.items()
        },
        "graph": {source.strip(): targets.split() for source, targets in lines},
    }


def ended(
    coroutine: Coroutine[Any, Any, T],
    within: float = LONG,
    loop: Callable[[], asyncio.AbstractEventLoop] = VirtualLoop,
) -> T:
    """Return a coroutine's result; fail if it does not end, without waiting for it any longer.

    What a hanging run leaves behind can't be ended from here, so its loop is closed as it stands.
    """
    runner = asyncio.Runner(loop_factory=loop)
    task: asyncio.Task[T] = runner.get_loop().create_task(coroutine)
    runner.run(_wait(task, within))
    if task.done():
        runner.close()
        return task.result()
    _ABANDONED.append((runner, asyncio.all_tasks(runner.get_loop())))
    with contextlib.suppress(RuntimeError):
        runner.get_loop().close()
    pytest.fail(f"not ended within {within:g} s", pytrace=False)


async def _wait(task: asyncio.Task[Any], within: float) -> None:
    await asyncio.wait([task], timeout=within)


def really_ended(coroutine: Coroutine[Any, Any, T], within: float = 5.0) -> T:
    """Return a coroutine's result, on real time.

    For what runs in threads and processes, and for what is never idle: virtual time stands still
    as long as anything can go on.
    """
    return ended(coroutine, within, asyncio.new_event_loop)


def run(document: Any, within: float = LONG, **options: Any) -> RunReport:
    """Run a graph to its end on virtual time."""
    return ended(Plumber(document, **options).run(), within)


def really_run(document: Any, **options: Any) -> RunReport:
    """Run a graph to its end on real time."""
    return really_ended(Plumber(document, **options).run())


async def turns(count: int) -> None:
    """Let the event loop turn `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until a condition holds."""
    while not condition():  # noqa: ASYNC110 (what is waited for is the engine's, and has no event)
        await asyncio.sleep(0.001)


def same(value: Any) -> Any:
    """Be the step that changes nothing."""
    return value


def pair(*values: Any) -> tuple[Any, ...]:
    """Be the join that gives its row as it is."""
    return values


async def later(value: Any) -> Any:
    """Be the async step that changes nothing, some time later, another one for each item."""
    await asyncio.sleep(sum(map(ord, str(value))) * 7919 % 11 / 1000)
    return value
