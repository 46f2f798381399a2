"""A graph as the text of a file: read from it, and written to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.errors import GraphError, Problem, shorten
from pipelines.load import Draft, inspect, prune, read
from pipelines.places import Path
from pipelines.server.limits import Limits, over
from pipelines.server.offer import Offer
from pipelines.server.sanity import insane
from pipelines.server.wire import KEYS, Document, on_wire, steps_in, to_library
from pipelines.spec import GraphSpec

__all__ = ["GraphFiles"]

_VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$\{")


class GraphFiles:
    """Reads and writes graphs for clients; no file of the server's is ever opened for that."""

    def __init__(self, offer: Offer, limits: Limits) -> None:
        self._offer = offer
        self._limits = limits

    def read(self, text: str) -> tuple[Document, dict[str, list[float]]]:
        """Return the graph in a text, as it goes over the wire, and the places of its nodes.

        Raises:
            GraphError: the text is no graph; what the graph means is not looked at.
            Refusal: it is too long.
        """
        if (size := len(text.encode(errors="replace"))) > self._limits.yaml_bytes:
            raise GraphError([over(self._limits, "yaml_bytes", size)])
        draft = read(text, trusted=False)
        drop = inspect(draft)
        problems = [*draft.findings.problems]
        if not problems:
            problems += [*insane(draft.document, self._limits), *_variables(draft.document)]
        if problems:
            raise GraphError(problems)
        return self._from_draft(draft, drop), _layout(draft.document)

    def _from_draft(self, draft: Draft, drop: set[Path]) -> Document:
        document = GraphSpec.from_dict(prune(draft.document, drop)).to_dict()
        for node in [node for _, node in steps_in(document)]:
            name = next((node.pop(key) for key in KEYS if key in node), None)
            if name is not None:
                offered = self._offer.find_reference(name)
                node["func"] = offered.name if offered else name
            if "args" in node:
                node["args"] = _unescaped(node["args"])
        document["nodes"] = {name: _in_order(node) for name, node in document["nodes"].items()}
        return document

    def write(self, document: Document, layout: Mapping[str, Any] | None = None) -> str:
        """Return a graph as the text of a file, its steps named so that ``plumber run`` finds them.

        Raises:
            GraphError: it is no graph.
        """
        problems = insane(document, self._limits)
        if problems:
            raise GraphError(problems)
        draft = read(to_library(document, self._offer), trusted=False)
        drop = inspect(draft)
        if draft.findings.problems:
            raise GraphError(map(on_wire(document), draft.findings.problems))
        plain = prune(draft.document, drop)
        spec = GraphSpec.from_dict(self._with_references(plain))
        places = _layout({"nodes": document["nodes"], "x-layout": layout})
        return spec.to_yaml() + (f"x-layout: {json.dumps(places)}\n" if places else "")

    def _with_references(self, document: Document) -> Document:
        document = json.loads(json.dumps(document))
        for node in [node for _, node in steps_in(document)]:
            for key in KEYS:
                if offered := self._offer.find(node.get(key)):
                    node[key] = offered.reference
        return document


def _in_order(node: Document) -> Document:
    return {key: node[key] for key in ("func", "args", "properties") if key in node}


def _variables(document: Document) -> Iterator[Problem]:
    """Yield each text in arguments that a file's reader would fill in: here nobody does."""
    for path, node in steps_in(document):
        waiting: list[tuple[Path, Any]] = [((*path, "args"), node.get("args"))]
        while waiting:
            where, value = waiting.pop()
            if isinstance(value, dict):
                waiting += [((*where, key), each) for key, each in value.items()]
            elif isinstance(value, list):
                waiting += [((*where, index), each) for index, each in enumerate(value)]
            elif isinstance(value, str) and _VARIABLE.search(value):
                what = f"{shorten(value, 60)}: variables are not filled in here."
                yield Problem("variable", what, where, "Write the value; $$ is a plain dollar.")


def _unescaped(value: Any) -> Any:
    """Return arguments with their ``$$`` as the dollars that they mean in a file."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _unescaped(each) for key, each in value.items()}
    return [_unescaped(each) for each in value] if isinstance(value, list) else value


def _layout(document: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the places of nodes that a document keeps under ``x-layout``, where they are some."""
    places = document.get("x-layout")
    if not isinstance(places, Mapping):
        return {}
    return {
        name: list(place)
        for name, place in places.items()
        if name in document["nodes"] and _is_place(place)
    }


def _is_place(place: Any) -> bool:
    if not isinstance(place, list | tuple) or len(place) != 2:
        return False
    return all(type(each) in (int, float) and abs(each) < 1e6 for each in place)
