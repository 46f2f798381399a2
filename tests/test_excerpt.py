"""What an error message quotes of an item: its repr, and never more of it than is shown."""

from __future__ import annotations

from collections import OrderedDict, UserList, defaultdict, deque
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import shorten


class Pair(NamedTuple):
    """A tuple that writes itself."""

    left: Any
    right: Any


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text("ab'\"\\\n é\x00", max_size=30),
    st.binary(max_size=30),
    st.just(Ellipsis),
)
KEYS = st.one_of(st.integers(), st.text("a'\"", max_size=5), st.tuples(st.integers()))
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.builds(Pair, inner, inner),
        st.lists(inner, max_size=3).map(deque),
        st.lists(inner, max_size=3).map(UserList),
        st.dictionaries(KEYS, inner, max_size=2).map(OrderedDict),
        st.dictionaries(KEYS, inner, max_size=2).map(lambda d: defaultdict(list, d)),
    ),
    max_leaves=20,
)


def cut(text: str, limit: int) -> str:
    """Return a text as a message shows it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@given(VALUES, st.sampled_from([1, 2, 7, 20, 60, 200]))
def test_it_is_the_repr_cut(value: Any, limit: int) -> None:
    """Whatever it is, what is quoted is the beginning of its repr."""
    assert shorten(value, limit) == cut(repr(value), limit)


def test_what_holds_itself() -> None:
    """It is shown as Python shows it."""
    row: list[Any] = [1]
    table: dict[str, Any] = {"row": row, "again": row}
    row.append((table, row))
    for value in (row, table, row[1]):
        assert shorten(value) == repr(value)


def test_lists_that_share_lists() -> None:
    """A value whose whole repr fits into no memory is quoted at once."""
    assert shorten(_doubled(150)) == f"{'[' * 150}{repr(_doubled(12))[12:61]}…"


def _doubled(times: int) -> Any:
    value: Any = "x"
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize("quotes", ["", "'", '"', "'\""])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_long_text(quotes: str, kind: Any) -> None:
    """It has the quotes that the whole text's repr has, wherever in it those are that decide."""
    for value in (kind("a" * 300 + quotes), kind(quotes + "a" * 300)):
        assert shorten(value) == cut(repr(value), 200)


class Unshowable:
    """Has no repr."""

    def __repr__(self) -> str:
        raise LookupError("none")


def test_a_repr_that_raises() -> None:
    """It is named instead, also deep within, but not where it would not be shown."""
    assert shorten(Unshowable()) == "<Unshowable whose repr raised LookupError>"
    assert shorten([1, {2: Unshowable()}]) == "<list whose repr raised LookupError>"
    assert shorten(["x" * 300, Unshowable()]) == cut(repr(["x" * 300]), 200)


def test_lists_in_lists_beyond_the_stack() -> None:
    """What lies deeper than Python's stack is quoted as far as it is shown."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert shorten(value) == "[" * 199 + "…"
    while value:
        value = value.pop()
