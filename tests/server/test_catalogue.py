"""How steps are described: their kind, and the schema of their arguments, from their signatures."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypeVar

import jsonschema
import pytest
from running import named

from pipelines.server.arguments import Slider, faults, schema_of
from pipelines.server.catalogue import describe_step, is_seed, kind_of
from pipelines.server.offer import Offer
from pipelines.steps.files import read_lines, write_jsonl
from pipelines.steps.flow import dedupe, flatten

Item = TypeVar("Item")


class Colour(str, enum.Enum):  # noqa: UP042  # what people have
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Plain(enum.Enum):
    """Members that no JSON value is equal to."""

    A = 1


@dataclass(frozen=True)
class Ge:
    """A bound as *annotated-types* has them."""

    ge: float


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (Path, {"type": "string"}),
        (str | Path, {"type": "string"}),
        (int | None, {"type": ["integer", "null"]}),
        (Optional[str], {"type": ["string", "null"]}),  # noqa: UP045
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Literal["a"] | None, {"enum": ["a", None]}),
        (Colour, {"enum": ["red", "blue"]}),
        (Plain, {}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (list, {"type": "array"}),
        (dict[str, int], {"type": "object"}),
        (Mapping[str, Any], {"type": "object"}),
        (Any, {}),
        (int | Any, {}),
        (Item, {}),
        (bytes, {}),
        (Annotated[int, Ge(0)], {"type": "integer", "minimum": 0}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[float, Slider(0, 2, 0.5)],
            {"type": "number", "minimum": 0, "maximum": 2, "x-step": 0.5, "x-widget": "slider"},
        ),
    ],
    ids=named,
)
def test_a_type_becomes_a_schema(annotation: Any, schema: dict[str, Any]) -> None:
    """Where JSON has it; any other type is left open."""
    assert schema_of(annotation) == schema


def source_with_defaults(count: int = 3) -> Iterable[int]:
    """Make numbers."""
    return range(count)


def generator_of_items(item: Any) -> Iterator[Any]:
    """Take an item apart."""
    yield item


async def async_source(every: float) -> AsyncIterator[int]:
    """Tick."""
    yield 0


def sink(item: Any) -> None:
    """Keep it."""


def join(left: Item, right: Item, *, sign: str = "+") -> str:
    """Join two."""
    return f"{left}{sign}{right}"


def scaled(number: float, factor: float) -> float:
    """Take an argument that has no default."""
    return number * factor


class Numbers:
    """Give numbers."""

    def __init__(self, count: int = 3) -> None:
        self._count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))


async def seed_source(self: Any, output_q: asyncio.Queue[Any], count: int = 3) -> None:
    """Put."""


async def seed_step(self: Any, q_elt: tuple[Any, ...], sign: str = "+") -> Any:
    """Change."""


@pytest.mark.parametrize(
    ("target", "kind", "arguments"),
    [
        (source_with_defaults, "source", ["count"]),
        (generator_of_items, "step", []),
        (async_source, "source", ["every"]),
        (sink, "sink", []),
        (join, "step", ["sign"]),
        (scaled, "step", ["factor"]),
        (Numbers, "source", ["count"]),
        (seed_source, "source", ["count"]),
        (seed_step, "step", ["sign"]),
        (read_lines, "source", ["path", "encoding", "errors", "skip_blank"]),
        (flatten, "step", []),
        (dedupe, "step", ["key", "limit"]),
        (write_jsonl, "step", ["path", "mode", "flush"]),
        (len, "step", []),
        (str, "step", []),
        (lambda: [1], "source", []),
    ],
    ids=named,
)
def test_the_kind_follows_from_the_signature(target: Any, kind: str, arguments: list[str]) -> None:
    """As do the arguments: what gets items is none."""
    found = kind_of(target)
    assert found == kind
    described = describe_step("name", target, found)["args"]["properties"]
    assert list(described)[: len(arguments)] == arguments


def test_only_the_seeds_coroutines_are_of_its_form() -> None:
    """A method of an object that takes an item is not."""
    assert is_seed(seed_step)
    assert not is_seed(sink)
    assert not is_seed(len)


def documented(item: Any, size: int = 1, *, name: str = "x") -> Any:
    """Do something.

    More about it.

    Args:
        item: what comes.
        size: how large it is,
            in metres.
        name (str): what it is called.

    Returns:
        The item: as it was.
    """
    return item


def test_the_docstring_is_the_help() -> None:
    """As a whole, and each argument's part at the argument."""
    described = describe_step("documented", documented, "step")
    assert described["doc"].startswith("Do something.\n\nMore about it.")
    assert described["title"] == "documented"
    assert described["args"] == {
        "type": "object",
        "properties": {
            "size": {
                "title": "Size",
                "type": "integer",
                "default": 1,
                "description": "how large it is, in metres.",
            },
            "name": {
                "title": "Name",
                "type": "string",
                "default": "x",
                "description": "what it is called.",
            },
        },
        "required": [],
        "additionalProperties": False,
    }


def test_every_description_is_a_valid_schema() -> None:
    """Of all steps that come with the library."""
    for step in Offer.allowing(["*"]).catalogue():
        jsonschema.Draft202012Validator.check_schema(step["args"])
        assert step["doc"].partition("\n")[0].endswith(".")
        assert step["required"] == step["args"]["required"]


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "integer"}, 1.0, "'x' is a whole number, not 1.0."),
        ({"type": "integer"}, True, "'x' is a whole number, not True."),
        ({"type": "number"}, float("nan"), "'x' is a number, not nan."),
        ({"type": ["integer", "null"]}, "1", "'x' is a whole number or nothing, not '1'."),
        ({"enum": ["even", "odd"]}, "evn", "'x' can't be 'evn'."),
        ({"minimum": 1}, 0, "'x' is at least 1, not 0."),
        ({"exclusiveMaximum": 1}, 1, "'x' is less than 1, not 1."),
        ({"anyOf": [{"type": "string"}]}, 1, "'x' can't be 1."),
    ],
    ids=named,
)
def test_a_value_that_does_not_fit_is_explained(
    schema: dict[str, Any], value: Any, said: str
) -> None:
    """In words, at its place."""
    whole = {"type": "object", "properties": {"x": schema}, "additionalProperties": False}
    (found,) = faults(whole, {"x": value}, ("args",))
    assert (found.path, found.message) == (("args", "x"), said)
