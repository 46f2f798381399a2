"""A graph on the wire, and as the library's own document.

On the wire a node names its step under ``func``, whichever protocol the step speaks: the server
knows. Everything else is the library's own document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pipelines.errors import Problem
from pipelines.places import Path
from pipelines.server.offer import Offer

__all__ = ["KEYS", "Document", "named", "on_wire", "steps_in", "to_library"]

Document = dict[str, Any]

#: What a step may stand under.
KEYS = ("coro", "func")


def to_library(document: Document, offer: Offer) -> Document:
    """Return the document with each step under the key of the protocol that it speaks."""
    nodes = document.get("nodes")
    if not isinstance(nodes, dict):
        return document
    return {**document, "nodes": {name: _own_key(node, offer) for name, node in nodes.items()}}


def _own_key(node: Any, offer: Offer) -> Any:
    step = offer.find(named(node))
    if step is None:
        return node
    return {step.key if key in KEYS else key: value for key, value in node.items()}


def on_wire(document: Document) -> Callable[[Problem], Problem]:
    """Return what moves a problem from the library's document to where it stands on the wire."""

    def move(problem: Problem) -> Problem:
        path = problem.path
        if len(path) < 3 or path[0] != "nodes" or path[2] not in KEYS:
            return problem
        node = document["nodes"].get(path[1])
        key = next((key for key in KEYS if key in (node or {})), path[2])
        return replace(problem, path=(*path[:2], key, *path[3:]))

    return move


def named(node: Any) -> Any:
    """Return what a node names as its step, if it is one thing."""
    said = [node[key] for key in KEYS if key in node] if isinstance(node, dict) else []
    return said[0] if len(said) == 1 else None


def steps_in(document: Document) -> Iterator[tuple[Path, Document]]:
    """Yield each part of a document that names a step, and where it stands."""
    nodes = document.get("nodes")
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        if isinstance(node, dict):
            yield ("nodes", name), node
    if isinstance(document.get("dead_letter"), dict):
        yield ("dead_letter",), document["dead_letter"]
