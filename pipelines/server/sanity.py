"""What no graph may have, looked at before anything else: bad names, and too much of anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.errors import Problem, shorten
from pipelines.places import Path
from pipelines.server.limits import Limits, over
from pipelines.server.wire import Document, steps_in

__all__ = ["insane"]

_DEPTH = 32  # of mappings and lists within each other
_KEY_COUNT = 256  # of one mapping
_NAME_LENGTH = 64
_UNSAFE = frozenset({"__proto__", "constructor", "prototype"})


def insane(document: Document, limits: Limits) -> list[Problem]:
    """Return why a graph is not to be looked at any closer."""
    return [*_unsafe(document), *_too_large(document, limits)]


def _unsafe(document: Any) -> Iterator[Problem]:
    """Yield keys that mean something else to a browser, and what is too deep to be gone through."""
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > _DEPTH:
            yield Problem("too-deep", f"it goes deeper than {_DEPTH} levels here.", path)
            return
        if isinstance(value, dict) and len(value) > _KEY_COUNT:
            what = f"{len(value):,} keys are too many; {_KEY_COUNT} may stand here."
            yield Problem("too-large", what, path)
        elif isinstance(value, dict):
            yield from _bad_keys(value, path)
            waiting += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), each) for index, each in enumerate(value)]


def _bad_keys(mapping: Mapping[Any, Any], path: Path) -> Iterator[Problem]:
    for key in mapping:
        if key in _UNSAFE:
            what, hint = f"the name {key!r} can't be used.", "Take another one."
            yield Problem("bad-name", what, (*path, key), hint)
        elif path == ("nodes",) and not _is_name(key):
            what = f"{shorten(key, 80)} can't be the name of a node."
            hint = f"Write up to {_NAME_LENGTH} letters, digits and signs."
            yield Problem("bad-name", what, (*path, key), hint)


def _is_name(key: object) -> bool:
    text = str(key)
    return 0 < len(text) <= _NAME_LENGTH and text.isprintable() and text == text.strip()


def _too_large(document: Document, limits: Limits) -> Iterator[Problem]:
    nodes, edges = document.get("nodes"), document.get("graph")
    if isinstance(nodes, dict) and len(nodes) > limits.nodes:
        yield over(limits, "nodes", len(nodes), ("nodes",))
    if isinstance(edges, dict):
        if len(edges) > limits.nodes:
            yield over(limits, "nodes", len(edges), ("graph",))
        if (count := sum(map(_edge_count, edges.values()))) > limits.edges:
            yield over(limits, "edges", count, ("graph",))
    for path, node in steps_in(document):
        size = len(json.dumps(node.get("args")).encode())
        if size > limits.args_bytes:
            yield over(limits, "args_bytes", size, (*path, "args"))


def _edge_count(targets: Any) -> int:
    return len(targets) if isinstance(targets, list) else int(targets is not None)
