"""Nested generators: `combine_pipeline` and what goes with it."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.frontends import generators as paipa
from pipelines.frontends.generators import (
    chunk,
    combine_pipeline,
    consume,
    flatten,
    identity_step,
    recursive_flatten,
)


def remove_odd(iterable: Iterable[int]) -> Iterator[int]:
    """Keep the even ones."""
    for entry in iterable:
        if entry % 2 == 0:
            yield entry


def twice(iterable: Iterable[int]) -> Iterator[int]:
    """Give each of them twice."""
    for entry in iterable:
        yield entry
        yield entry


class Negate:
    """A step that is an object."""

    def process(self, iterator: Iterator[int]) -> Iterator[int]:
        """Turn the signs."""
        return (-entry for entry in iterator)


# The document's examples. Python 2 is spelled as Python 3, and nothing else is changed but imports.

SPELLING = [
    (r"^import paipa$", "from pipelines.frontends import generators as paipa"),
    (r"^print (.+?)( *#.*)?$", r"print(\1)\2"),
    (r"\bxrange\b", "range"),
]


def as_python_3(text: str) -> str:
    """Spell an example of the document as Python 3 does, and import from here."""
    for old, new in SPELLING:
        text = re.sub(old, new, text, flags=re.MULTILINE)
    return text


WHAT_IS_IT = """
def a(iterator):
    for entry in iterator:
        yield 'Hel' + entry

def b(iterator):
    for entry in iterator:
        yield 'lo ' + entry

print list(a(b(['World!'])))[0]  # Prints "Hello World!"
"""

SIMPLE = """
def remove_odd(iterable):
    for entry in iterable:
        if entry % 2 == 0:
            yield entry

# Arbitrary many steps supported
steps = [
    remove_odd,
]
gen = combine_pipeline(range(100), steps)
print(sum(gen))  # will print 2450
"""

INVOLVED = """
def only_available(products):
    for product in products:
        if not product['available']:
            continue
        yield product

def send_in_batch(chunks):
    url = get_config()['url']  # some hypothetical config
    for chunk in chunks:
        send_chunk(url, chunk)  # To some microservice perhaps? We're hip!
        yield chunk


def get_products():
    return db.query("select * from products")

steps = [
    only_available,
    paipa.chunk(2048),
    store_in_batch,
    flatten,  # flatten it out again for subsequent steps perhaps.
]

pipeline = paipa.combine_pipeline(get_products(), steps)
paipa.consume(pipeline)
"""


def test_the_first_example(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what the document says."""
    exec(as_python_3(WHAT_IS_IT), {})
    assert capsys.readouterr().out == "Hello World!\n"


def test_the_simple_example(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what the document says."""
    exec(as_python_3(SIMPLE), {"combine_pipeline": combine_pipeline})
    assert capsys.readouterr().out == "2450\n"


def test_the_more_involved_example() -> None:
    """Available products go away in chunks of 2048, with what the document leaves to the reader.

    Those are a configuration, a database, a service, and `store_in_batch`, which stands in its
    steps and is defined nowhere.
    """
    products = [{"id": number, "available": number % 3 > 0} for number in range(9_000)]
    sent: list[list[Any]] = []

    class Database:
        def query(self, text: str) -> Iterator[Any]:
            assert text == "select * from products"
            return iter(products)

    def store_in_batch(chunks: Iterator[Any]) -> Iterator[Any]:
        yield from names["send_in_batch"](chunks)

    names: dict[str, Any] = {
        "paipa": paipa,
        "flatten": flatten,
        "db": Database(),
        "get_config": lambda: {"url": "here"},
        "send_chunk": lambda url, each: sent.append([url, len(each)]),
        "store_in_batch": store_in_batch,
    }
    exec(as_python_3(INVOLVED), names)
    assert sent == [["here", 2048], ["here", 2048], ["here", 6_000 - 2 * 2048]]


# combine_pipeline


def test_nothing_stands_between_two_steps() -> None:
    """The result is the last generator itself, and it holds the one before: no cost at all."""
    pipeline = combine_pipeline(range(9), [remove_odd, twice])
    assert pipeline.gi_code is twice.__code__
    assert pipeline.gi_frame.f_locals["iterable"].gi_code is remove_odd.__code__
    assert list(pipeline) == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


def test_steps_may_be_nested_and_objects() -> None:
    """Lists in lists, tuples, and whatever has a `process`."""
    steps = [remove_odd, [(Negate(), [twice]), []], identity_step, functools.partial(filter, None)]
    assert list(combine_pipeline(range(6), steps)) == [-2, -2, -4, -4]
    assert list(combine_pipeline(range(6), remove_odd)) == [0, 2, 4]
    assert list(combine_pipeline("ab", [])) == ["a", "b"]


@given(st.lists(st.sampled_from([remove_odd, twice, identity_step, Negate()]), max_size=6))
def test_it_is_what_one_nests_by_hand(steps: list[Any]) -> None:
    """In the same order, and lists around steps change nothing."""
    by_hand: Any = range(20)
    for step in steps:
        by_hand = getattr(step, "process", step)(by_hand)
    expected = list(by_hand)
    assert list(combine_pipeline(range(20), steps)) == expected
    assert list(combine_pipeline(range(20), [steps[:2], [steps[2:]]])) == expected


def test_of_a_callable_source_it_makes_a_callable() -> None:
    """Which passes its arguments on, and can be called again."""

    def numbers(*, upto: int) -> Iterator[int]:
        """Count."""
        yield from range(upto)

    pipeline = combine_pipeline(numbers, [remove_odd])
    assert list(pipeline(upto=5)) == list(pipeline(upto=6)) == [0, 2, 4]
    assert pipeline.__name__ == "numbers"
    assert sum(combine_pipeline(range, [remove_odd])(10)) == 20


def test_it_is_pulled_by_the_caller() -> None:
    """An endless source is asked for no more than is wanted."""
    asked: list[int] = []

    def count() -> Iterator[int]:
        for number in itertools.count():
            asked.append(number)
            yield number

    pipeline = combine_pipeline(count(), [remove_odd])
    assert asked == []
    assert next(pipeline) == 0
    assert next(pipeline) == 2
    assert asked == [0, 1, 2]


def careful(name: str, closed: list[str]) -> Callable[[Iterable[int]], Iterator[int]]:
    """Return a step that notes when it is closed."""

    def step(iterable: Iterable[int]) -> Iterator[int]:
        try:
            yield from iterable if name == "source" else (entry for entry in iterable)
        finally:
            closed.append(name)

    return step


def test_an_early_end_closes_all_from_the_last_to_the_first() -> None:
    """After a break, each step can clean up, those that take before those that give."""
    closed: list[str] = []
    source = careful("source", closed)
    steps = [careful("a", closed), careful("b", closed)]
    for _ in combine_pipeline(source(range(9)), steps):
        assert closed == []
        break
    assert closed == ["b", "a", "source"]


def test_a_failure_comes_to_the_caller() -> None:
    """As it was raised."""

    def fail(iterable: Iterable[int]) -> Iterator[int]:
        for entry in iterable:
            yield 1 // (entry - 2)

    with pytest.raises(ZeroDivisionError):
        list(combine_pipeline(range(9), [fail, twice]))


async def is_async(items: Any) -> Any:
    """Be no step."""


async def yields_async(items: Any) -> Any:
    """Be no step either."""
    yield 1


@pytest.mark.parametrize(
    ("source", "steps", "message"),
    [
        (7, [], "the source is 7: give an iterable, or a callable"),
        ([], [7], "7 is no step: give a function from an iterator to an iterator"),
        ([], ["abc"], "'abc' is no step"),
        ([], [Negate], r"Negate is a class: write Negate\(\)"),
        ([], [is_async], "is_async is async.*as_step"),
        ([], [[yields_async]], "yields_async is async"),
        ([1], [lambda items: None], "gave None, no iterable; does it `yield`"),
    ],
)
def test_misuse_says_what_to_write(source: Any, steps: Any, message: str) -> None:
    """At once, not at the first item."""
    with pytest.raises(TypeError, match=message):
        combine_pipeline(source, steps)


def test_a_callable_source_that_gives_no_iterable() -> None:
    """That is known when it is called."""
    with pytest.raises(TypeError, match="the source is 3"):
        combine_pipeline(lambda: 3, [twice])()


# What iterators often need


@given(st.lists(st.integers()), st.integers(1, 9))
def test_chunk_and_flatten_are_inverse(items: list[int], size: int) -> None:
    """Chunks are full but for the last one, and flat again they are what they were."""
    chunks = list(chunk(size)(items))
    assert list(flatten(chunks)) == items
    assert all(len(each) == size for each in chunks[:-1])
    assert all(0 < len(each) <= size for each in chunks)


def test_a_chunk_is_at_least_one_item() -> None:
    """And 32 by default."""
    assert [len(each) for each in chunk()(range(40))] == [32, 8]
    with pytest.raises(ValueError, match="chunk_size is a number of items from 1, not 0"):
        chunk(0)


def test_flattening_at_every_depth_leaves_text_whole() -> None:
    """And whatever can't be iterated over."""
    nested = [1, [2, (3, [print])], "text", [b"bytes", {4}]]
    assert list(recursive_flatten(nested)) == [1, 2, 3, print, "text", b"bytes", 4]


def test_consume() -> None:
    """All, or as many as asked for."""
    items = iter(range(10))
    consume(items, 3)
    assert next(items) == 3
    consume(items, 0)
    assert next(items) == 4
    consume(items)
    assert list(items) == []
    consume(items, 5)
    with pytest.raises(ValueError, match="must be"):
        consume(items, -1)


def test_a_million_items() -> None:
    """Nothing is kept."""
    pipeline = combine_pipeline(range(1_000_000), [remove_odd, chunk(1000), flatten])
    assert sum(1 for _ in pipeline) == 500_000
