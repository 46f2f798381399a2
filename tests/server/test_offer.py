"""What is offered: by whom a thing is defined decides, not under which name it can be found."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ServerError
from pipelines.registry import Registry, steps
from pipelines.server import offer as offer_module
from pipelines.server.offer import DEFAULT, Offer
from pipelines.server.samples import SAMPLES

STEPS = """
from functools import wraps
from json import loads
from os import system


def clean(item):
    return item


class Store:
    def __call__(self, item):
        return item


@wraps(system)
def disguised(item):
    return item


def _private(item):
    return item


NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write a module of steps, one that has imported other things too, and return its name."""
    (tmp_path / "offered_steps.py").write_text(STEPS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "offered_steps"
    sys.modules.pop("offered_steps", None)


def test_the_default_offer_does_no_harm() -> None:
    """Samples and steps that change what flows: no file, no URL, no program."""
    offered = set(Offer.allowing())
    assert offered == {*SAMPLES, "batch", "dedupe", "flatten", "sample", "throttle"}
    assert len(Offer.allowing()) == len(offered)
    assert "samples" in DEFAULT


def test_every_sample_is_a_step_of_its_own_module() -> None:
    """So that a graph file that names it runs anywhere."""
    offer = Offer.allowing(["samples"])
    for name in offer:
        step = offer.find(name)
        assert step is not None
        assert step.reference == f"pipelines.server.samples:{name}"
        assert offer.find_reference(step.reference) is step


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("count", {"count"}),
        ("s[hl]ow", {"show", "slow"}),
        ("read_*", {"read_csv", "read_jsonl", "read_lines"}),
        ("pipelines.steps.flow:flatten", {"pipelines.steps.flow:flatten"}),
        ("offered_steps:*", {"offered_steps:clean", "offered_steps:Store"}),
        ("offered_steps:cl*", {"offered_steps:clean"}),
        ("offered_steps:Store", {"offered_steps:Store"}),
        ("posix:getpid", {"posix:getpid"}),
    ],
)
def test_a_pattern_offers_what_it_says(module: str, pattern: str, names: set[str]) -> None:
    """Names of registered steps and samples, or what a module itself defines."""
    assert set(Offer.allowing([pattern])) == names


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("cuont", "no step is named 'cuont'. Did you mean 'count'?"),
        ("os:system", "is really posix:system"),
        ("offered_steps:system", "is really posix:system"),
        ("offered_steps:loads", "is really json:loads"),
        ("offered_steps:disguised", "is really posix:"),
        ("offered_steps:sys*", "defines no function or class that 'sys*' matches"),
        ("offered_steps:NUMBER", "can't be called"),
        ("offered_steps:nothing", "has no 'nothing'"),
        ("no_such_module:f", "no module named 'no_such_module'"),
        ("no_such_module:*", "can't be imported"),
    ],
)
def test_a_pattern_that_offers_nothing_is_an_error(module: str, pattern: str, said: str) -> None:
    """It says why, and how to name what is really meant."""
    with pytest.raises(ServerError) as caught:
        Offer.allowing([pattern])
    assert said in str(caught.value)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry[Callable[..., Any]]:
    """Return a table of steps of this test's own."""
    table: Registry[Callable[..., Any]] = Registry("step")
    monkeypatch.setattr(offer_module, "registered", table)
    return table


@pytest.mark.parametrize(
    "target",
    [os.system, functools.partial(os.system), subprocess.run, eval, functools.partial(exec, "")],
    ids=["system", "partial", "run", "eval", "exec"],
)
def test_a_registered_name_hides_nothing_of_pythons_own(
    registry: Registry[Callable[..., Any]], target: Any
) -> None:
    """Whatever it is called, what counts is where it is defined."""
    registry.add("harmless", target)
    with pytest.raises(ServerError, match=r"the step 'harmless' is really \w+:"):
        Offer.allowing(["*"])


def test_all_registered_steps_can_be_offered() -> None:
    """With the pattern that says so."""
    assert set(Offer.allowing(["*"])) == {*SAMPLES, *steps}


def test_two_steps_can_not_have_one_name() -> None:
    """The same one can be offered again."""
    offer = Offer.allowing(["samples", "count"])
    with pytest.raises(ServerError, match="two steps are to be offered as 'count'"):
        offer.add("count", str)


def test_a_step_without_a_module_is_named_as_it_is_offered() -> None:
    """There is no other name for it."""
    offer = Offer()
    offer.add("twice", lambda item: 2 * item)
    step = offer.find("twice")
    assert step is not None
    assert step.reference == "twice"
