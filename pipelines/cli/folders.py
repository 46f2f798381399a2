"""Which files of a folder are graphs."""

from __future__ import annotations

import json
import os
import re

from pipelines.cli.sources import PIPE

__all__ = ["graph_files"]

_NODES = re.compile(r"""^(nodes|"nodes"|'nodes')\s*:""", re.MULTILINE)
_SKIPPED = frozenset({"__pycache__", "node_modules"})


def graph_files(folder: str) -> list[str]:
    """Return the files in `folder` and below that look like graphs, sorted; no hidden ones."""
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each[0] != "." and each not in _SKIPPED]
        paths = (os.path.join(parent, each) for each in files if each[0] != ".")
        found += [path for path in paths if _is_graph(path)]
    return sorted(map(os.path.normpath, found))


def _is_graph(path: str) -> bool:
    """Tell whether a file is a program, or has ``nodes`` at its top level, though it be broken."""
    if path.endswith(PIPE):
        return True
    if not path.endswith((".yaml", ".yml", ".json")):
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    if path.endswith(".json"):
        try:
            document = json.loads(text)
        except ValueError:
            return '"nodes"' in text
        return isinstance(document, dict) and "nodes" in document
    return _NODES.search(text) is not None
