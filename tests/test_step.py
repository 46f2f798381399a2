"""Any callable in one shape: what kind it is, how a name is resolved, how it is called."""

from __future__ import annotations

import asyncio
import functools
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sample_steps as steps
from running import named

from pipelines.step import (
    CONTROL,
    SKIP,
    Later,
    Route,
    Shape,
    Step,
    is_iterable_source,
    resolve,
    shape_of,
)

PLAIN = Shape()


class Called:
    """Instances are called, asynchronously or not."""

    async def __call__(self, item: int) -> int:
        """Take an item."""
        return item


class Inherits(Called):
    """What a base defines counts."""


class Yields:
    """Instances yield."""

    def __call__(self, item: int) -> Iterator[int]:
        """Take an item."""
        yield item


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        (steps.inc, PLAIN),
        (lambda item: item, PLAIN),
        (len, PLAIN),
        (str, PLAIN),
        (steps.Flat, PLAIN),
        (steps.split, Shape(yields=True)),
        (steps.fetch, Shape(is_async=True)),
        (steps.stream, Shape(is_async=True, yields=True)),
        (steps.Seed.reverse, Shape(is_async=True)),
        (steps.Store, Shape(is_class=True)),
        (steps.instance, PLAIN),
        (steps.AsyncStep, Shape(is_class=True, is_async=True)),
        (steps.AsyncStep(), Shape(is_async=True)),
        (Inherits, Shape(is_class=True, is_async=True)),
        (Yields, Shape(is_class=True, yields=True)),
        (Yields(), Shape(yields=True)),
        (functools.partial(steps.fetch, timeout=1), Shape(is_async=True)),
        (functools.partial(functools.partial(steps.split)), Shape(yields=True)),
        ("x".join, PLAIN),
    ],
    ids=named,
)
def test_the_shape_of_a_callable(target: Any, shape: Shape) -> None:
    """Of a class that defines `__call__` that of its instances; any other is a function."""
    assert shape_of(target) == shape


def test_what_is_a_source_by_itself() -> None:
    """An iterable that is not called."""
    assert is_iterable_source(range(3))
    assert is_iterable_source([1])
    assert is_iterable_source(steps.stream(1))
    assert not is_iterable_source(steps.source)
    assert not is_iterable_source(list)
    assert not is_iterable_source(42)


# --- names --------------------------------------------------------------------------------------


def test_names_that_lead_somewhere() -> None:
    """A module and a path in it, or a registered name."""
    assert resolve("sample_steps:inc") is steps.inc
    assert resolve("sample_steps:Seed.reverse") == steps.Seed.reverse
    assert resolve("os.path:join") is resolve("posixpath:join")
    assert callable(resolve("read_lines"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sample_steps:inck", "'sample_steps' has no 'inck'. Did you mean 'inc'?"),
        (
            "sample_steps:Seed.revers",
            "'sample_steps:Seed' has no 'revers'. Did you mean 'reverse'?",
        ),
        ("sample_steps:ANSWER.x.y", "'sample_steps:ANSWER' has no 'x'."),
        ("sample_steps:instance.path.x", "'sample_steps:instance.path' has no 'x'."),
        ("sample_steps:", "'sample_steps' has no ''."),
        ("read_linse", "no step is named 'read_linse'. Did you mean 'read_lines'?"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, message: str) -> None:
    """The message says how far it led, and gives the nearest."""
    with pytest.raises(LookupError) as caught:
        resolve(name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:f", "no module named 'nowhere' can be found"),
        ("nowhere.at.all:f", "no module named 'nowhere' can be found"),
        ("os.nowhere:f", "no module named 'os.nowhere' can be found"),
        (":f", "importing '' raised ValueError"),
        (".x:f", "importing '.x' raised TypeError"),
    ],
)
def test_a_module_that_is_not_there(name: str, message: str) -> None:
    """It is told from one that is there but fails."""
    with pytest.raises(ImportError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    ("source", "message", "cause"),
    [
        (
            "1 / 0\n",
            "importing 'brittle' raised ZeroDivisionError: division by zero",
            ZeroDivisionError,
        ),
        ("import nowhere\n", "importing 'brittle' failed: No module named 'nowhere'", ImportError),
    ],
)
def test_a_module_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str, cause: type
) -> None:
    """Its own exception is the cause."""
    (tmp_path / "brittle.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError) as caught:
        resolve("brittle:f")
    assert str(caught.value) == message
    assert isinstance(caught.value.__cause__, cause)
    assert "brittle" not in sys.modules


# --- calling ------------------------------------------------------------------------------------


def bound(target: Callable[..., Any], **options: Any) -> Callable[[Any], Any]:
    """Return a bound step of `target`, constructed where it is a class."""
    args = options.pop("args", {})
    step = Step(target, args, shape_of(target), **options)
    return step.bind(step.construct())


def test_calling_a_step() -> None:
    """Whatever it was, it takes one item."""
    assert bound(steps.inc)(1) == 2
    assert bound(steps.inc, args={"by": 5})(1) == 6
    assert bound(steps.add, spread=True)((1, 2)) == 3
    assert bound(steps.needs, args={"url": "u"}, spread=True)((1,)) == "u/1"
    assert bound(len)([1, 2]) == 2
    assert bound(steps.Store, args={"path": "x"})(1) is None
    assert bound(steps.Flat, args={"unit": "km"})(3).item == 3


def test_calling_a_step_of_the_seed() -> None:
    """It gets its processor, and always a tuple."""
    seen: list[Any] = []

    async def coro(self: Any, q_elt: tuple[Any, ...], **args: Any) -> None:
        seen.append((self, q_elt, args))

    asyncio.run(bound(coro, seed="me")(1))
    asyncio.run(bound(coro, seed="me", spread=True, args={"x": 3})((1, 2)))
    assert seen == [("me", (1,), {}), ("me", (1, 2), {"x": 3})]


def test_a_step_can_be_sent_to_another_process() -> None:
    """It is bound there again."""
    step = pickle.loads(pickle.dumps(Step(steps.inc, {"by": 3}, PLAIN)))
    assert step.bind()(1) == 4


# --- what a step may return ---------------------------------------------------------------------


def test_skip_is_one_thing() -> None:
    """It is compared by identity, also after it came from another process."""
    assert pickle.loads(pickle.dumps(SKIP)) is SKIP
    assert repr(SKIP) == "SKIP"
    assert type(SKIP) in CONTROL


def test_routes() -> None:
    """To one node or to several; equal if they send the same."""
    assert Route("a", 1) == Route({"a": 1})
    assert Route("a", 1) != Route("b", 1)
    assert Route({"a": 1, "b": 2}).values == {"a": 1, "b": 2}
    assert Route({}).values == {}
    assert repr(Route("a", [1])) == "Route({'a': [1]})"
    assert type(Route("a")) in CONTROL
    with pytest.raises(TypeError):
        hash(Route("a", 1))


def test_later() -> None:
    """A time that is no time is refused where it is made."""
    assert Later(0).seconds == 0
    assert type(Later(1.5)) in CONTROL
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="seconds of 0 or more"):
            Later(seconds)
