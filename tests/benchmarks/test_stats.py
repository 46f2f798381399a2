"""Medians, paired ratios, and whether a claim holds."""

from __future__ import annotations

import pytest

from benchmarks.stats import Claim, above, costs, faster, most, number, paired, ratio, spread


def test_a_spread_is_the_median_and_the_range() -> None:
    """Of an even number of figures the median lies between the middle two."""
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert found
    assert (found.median, found.low, found.high) == (2.5, 1.0, 10.0)


def test_a_figure_that_is_missing_does_not_count() -> None:
    """A round in which a side failed says nothing; without any round there is no spread."""
    found = spread([None, 4.0, None])
    assert found
    assert found.median == 4.0
    assert spread([None]) is None
    assert spread([]) is None


def test_a_ratio_is_that_of_the_same_round() -> None:
    """What slows a whole round down does not change the ratio, as it would that of the medians."""
    ours, raw = [1.0, 10.0, 2.0], [4.0, 40.0, 9.0]
    found = ratio(raw, ours)
    assert found
    assert (found.median, found.low, found.high) == (4.0, 4.0, 4.5)


def test_a_round_counts_only_where_both_sides_have_it() -> None:
    """A figure without its pair is left out."""
    found = paired([1.0, None, 3.0], [1.0, 1.0, None], lambda a, b: a - b)
    assert found
    assert (found.median, found.low, found.high) == (0.0, 0.0, 0.0)


def test_there_is_no_ratio_to_nothing() -> None:
    """Memory that did not rise at all can't be compared by division."""
    assert ratio([1.0], [0.0]) is None
    assert costs("a", "b", 1).measured({"a": [1.0, 3.0], "b": [0.0, 1.0]}) == spread([3.0])


FIGURES = {"ours": [1.0, 2.0, 3.0], "raw": [4.0, 8.0, 12.0], "failed": [None, None, None]}


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (faster("ours", "raw", 4), 4.0),
        (costs("raw", "ours", 4), 4.0),
        (above("raw", "ours", 4), 6.0),
        (most("ours", 4), 2.0),
    ],
    ids=str,
)
def test_what_a_claim_measures(claim: Claim, expected: float) -> None:
    """Each kind combines its sides' figures in its own way."""
    found = claim.measured(FIGURES)
    assert found
    assert found.median == expected


@pytest.mark.parametrize("claim", [faster("ours", "failed", 4), costs("nobody", "ours", 1)])
def test_a_claim_about_a_side_that_is_missing(claim: Claim) -> None:
    """It measures nothing."""
    assert claim.measured(FIGURES) is None


def test_bounds_hold_at_the_bound() -> None:
    """To be faster is to reach a bound from above; all else is to keep below it."""
    assert faster("ours", "raw", 4).keeps(4.0, 4.0)
    assert not faster("ours", "raw", 4).keeps(3.99, 4.0)
    assert costs("ours", "raw", 4).keeps(4.0, 4.0)
    assert not most("ours", 4).keeps(4.01, 4.0)


@pytest.mark.parametrize(
    ("value", "written"), [(0.2, "0.20"), (5.555, "5.55"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_figures_are_written_with_three_digits(value: float, written: str) -> None:
    """More would promise what was not measured."""
    assert number(value) == written
