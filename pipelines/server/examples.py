"""Graphs to begin with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

__all__ = ["EXAMPLES", "examples_of"]

_BACK_PRESSURE = {
    "nodes": {
        "numbers": {"func": "count", "args": {"stop": 400}},
        "slow": {
            "func": "slow",
            "args": {"seconds": 0.05},
            "properties": {"concurrency": 1, "buffer_size": 32},
        },
        "show": {"func": "show"},
    },
    "graph": {"numbers": ["slow"], "slow": ["show"], "show": None},
}

_DIAMOND = {
    "nodes": {
        "numbers": {"func": "ticks", "args": {"every": 0.2}},
        "square": {"func": "square"},
        "total": {"func": "total"},
        "both": {"func": "pair"},
        "show": {"func": "show"},
    },
    "graph": {
        "numbers": ["square", "total"],
        "square": ["both"],
        "total": ["both"],
        "both": ["show"],
        "show": None,
    },
}

_FAILURES = {
    "nodes": {
        "numbers": {"func": "ticks", "args": {"every": 0.1}},
        "even": {"func": "only", "args": {"keep": "even"}},
        "luck": {
            "func": "flaky",
            "args": {"share": 0.4},
            "properties": {"retry": {"attempts": 2, "backoff": "200ms"}, "on_error": "skip"},
        },
        "show": {"func": "show"},
    },
    "graph": {"numbers": ["even"], "even": ["luck"], "luck": ["show"], "show": None},
}

_PUSH = {
    "nodes": {"input": {}, "reverse": {"func": "reverse"}, "show": {"func": "show"}},
    "graph": {"input": ["reverse"], "reverse": ["show"], "show": None},
}

#: The first one is what a person sees at the first visit.
EXAMPLES: list[dict[str, Any]] = [
    {
        "name": "back-pressure",
        "title": "Back-pressure",
        "doc": "A fast source, and a step that takes its time: the queue between them fills, and "
        "the source has to wait.",
        "graph": _BACK_PRESSURE,
    },
    {
        "name": "diamond",
        "title": "A diamond",
        "doc": "Two ways for each number, paired again where they meet.",
        "graph": _DIAMOND,
    },
    {
        "name": "failures",
        "title": "Steps that fail",
        "doc": "A step that fails now and then is tried again, and left out if it fails again.",
        "graph": _FAILURES,
    },
    {
        "name": "push",
        "title": "Push items yourself",
        "doc": "The input node makes no items: they come from you, while the graph runs.",
        "graph": _PUSH,
    },
]


def examples_of(examples: list[dict[str, Any]], offered: Collection[str]) -> list[dict[str, Any]]:
    """Return those of the examples all of whose steps are offered."""

    def can_run(example: dict[str, Any]) -> bool:
        nodes = example["graph"]["nodes"].values()
        return all(node["func"] in offered for node in nodes if "func" in node)

    return [example for example in examples if can_run(example)]
