"""A graph document against ``schemas/graph.schema.json``, its faults in plain words.

`jsonschema` decides what is valid, but takes a tenth of a millisecond for one node. So the document
is taken apart into pieces that the schema judges independently of each other (each node without
what stands in its args, each property alone, each edge), in which names give way to a stand-in.
In a graph of a thousand nodes that leaves a few dozen different pieces, each judged once.
"""

from __future__ import annotations

import functools
import json
import marshal
import math
import pkgutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipelines.errors import shorten
from pipelines.places import Findings, Path, dotted
from pipelines.registry import did_you_mean
from pipelines.spec import Properties
from pipelines.step import is_iterable_source

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = ["graph_schema", "inspect_document"]

_STEPS: Final = ("coro", "func")
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_DEFS: Final = "$defs/"
_PROPERTIES: Final = frozenset(each.name for each in fields(Properties))


@functools.cache
def graph_schema() -> dict[str, Any]:
    """Return the JSON Schema of the graph document: the installed copy, or the repository's."""
    try:
        # What importlib.resources needs would be a tenth of what an import of all this takes.
        text = pkgutil.get_data("pipelines", "_schemas/graph.schema.json")
    except FileNotFoundError:
        text = (FilePath(__file__).parents[2] / "schemas" / "graph.schema.json").read_bytes()
    assert text is not None
    schema = json.loads(text)
    assert isinstance(schema, dict)
    return schema


def inspect_document(
    document: Any,
    findings: Findings,
    *,
    objects: bool = False,
    mapped: bool = False,
    ignore: Collection[Path] = (),
) -> set[Path]:
    """Note every fault that the schema finds in `document`.

    Args:
        document: as read; it is not copied, and what stands in `args` is not looked at.
        findings: is given the faults.
        objects: the document was written in Python: a step may be an object.
        mapped: a `coro_map` will say what a step means, so it may be anything.
        ignore: paths whose values are known to be missing.

    Returns:
        The paths of what must be left out to make the document valid; also ``x-*`` keys, where
        they stand among those that a program reads.
    """
    if not isinstance(document, Mapping):
        what = f"a graph is a mapping with `nodes` and `graph`, not {_human(document)}."
        findings.add("not-a-graph", what, (), "Begin with `nodes:`.")
        return {()}
    drop: set[Path] = set()
    seen: dict[_Key, tuple[_Fault, ...]] = {}
    for part, piece, path in _Cutter(findings, drop, objects, mapped).pieces(document):
        for fault in _judge(part, piece, seen):
            where = (*path, *fault.path)
            if where in ignore:
                drop.add(where)
            else:
                drop |= _report(fault, _at(document, where), where, findings)
    return drop


class _Fault(NamedTuple):
    """What jsonschema found: at which `path` of a piece, and which keyword of which schema."""

    path: Path
    keyword: str
    expected: Any
    schema: Mapping[str, Any]


#: What stands for a piece in a look-up: the part of the schema, then the piece itself.
_Key = tuple[str, type, Any]


def _judge(part: str, piece: Any, seen: dict[_Key, tuple[_Fault, ...]]) -> tuple[_Fault, ...]:
    """Return the faults of a piece under the schema's `part`; the same piece is judged once."""
    kind = type(piece)  # without it, `True` would be found for `1`
    try:
        # In an eighth of the time that JSON takes; in version 2 the same makes the same bytes.
        key = (part, kind, piece if kind in _SCALARS else marshal.dumps(piece, 2))
    except ValueError:  # a Python object stands in it
        return tuple(_faults(part, piece))
    if key not in seen:
        seen[key] = tuple(_faults(part, piece))
    return seen[key]


def _faults(part: str, piece: Any) -> Iterator[_Fault]:
    for error in _validator(part).iter_errors(piece):
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        keyword = str(error.validator)
        yield _Fault(tuple(error.absolute_path), keyword, error.validator_value, schema)


@functools.cache
def _validator(part: str) -> Validator:
    """Return the validator of the whole schema, or of one of its parts under ``$defs``."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            # 4.0 is an integer to JSON Schema, but not to Python; and .nan passes every bound.
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: _is_number(value),
            "array": lambda _, value: isinstance(value, list | tuple),
            "object": lambda _, value: isinstance(value, Mapping),
        }
    )
    schema = _inlined(graph_schema())
    for key in part.split("/") if part else ():
        schema = schema[key]
    strict = extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    validator: Validator = strict(schema)
    return validator


def _inlined(schema: Any) -> Any:
    """Return the schema with each reference replaced by what it names: following it is slow.

    Beside a ``$ref`` our schema has only titles and descriptions, and no reference leads back.
    """
    if isinstance(schema, list):
        return [_inlined(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        named = graph_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = {**named, **{key: schema[key] for key in schema if key != "$ref"}}
    return {key: _inlined(each) for key, each in schema.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Piece = tuple[str, Any, Path]  # part of the schema, what to judge by it, and where that stands


@dataclass(slots=True)
class _Cutter:
    """Takes a document apart; `drop` gathers what the schema can't judge or need not."""

    findings: Findings
    drop: set[Path]
    objects: bool
    mapped: bool

    def pieces(self, document: Mapping[str, Any]) -> Iterator[_Piece]:
        """Iterate over the pieces of the whole document."""
        top = dict(self._named(document, ()))
        for key, cut in (("nodes", self._node), ("graph", self._targets)):
            if isinstance(top.get(key), Mapping):
                members = list(self._named(top[key], (key,)))
                top[key] = {name and "x": None for name, _ in members}
                for name, value in members:
                    yield from cut(value, (key, name))
        if isinstance(top.get("dead_letter"), Mapping):
            path = ("dead_letter",)
            yield _DEFS + "dead_letter", self._step(top["dead_letter"], path), path
            top["dead_letter"] = None
        if isinstance(top.get("defaults"), Mapping):
            yield from self._properties(top["defaults"], ("defaults",))
            top["defaults"] = None
        self._set_free(top.get("runtime"), ("runtime",))
        yield "", {key: None if key.startswith("x-") else value for key, value in top.items()}, ()

    def _named(self, mapping: Mapping[Any, Any], path: Path) -> Iterator[tuple[str, Any]]:
        """Iterate over the members whose key is text, and note the others."""
        for key, value in mapping.items():
            if isinstance(key, str):
                yield key, value
            else:
                self.drop.add((*path, key))
                what = f"{_label(path)}the key {shorten(key, 60)} is no text."
                self.findings.add("key-not-text", what, path, f"Write {str(key)!r}.")

    def _node(self, node: Any, path: Path) -> Iterator[_Piece]:
        if not isinstance(node, Mapping):
            yield _DEFS + "node", node, path
            return
        yield _DEFS + "node", self._step(node, path), path
        if isinstance(node.get("properties"), Mapping):
            yield from self._properties(node["properties"], (*path, "properties"))

    def _step(self, node: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return a node with a stand-in for its step, and nothing in its args and properties."""
        piece: dict[str, Any] = {}
        for key, value in self._named(node, path):
            if key in _STEPS and self._may_be_step(key, value):
                piece[key] = "x"
            elif key in ("args", "properties") and isinstance(value, Mapping):
                piece[key] = {}
                if key == "args":
                    all(self._named(value, (*path, key)))
            else:
                piece[key] = None if key.startswith("x-") else value
        return piece

    def _may_be_step(self, key: str, value: Any) -> bool:
        """Tell whether `value` can be a step, as far as that can be said without the graph."""
        if isinstance(value, str):
            return value != ""
        if self.mapped:
            return value is not None
        return self.objects and (callable(value) or (key == "func" and is_iterable_source(value)))

    def _properties(self, properties: Mapping[str, Any], path: Path) -> Iterator[_Piece]:
        """Take properties one by one: none of them depends on another."""
        self._set_free(properties, path)
        for key, value in properties.items():
            self._set_free(value, (*path, key))
            if key in _PROPERTIES:
                yield f"{_DEFS}properties/properties/{key}", value, (*path, key)
            else:
                yield _DEFS + "properties", {key: value}, path

    def _targets(self, targets: Any, path: Path) -> Iterator[_Piece]:
        if not isinstance(targets, list | tuple):
            self._set_free(targets, path)
            yield _DEFS + "targets", "x" if targets and isinstance(targets, str) else targets, path
            return
        for index, target in enumerate(targets):
            if not (isinstance(target, str) and target):
                self._set_free(target, (*path, index))
                yield _DEFS + "edge", target, (*path, index)

    def _set_free(self, value: Any, path: Path) -> None:
        """Leave out the ``x-*`` keys of a mapping whose every other key a program reads."""
        if isinstance(value, Mapping):
            self.drop |= {(*path, key) for key in value if str(key).startswith("x-")}


def _at(document: Any, path: Path) -> Any:
    """Return the value at `path`; JSON has turned keys that are no text into text."""
    for part in path:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list | tuple) and isinstance(part, int):
            document = document[part]
    return document


def _report(fault: _Fault, value: Any, path: Path, findings: Findings) -> set[Path]:
    """Note one fault in plain words, and return what to leave out."""
    if fault.keyword == "additionalProperties":
        return _report_unknown_keys(fault, value, path, findings)
    code, what, hint = _explain(fault, value, path)
    at_key = fault.keyword in ("not", "required", "minLength")
    if fault.keyword == "minLength" and isinstance(value, Mapping):
        path = (*path, "")
    findings.add(code, f"{_label(path)}{what}", path, hint, at_key=at_key)
    return {path}


def _report_unknown_keys(
    fault: _Fault, mapping: Mapping[str, Any], path: Path, findings: Findings
) -> set[Path]:
    known = fault.schema["properties"]
    extra = {key for key in mapping if key not in known and not str(key).startswith("x-")}
    for key in extra:
        what = f"{_label(path)}unknown key {key!r}."
        findings.add("unknown-key", what, (*path, key), did_you_mean(key, known), at_key=True)
    return {(*path, key) for key in extra}


def _label(path: Path) -> str:
    return f"{dotted(path)}: " if path else ""


def _explain(fault: _Fault, value: Any, path: Path) -> tuple[str, str, str]:
    """Return code, message and hint of a fault."""
    expected, got = fault.expected, _human(value)
    match fault.keyword:
        case "type" if path[-1] in _STEPS:
            hint = "Write module:function, or a registered name."
            return "not-callable", f"expected a callable or the name of one, got {got}.", hint
        case "type":
            return "wrong-type", f"expected {_types(expected)}, got {got}.", _such_as(fault, value)
        case "enum":
            return "unknown-value", f"unknown value {got}.", did_you_mean(value, expected)
        case "const":
            return "unknown-value", f"expected {expected!r}, got {got}.", f"Write {expected!r}."
        case "minimum":
            hint = f"Write {expected} or more."
            return "out-of-range", f"expected at least {expected}, got {got}.", hint
        case "exclusiveMinimum":
            hint = "Leave it out for no limit."
            return "out-of-range", f"expected more than {expected}, got {got}.", hint
        case "pattern":
            return "bad-format", f"{got} is no {fault.schema['title'].lower()}.", _such_as(fault)
        case "minLength":
            whose = "a name" if isinstance(value, Mapping) else "this text"
            return "empty-text", f"{whose} is empty.", "Write something between the quotes."
        case "minProperties":
            return "no-nodes", "a graph needs at least one node.", "Add one under `nodes:`."
        case "not":
            hint = "Keep `coro` for the protocol (self, q_elt), `func` for any other callable."
            return "coro-and-func", "both `coro` and `func` are given.", hint
        case "required":
            missing = expected[0]
            return "missing-key", f"the key {missing!r} is missing.", f"Add `{missing}:`."
    return "invalid", f"{got} is not valid here.", f"See `{fault.keyword}` in the schema."


def _such_as(fault: _Fault, value: Any = None) -> str:
    examples = [str(example) for example in fault.schema.get("examples", ())]
    if fault.expected == "string" and isinstance(value, int | float):
        return f"Quote it: {str(value)!r}."
    if examples:
        return f"Write it like {' or '.join(examples)}."
    first = fault.expected if isinstance(fault.expected, str) else fault.expected[0]
    return _HINTS.get(first, "See what it is for with `plumber schema`.")


_HINTS = {
    "boolean": "Write true or false.",
    "object": "Write a mapping, such as {key: value}.",
    "array": "Write a list, such as [a, b].",
    "integer": "Write a whole number.",
    "string": "Write a text.",
}


_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def _types(expected: str | list[str]) -> str:
    names = [expected] if isinstance(expected, str) else [e for e in expected if e != "null"]
    return " or ".join(_TYPES[name] for name in names)


def _human(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else shorten(value, 60)
