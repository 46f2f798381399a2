"""Processing pipelines said as a graph, run on asyncio.

    spec       the graph as data                    check, load   a file, and its faults
    step       any callable, in one shape           edge          queues, joins, ends
    processor  one node at run time                 loops, pool   how a node goes through its items
    plumber    builds and runs a graph              executor      threads and worker processes
    steps      the batteries                        cli           the command `plumber`

Start with `Plumber`, or `run` for a script; the wiki's Tutorial shows both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# These two first and at once: importing the module of the same name later would hide them.
from pipelines.check import check
from pipelines.load import load

if TYPE_CHECKING:
    from pipelines.errors import GraphError, PipelinesError, Problem, StepError
    from pipelines.metrics import Reporter, RunReport
    from pipelines.plumber import Plumber, run
    from pipelines.processor import Processor
    from pipelines.spec import GraphSpec
    from pipelines.step import SKIP, Later, Route

__all__ = [
    "SKIP",
    "GraphError",
    "GraphSpec",
    "Later",
    "PipelinesError",
    "Plumber",
    "Problem",
    "Processor",
    "Reporter",
    "Route",
    "RunReport",
    "StepError",
    "check",
    "load",
    "run",
]

# The others when they are first asked for: asyncio alone doubles the time of a bare import.
_HOMES = {
    "SKIP": "step",
    "GraphError": "errors",
    "GraphSpec": "spec",
    "Later": "step",
    "PipelinesError": "errors",
    "Plumber": "plumber",
    "Problem": "errors",
    "Processor": "processor",
    "Reporter": "metrics",
    "Route": "step",
    "RunReport": "metrics",
    "StepError": "errors",
    "run": "plumber",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pipelines.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
