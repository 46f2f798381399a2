"""The steps that are offered by default do what they say, and none makes an item grow for ever."""

from __future__ import annotations

from typing import Any

import pytest
from running import run

from pipelines.server import samples
from pipelines.server.judge import Judge
from pipelines.server.limits import Limits
from pipelines.server.offer import Offer


def results(step: str, items: list[Any], **args: Any) -> list[Any]:
    """Return what a sample makes of items."""
    got: list[Any] = []
    nodes = {
        "in": {"func": items},
        "step": {"func": samples.SAMPLES[step][0], "args": args},
        "out": {"func": got.append},
    }
    run({"nodes": nodes, "graph": {"in": ["step"], "step": ["out"]}})
    return got


def made(source: str, limit: int = 100, **args: Any) -> list[Any]:
    """Return what a sample makes by itself."""
    got: list[Any] = []
    nodes = {
        "in": {"func": samples.SAMPLES[source][0], "args": args},
        "out": {"func": got.append},
    }
    run({"nodes": nodes, "graph": {"in": ["out"]}}, limit=limit)
    return got


@pytest.mark.parametrize(
    ("source", "args", "items"),
    [
        ("count", {"stop": 4}, [1, 2, 3, 4]),
        ("count", {"start": 5, "stop": 1, "step": -2}, [5, 3, 1]),
        ("count", {"start": 3, "stop": 2}, []),
        ("ticks", {"times": 3}, [1, 2, 3]),
        ("words", {"text": "  a\nb  c "}, ["a", "b", "c"]),
        ("random_numbers", {"low": 7, "high": 7, "how_many": 2}, [7, 7]),
    ],
)
def test_sources_make_items(source: str, args: dict[str, Any], items: list[Any]) -> None:
    """As many as asked for."""
    assert made(source, **args) == items


@pytest.mark.parametrize("source", ["count", "ticks", "random_numbers"])
def test_endless_sources_go_on(source: str) -> None:
    """Until they are stopped."""
    assert len(made(source, limit=20)) == 20


def test_random_numbers_are_the_same_again() -> None:
    """Another seed makes others."""
    assert made("random_numbers", seed=1) == made("random_numbers", seed=1)
    assert made("random_numbers", seed=1) != made("random_numbers", seed=2)


@pytest.mark.parametrize(
    ("step", "items", "args", "got"),
    [
        ("square", [2, -3], {}, [4, 9]),
        ("arithmetic", [2], {"operation": "add", "operand": 3}, [5]),
        ("arithmetic", [2], {"operation": "subtract", "operand": 3}, [-1]),
        ("arithmetic", [2], {"operation": "multiply", "operand": 3}, [6]),
        ("arithmetic", [3], {"operation": "divide", "operand": 2}, [1.5]),
        ("slow", [1, 2], {"seconds": 0.5}, [1, 2]),
        ("flaky", [1, 2], {"share": 0}, [1, 2]),
        ("only", [1, 2, -3], {"keep": "even"}, [2]),
        ("only", [1, 2, -3], {"keep": "odd"}, [1, -3]),
        ("only", [1, 2, -3], {"keep": "positive"}, [1, 2]),
        ("only", [1, 2, -3], {"keep": "negative"}, [-3]),
        ("reverse", ["abc", 12], {}, ["cba", "21"]),
        ("upper", ["abc", None], {}, ["ABC", "NONE"]),
        ("total", [1, 2, 3], {}, [1, 3, 6]),
        ("pair", [1], {}, [[1]]),
        ("show", [1], {}, [1]),
        ("discard", [1], {}, []),
    ],
)
def test_steps_do_what_they_say(
    step: str, items: list[Any], args: dict[str, Any], got: list[Any]
) -> None:
    """For each item, in order."""
    assert results(step, items, **args) == got


@pytest.mark.parametrize("step", ["square", "arithmetic", "reverse", "upper", "pair", "total"])
def test_fifty_in_a_row_make_nothing_large(step: str) -> None:
    """A number, a text or a list passes through them and is still small, or is refused."""
    operation = {"operation": "multiply", "operand": 1e12} if step == "arithmetic" else {}
    for item in (10**6, "text", [1, 2]):
        value: Any = item
        target = samples.SAMPLES[step][0]
        function = target() if isinstance(target, type) else target
        try:
            for _ in range(50):
                value = function(value, value) if step == "pair" else function(value, **operation)
        except (OverflowError, TypeError):
            continue
        assert len(repr(value)) < 10_000


def test_a_step_of_no_way_is_refused() -> None:
    """A count that stands still never ends."""
    with pytest.raises(ValueError, match="not 0"):
        next(samples.count(step=0))


def test_all_samples_can_be_used_as_they_are() -> None:
    """None needs an argument."""
    offer = Offer.allowing(["samples"])
    for name, (_, kind) in samples.SAMPLES.items():
        first = name if kind == "source" else "count"
        nodes = {"in": {"func": first}, "out": {"func": "show" if kind == "source" else name}}
        graph = {"nodes": nodes, "graph": {"in": ["out"]}}
        assert Judge(offer, Limits()).judge(graph).problems == ()
