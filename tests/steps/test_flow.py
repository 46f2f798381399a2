"""The steps that change what flows."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from pipelines.step import SKIP, shape_of
from pipelines.steps.flow import batch, dedupe, flatten, sample, tee_count, throttle


def passed(step: Any, items: Any) -> list[Any]:
    """Return the items that a step does not skip."""
    return [result for item in items if (result := step(item)) is not SKIP]


def test_batch_passes_on_the_list_that_its_node_gathered() -> None:
    """Without the property that gathers, it says which one to write."""
    items = [1, 2]
    assert batch(items) is items
    with pytest.raises(TypeError, match=r"node's property: \{batch: \{size: 100\}\}"):
        batch(cast(Any, 1))


@pytest.mark.parametrize(
    ("item", "elements"),
    [
        ([1, [2]], [1, [2]]),
        ((), []),
        ("text", ["text"]),
        (b"bytes", [b"bytes"]),
        ({"a": 1}, [{"a": 1}]),
        (5, [5]),
        (None, [None]),
        (range(3), [0, 1, 2]),
    ],
)
def test_flatten_opens_one_level_of_what_is_a_sequence_of_items(
    item: Any, elements: list[Any]
) -> None:
    """Strings and mappings are items themselves."""
    assert list(flatten(item)) == elements


def test_dedupe_passes_each_item_once() -> None:
    """The first of equal items goes on."""
    assert passed(dedupe(), "abcab") == ["a", "b", "c"]


def test_dedupe_compares_by_a_key() -> None:
    """With `key`, mappings that hold the same under it are the same."""
    items = [{"id": 1, "n": 1}, {"id": 2}, {"id": 1, "n": 3}]
    assert passed(dedupe(key="id"), items) == items[:2]


def test_dedupe_remembers_at_most_limit_items() -> None:
    """The one not seen for longest is forgotten, not the one that came first."""
    step = dedupe(limit=2)
    assert passed(step, [1, 2, 1, 3, 1, 2]) == [1, 2, 3, 2]


def test_dedupe_says_what_it_cant_compare() -> None:
    """A dict needs a key, and a limit is at least one."""
    with pytest.raises(TypeError, match="dedupe can't compare by a dict: say a `key`"):
        dedupe()({})
    with pytest.raises(ValueError, match="limit is a number of items from 1, not 0"):
        dedupe(limit=0)


def test_sample_passes_the_first_of_every_so_many() -> None:
    """`every` counts from the first item."""
    assert passed(sample(every=3), range(8)) == [0, 3, 6]


def test_sample_draws_the_same_fraction_on_every_run() -> None:
    """`fraction` depends on `seed` alone."""
    first, again = (passed(sample(fraction=0.25), range(4000)) for _ in range(2))
    other = passed(sample(fraction=0.25, seed=1), range(4000))
    assert first == again != other
    assert 900 < len(first) < 1100
    assert passed(sample(fraction=0), range(100)) == []
    assert passed(sample(fraction=1), range(100)) == list(range(100))


@pytest.mark.parametrize(
    "args", [{}, {"every": 2, "fraction": 0.5}, {"every": 0}, {"fraction": 1.5}]
)
def test_sample_refuses_what_makes_no_sense(args: dict[str, Any]) -> None:
    """Exactly one of its arguments is said, within its bounds."""
    with pytest.raises(ValueError, match=r"every|fraction"):
        sample(**args)


async def test_throttle_spaces_items_evenly() -> None:
    """However many calls are in flight, at most the rate goes on, in order."""
    step, clock = throttle(per_second=500), asyncio.get_running_loop().time
    done: list[int] = []

    async def one(item: int) -> None:
        done.append(await step(item))

    start = clock()
    await asyncio.gather(*map(one, range(11)))
    assert clock() - start >= 10 / 500 - 0.001
    assert done == list(range(11))


def test_throttle_refuses_to_stop_everything() -> None:
    """A rate of nothing at all is a mistake."""
    with pytest.raises(ValueError, match="per_second is more than 0"):
        throttle(per_second=0)


def test_tee_count_passes_items_on_and_logs_their_number(caplog: pytest.LogCaptureFixture) -> None:
    """The total is logged at the end, and on the way where asked for."""
    with caplog.at_level(logging.INFO), tee_count("rows", every=2) as step:
        assert [step(item) for item in "abcde"] == list("abcde")
    assert [record.getMessage() for record in caplog.records] == [
        "rows: 2 so far",
        "rows: 4 so far",
        "rows: 5 in all",
    ]


def test_shapes_keep_joins_aligned() -> None:
    """All but `flatten` give one result an item, so that a join behind them stays in step."""
    yielding = [
        s for s in (batch, dedupe, flatten, sample, tee_count, throttle) if shape_of(s).yields
    ]
    assert yielding == [flatten]
