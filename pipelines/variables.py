"""``${VARIABLE}`` in the values of a graph file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipelines.places import Findings, Path, dotted
from pipelines.yamltext import scalar

__all__ = ["fill_variables"]

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<inside>[^{}]*)\}|(?P<open>\{))")
_INSIDE = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<kind>[-?]?)(?P<rest>.*))?", re.DOTALL
)


def fill_variables(
    document: Any, env: Mapping[str, str], findings: Findings
) -> tuple[Any, set[Path]]:
    """Return `document` with its variables filled in, and the paths of those that could not be.

    Only the values under a node's `args` and `properties`, `defaults`, `runtime` and the dead
    letter's `args` are looked at: what runs, and its wiring, stand in the file as they are.
    """
    if not isinstance(document, Mapping):
        return document, set()
    fill = _Filler(env, findings)
    filled = dict(document)
    for key in ("defaults", "runtime"):
        if key in filled:
            filled[key] = fill.value(filled[key], (key,))
    if "dead_letter" in filled:
        filled["dead_letter"] = fill.members(filled["dead_letter"], ("dead_letter",), ("args",))
    if isinstance(filled.get("nodes"), Mapping):
        filled["nodes"] = {
            name: fill.members(node, ("nodes", name), ("args", "properties"))
            for name, node in filled["nodes"].items()
        }
    return filled, fill.missing


class _Filler:
    def __init__(self, env: Mapping[str, str], findings: Findings) -> None:
        self._env = env
        self._findings = findings
        self.missing: set[Path] = set()

    def members(self, owner: Any, path: Path, keys: tuple[str, ...]) -> Any:
        """Return a mapping with only the values at `keys` filled."""
        if not isinstance(owner, Mapping):
            return owner
        return {k: self.value(v, (*path, k)) if k in keys else v for k, v in owner.items()}

    def value(self, value: Any, path: Path) -> Any:
        """Return a value with all text within it filled, but for what an override has set."""
        if path in self._findings.moved:
            return value
        if isinstance(value, str):
            return self._text(value, path) if "$" in value else value
        if isinstance(value, dict):
            return {key: self.value(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, (*path, index)) for index, each in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> Any:
        filled = _DOLLAR.sub(lambda match: self._one(match, path), text)
        whole = _DOLLAR.fullmatch(text)
        if path in self.missing:
            return None
        return _typed(filled) if whole and whole["inside"] is not None else filled

    def _one(self, match: re.Match[str], path: Path) -> str:
        if match["dollar"]:
            return "$"
        inside = _INSIDE.fullmatch(match["inside"] or "")
        if inside is None:
            hint = "Write ${NAME} or ${NAME:default}, and $$ for a plain dollar."
            return self._fail("bad-variable", f"{match[0]!r} is no variable.", path, hint)
        name, kind, rest = inside["name"], inside["kind"], inside["rest"]
        value = self._env.get(name)
        if value or (value is not None and not kind):
            return value
        if kind == "?":
            return self._fail(
                "unset-variable", f"{name}: {rest or 'not set'}.", path, f"Set {name}."
            )
        if rest is None:
            hint = f"Set it, or write ${{{name}:default}}."
            return self._fail("unset-variable", f"the variable {name} is not set.", path, hint)
        return str(rest)

    def _fail(self, code: str, what: str, path: Path, hint: str) -> str:
        self._findings.add(code, f"{dotted(path)}: {what}", path, hint)
        self.missing.add(path)
        return ""


def _typed(text: str) -> Any:
    """Return what YAML would make of `text`; text that stays text keeps its white space."""
    try:
        value = scalar(text.strip())
    except ValueError:
        return text
    return text if isinstance(value, str) else value
