"""What holds for every registered battery."""

from __future__ import annotations

import inspect

import pytest

from pipelines.registry import steps
from pipelines.step import resolve

NAMES = {
    "pipelines.steps.files": [
        "glob",
        "read_csv",
        "read_jsonl",
        "read_lines",
        "stdin",
        "stdout",
        "write_csv",
        "write_jsonl",
        "write_lines",
    ],
    "pipelines.steps.flow": ["batch", "dedupe", "flatten", "sample", "tee_count", "throttle"],
    "pipelines.steps.http": ["http_get"],
    "pipelines.steps.notifying": ["notify"],
    "pipelines.steps.redis": ["redis_ack", "redis_read", "redis_write"],
    "pipelines.steps.uploading": ["upload"],
}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_both_ways_to_name_a_step_mean_the_same(module: str, name: str) -> None:
    """The registered name is also what the object is called in its module."""
    assert resolve(name) is resolve(f"{module}:{name}")


@pytest.mark.parametrize("name", [name for _, name in PAIRS])
def test_every_step_says_what_it_does_and_takes(name: str) -> None:
    """`plumber list` prints the docstring's first line and the typed arguments."""
    step = steps.get(name)
    first, *rest = inspect.getdoc(step).splitlines()  # type: ignore[union-attr]
    assert first.endswith(".")
    assert {"Returns:", "Yields:"} & set(rest)
    for parameter in inspect.signature(step).parameters.values():
        assert parameter.annotation is not parameter.empty
        named = f"    {parameter.name}: " in inspect.getdoc(step)  # type: ignore[operator]
        assert named or parameter.name in ("item", "items")


def test_every_registered_battery_is_known_here() -> None:
    """A new one gets the tests above."""
    ours = {name for name in steps if steps.get(name).__module__.startswith("pipelines.steps")}
    assert ours == {name for _, name in PAIRS}
