"""Write a graph as a program in the `.pipe` language; see the wiki page *Pipe-language*.

`load` makes a `GraphSpec` of a program, which a `Plumber` runs, and `check` says what is wrong with
one. Functions of steps return a `Result` to be called again later, to start over, or to give up.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# At once, and alone: the programs' own files import these.
from pipelines.frontends.pipelang.result import Result, Status, cancel, done, pending, reset

if TYPE_CHECKING:
    from pipelines.frontends.pipelang.reading import check, examine, load

__all__ = ["Result", "Status", "cancel", "check", "done", "examine", "load", "pending", "reset"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.reading"), name)
    globals()[name] = value
    return value
