"""Dead letters: what they say, where they go, and that none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from pipelines import Plumber, StepError, load
from pipelines.letters import appending, plain

ROOT = Path(__file__).parent.parent


def refuse(item: Any, **args: Any) -> None:
    """Fail on every item."""
    raise ValueError(f"not {item!r}")


def graph(items: Any, dead_letter: Any, *, step: Any = refuse, **node: Any) -> dict[str, Any]:
    """Return a graph whose node ``picky`` sends what fails to `dead_letter`."""
    if not isinstance(dead_letter, dict):
        dead_letter = {"func": dead_letter}
    picky = {"func": step, **node}
    picky["properties"] = {"on_error": "dead_letter", **node.get("properties", {})}
    return {
        "nodes": {"source": {"func": items}, "picky": picky},
        "graph": {"source": ["picky"]},
        "dead_letter": dead_letter,
    }


def written(path: Path) -> list[Any]:
    """Return what the lines of a file hold."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def to_file(path: Path | str, **args: Any) -> dict[str, Any]:
    """Return a dead-letter step that writes into a file."""
    return {"func": "write_jsonl", "args": {"path": str(path), **args}}


def test_a_letter_says_what_failed_where_and_why() -> None:
    """Node, item, arguments, error, traceback, attempts, time, and which graph it was."""
    letters: list[dict[str, Any]] = []
    retry = {"attempts": 3, "backoff": 0, "jitter": False}
    before = time.time()
    plumber = Plumber(
        graph([7], letters.append, args={"level": 2}, properties={"retry": retry}),
    )
    plumber.run_sync()
    (letter,) = letters
    assert before <= letter.pop("time") <= time.time()
    traceback = letter.pop("traceback")
    assert traceback.startswith("Traceback")
    assert "in refuse" in traceback
    assert letter == {
        "node": "picky",
        "item": 7,
        "args": {"level": 2},
        "error": "ValueError: not 7",
        "attempts": 3,
        "graph": plumber.spec.fingerprint(),
        "source": None,
    }


def test_a_letter_names_the_file_of_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is absolute: the letters may be replayed from elsewhere."""
    (tmp_path / "in.txt").write_text("x\n")
    (tmp_path / "graph.yaml").write_text(
        "nodes:\n"
        "  a: {func: read_lines, args: {path: in.txt}}\n"
        "  b: {func: 'builtins:int', properties: {on_error: dead_letter}}\n"
        "graph: {a: [b]}\n"
        "dead_letter: {func: write_jsonl, args: {path: dead.jsonl}}\n"
    )
    monkeypatch.chdir(tmp_path)
    Plumber("graph.yaml").run_sync()
    (letter,) = written(tmp_path / "dead.jsonl")
    assert letter["source"] == str(tmp_path / "graph.yaml")
    assert letter["graph"] == load("graph.yaml").fingerprint()


def test_a_letter_is_a_dict_of_its_own() -> None:
    """Whatever the step does with a letter, the node's arguments and the next letter are whole."""
    seen: list[list[int]] = []

    def spoil(letter: dict[str, Any]) -> None:
        seen.append(list(letter["args"]["levels"]))
        letter["args"]["levels"].clear()
        letter.clear()

    plumber = Plumber(graph([1, 2], spoil, args={"levels": [1, 2]}))
    plumber.run_sync()
    assert seen == [[1, 2], [1, 2]]
    assert plumber.spec.nodes["picky"].args == {"levels": [1, 2]}


def test_arguments_that_json_can_not_hold_are_told_by_their_repr(tmp_path: Path) -> None:
    """A connection among the arguments costs no letter."""
    args = {"connection": {1, 2}, "more": {3: (b"x", None)}}
    Plumber(graph([1], to_file(tmp_path / "dead"), args=args)).run_sync()
    (letter,) = written(tmp_path / "dead")
    assert letter["args"] == {"connection": "{1, 2}", "more": {"3": ["b'x'", None]}}
    assert plain(1.5) == 1.5


@pytest.mark.parametrize("item", [["a", None, True], {"b": [1.5, "ü\udc80"]}, -1, "", None])
def test_what_json_can_hold_comes_back_as_it_was(tmp_path: Path, item: Any) -> None:
    """Also text that is no Unicode, such as the name of a file."""
    Plumber(graph([item], to_file(tmp_path / "dead"))).run_sync()
    (letter,) = written(tmp_path / "dead")
    assert letter["item"] == item


def test_tuples_become_lists_and_what_is_no_number_stays_so(tmp_path: Path) -> None:
    """What JSON knows no word for, but Python's JSON does, is written."""
    Plumber(graph([(1, (2,)), float("nan"), float("inf")], to_file(tmp_path / "dead"))).run_sync()
    row, nan, inf = (letter["item"] for letter in written(tmp_path / "dead"))
    assert row == [1, [2]]
    assert nan != nan
    assert inf == float("inf")


@pytest.mark.parametrize("item", [b"bytes", {1, 2}, object(), {(1, 2): 3}, 1j])
def test_an_item_that_can_not_be_written_fails_the_run(tmp_path: Path, item: Any) -> None:
    """Node, item and why it can't be written are named, and no half of a letter is left."""
    plumber = Plumber(graph([1, item, 2], to_file(tmp_path / "dead")))
    with pytest.raises(StepError) as caught:
        plumber.run_sync()
    said = str(caught.value)
    assert said.startswith(f"node 'picky' failed and the dead letter of {item!r} could not be ")
    assert "TypeError: write_jsonl can't write" in said
    assert isinstance(caught.value.__cause__, ValueError)
    assert [letter["item"] for letter in written(tmp_path / "dead")] == [1]
    assert plumber.report is not None
    node = plumber.report.nodes["picky"]
    assert (node.dead_lettered, node.failed, node.balanced) == (1, 1, True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk here")
def test_a_full_disk_fails_the_run() -> None:
    """The item, the attempt and the disk are named; nothing goes on as if it were written."""
    retry = {"attempts": 2, "backoff": 0, "jitter": False}
    plumber = Plumber(graph([5], to_file("/dev/full"), properties={"retry": retry}))
    with pytest.raises(StepError, match="No space left") as caught:
        plumber.run_sync()
    said = str(caught.value)
    assert said.startswith("node 'picky' failed and the dead letter of 5 could not be written")
    assert "(attempt 2)" in said
    assert plumber.report is not None
    assert (plumber.report.nodes["picky"].failed, plumber.report.ok) == (1, False)


def test_a_second_run_keeps_the_letters_of_the_first(tmp_path: Path) -> None:
    """A file of dead letters is appended to, although `write_jsonl` starts anew by default."""
    for item in (1, 2):
        Plumber(graph([item], to_file(tmp_path / "dead"))).run_sync()
    assert [letter["item"] for letter in written(tmp_path / "dead")] == [1, 2]


def test_a_graph_may_want_the_letters_of_each_run_alone(tmp_path: Path) -> None:
    """What its `args` say is done."""
    for item in (1, 2):
        Plumber(graph([item], to_file(tmp_path / "dead", mode="write"))).run_sync()
    assert [letter["item"] for letter in written(tmp_path / "dead")] == [2]


def test_a_mode_that_means_something_else_is_left_alone() -> None:
    """Only what would write by default is told to append."""
    modes: list[Any] = []

    def bury(letter: Any, mode: str = "fast", shared: bool = False) -> None:
        modes.append((mode, shared))

    Plumber(graph([1], bury)).run_sync()
    assert modes == [("fast", False)]
    assert appending(len, {"mode": "write"}) == {"mode": "write"}
    assert appending(max, {}) == {}


class Box:
    """A dead-letter step with an enter and an exit."""

    log: list[Any]

    def __init__(self, name: str) -> None:
        self.log.append(name)

    def __enter__(self) -> Self:
        self.log.append("enter")
        return self

    def __exit__(self, *exception: object) -> None:
        self.log.append("exit")

    def __call__(self, letter: dict[str, Any]) -> None:
        self.log.append(letter["item"])


class AsyncBox:
    """The same, asynchronous."""

    log: list[Any]

    def __init__(self, name: str) -> None:
        self.log.append(name)

    async def __aenter__(self) -> Self:
        self.log.append("enter")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.log.append("exit")

    async def __call__(self, letter: dict[str, Any]) -> None:
        self.log.append(letter["item"])


@pytest.mark.parametrize("box", [Box, AsyncBox])
def test_a_class_is_entered_called_and_exited(box: Any) -> None:
    """Its exit comes once all letters are written, however the run ends."""
    box.log = []
    Plumber(graph([1, 2], {"func": box, "args": {"name": "a"}})).run_sync()
    assert box.log == ["a", "enter", 1, 2, "exit"]
    box.log = []
    document = graph([1, 2], {"func": box, "args": {"name": "a"}})
    document["runtime"] = {"max_failures": 0}
    with contextlib.suppress(Exception):
        Plumber(document).run_sync()
    assert box.log == ["a", "enter", 1, "exit"]


def test_an_async_function_is_awaited_one_letter_at_a_time() -> None:
    """Letters do not overtake each other, though many items fail at once."""
    log: list[Any] = []

    async def fail(item: Any) -> None:
        raise ValueError(item)

    async def bury(letter: dict[str, Any]) -> None:
        log.append(letter["item"])
        await asyncio.sleep(0)
        log.append(letter["item"])

    document = graph([1, 2, 3], bury, step=fail, properties={"concurrency": 3})
    Plumber(document).run_sync()
    assert log[::2] == log[1::2]
    assert sorted(log[::2]) == [1, 2, 3]


def test_a_step_that_only_makes_a_generator_fails_the_run() -> None:
    """Nothing of it would run, and the letter be lost."""

    def bury(letter: Any) -> Iterator[None]:
        return (None for _ in range(1))

    plumber = Plumber(graph([1], bury))
    with pytest.raises(StepError, match="the dead_letter step returned a generator"):
        plumber.run_sync()


@pytest.mark.parametrize("what", ["starting", "closing"])
def test_a_step_that_does_not_start_or_close_fails_the_run(tmp_path: Path, what: str) -> None:
    """It is named, and so is when."""

    class Bad(Box):
        log: list[Any] = []  # noqa: RUF012 (it is thrown away)

        def __enter__(self) -> Self:
            if what == "starting":
                raise OSError("no such disk")
            return self

        def __exit__(self, *exception: object) -> None:
            raise OSError("no such disk")

    plumber = Plumber(graph([1], {"func": Bad, "args": {"name": "a"}}))
    with pytest.raises(
        StepError, match=f"'dead_letter' failed while {what}: OSError: no such disk"
    ):
        plumber.run_sync()


def test_the_letters_of_a_run_that_is_killed_are_in_the_file(tmp_path: Path) -> None:
    """Each is there once its item is done with: `kill -9` takes none of them away."""
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from test_letters import graph, refuse, to_file
from pipelines import Plumber

def numbers():
    yield from range(100)
    os.kill(os.getpid(), signal.SIGKILL)

Plumber(graph(numbers, to_file("dead"), properties={{"buffer_size": 1}})).run_sync()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    items = [letter["item"] for letter in written(tmp_path / "dead")]
    assert items == list(range(len(items)))
    assert len(items) > 10
