"""JSON Schemas of arguments, from signatures and annotations; and values against them."""

from __future__ import annotations

import enum
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin

from pipelines.errors import Problem, shorten
from pipelines.registry import did_you_mean

__all__ = ["Slider", "annotations_of", "faults", "object_schema", "schema_of"]

Schema = dict[str, Any]

_SCALARS: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}
_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}


@dataclass(frozen=True, slots=True)
class Slider:
    """Says in an annotation between which numbers an argument lies, and in which steps it moves.

    Write ``Annotated[float, Slider(0, 2, 0.1)]``. Any other object with the attributes ``ge``,
    ``le``, ``gt`` or ``lt``, such as those of *annotated-types*, says the bounds as well.
    """

    ge: float
    le: float
    step: float | None = None


def object_schema(parameters: Iterable[inspect.Parameter], hints: Mapping[str, Any]) -> Schema:
    """Return the schema of keyword arguments: an object with a property for each parameter."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for each in parameters:
        said = {
            "title": each.name.replace("_", " ").capitalize(),
            **schema_of(hints.get(each.name)),
        }
        if each.default is each.empty:
            required.append(each.name)
        elif _is_json(each.default):
            said["default"] = each.default
        properties[each.name] = said
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def annotations_of(function: Any) -> dict[str, Any]:
    """Return the annotations of a function or a class's constructor, those that can be read."""
    try:
        target = function.__init__ if inspect.isclass(function) else function
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # a name that is only there for a type checker, and the like
        return {}


def schema_of(annotation: Any) -> Schema:
    """Return the schema of values of a type: an empty one, for any value, if it can't be said."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _annotated(args[0], args[1:])
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        return _union(args)
    kind = origin or annotation
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    return _class_schema(kind, args) if inspect.isclass(kind) else {}


def _class_schema(kind: type, args: tuple[Any, ...]) -> Schema:
    if issubclass(kind, enum.Enum):
        plain = issubclass(kind, str | int)  # so that a value does where a member is meant
        return {"enum": [member.value for member in kind]} if plain else {}
    if issubclass(kind, str | PurePath):
        return {"type": "string"}
    if issubclass(kind, Mapping):
        return {"type": "object"}
    if issubclass(kind, Sequence) and not issubclass(kind, bytes | bytearray):
        items = schema_of(args[0]) if args else {}
        return {"type": "array", **({"items": items} if items else {})}
    return {}


def _union(members: tuple[Any, ...]) -> Schema:
    schemas = [schema_of(member) for member in members]
    if {} in schemas:
        return {}
    distinct = [each for index, each in enumerate(schemas) if each not in schemas[:index]]
    several = [each for each in distinct if each != {"type": "null"}]
    if len(several) == len(distinct) or len(several) != 1:
        return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    return _or_nothing(several[0])


def _or_nothing(schema: Schema) -> Schema:
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


def _annotated(annotation: Any, notes: Iterable[Any]) -> Schema:
    schema = schema_of(annotation)
    for note in notes:
        if isinstance(note, str):
            schema["description"] = note
        schema |= {
            key: getattr(note, name)
            for name, key in _BOUNDS.items()
            if getattr(note, name, None) is not None
        }
        if getattr(note, "step", None) is not None:
            schema["x-step"] = note.step
    if {"minimum", "maximum"} <= schema.keys():
        schema["x-widget"] = "slider"
    return schema


def _is_json(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def faults(schema: Schema, value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Yield what is wrong with `value`, which stands at `path`."""
    for error in _validator()(schema).iter_errors(value):
        where = (*path, *error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            for key in [key for key in error.instance if key not in known]:
                what = f"there is no {key!r} here."
                yield Problem("unknown-key", what, (*where, key), did_you_mean(key, known))
        elif error.validator == "required":
            missing = re.findall(r"'(.*)' is a required", error.message)[0]
            yield Problem("missing-key", f"{missing!r} is missing.", where, "Add it.")
        else:
            yield _explain(error, where)


def _explain(error: Any, path: tuple[str | int, ...]) -> Problem:
    expected, got = error.validator_value, shorten(error.instance, 60)
    name = path[-1] if path else "it"
    match error.validator:
        case "type":
            kinds = expected if isinstance(expected, list) else [expected]
            wanted = " or ".join(_WORDS[kind] for kind in kinds)
            return Problem("wrong-type", f"{name!r} is {wanted}, not {got}.", path)
        case "enum":
            hint = did_you_mean(error.instance, map(str, expected))
            return Problem("unknown-value", f"{name!r} can't be {got}.", path, hint)
        case "minimum" | "exclusiveMinimum":
            more = "at least" if error.validator == "minimum" else "more than"
            return Problem("out-of-range", f"{name!r} is {more} {expected}, not {got}.", path)
        case "maximum" | "exclusiveMaximum":
            less = "at most" if error.validator == "maximum" else "less than"
            return Problem("out-of-range", f"{name!r} is {less} {expected}, not {got}.", path)
    return Problem("invalid", f"{name!r} can't be {got}.", path)


_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


@functools.cache
def _validator() -> Any:
    """Return the class that judges by a schema, with Python's idea of numbers."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: _is_number(value),
        }
    )
    return extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
