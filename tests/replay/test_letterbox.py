"""The file of dead letters: what is read, what is refused, and that rewriting loses nothing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import GraphError, PipelinesError
from pipelines.replay.letterbox import Letterbox
from pipelines.steps.files import write_jsonl


def letter(item: Any, node: str = "a", graph: str = "g", **more: Any) -> dict[str, Any]:
    """Return a dead letter with all that a replay looks at."""
    return {"node": node, "item": item, "graph": graph, "source": "graph.yaml", **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with three letters of two nodes."""
    path = tmp_path / "dead.jsonl"
    letters = [letter(1), letter(2, "b"), letter(3)]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in letters))
    return path


def items(path: Path) -> list[Any]:
    """Return the items of the letters that a file holds, in their order."""
    return [json.loads(line)["item"] for line in path.read_text().splitlines() if line]


def settle(box: Letterbox, node: str, done: int, *fresh: Any) -> None:
    """Take letters out as after a run that made fresh ones."""
    with box.claimed():
        with write_jsonl(box.fresh) as writer:
            for each in fresh:
                writer(each)
        box.settle(node, done)


def test_letters_are_counted_by_node_and_graph(path: Path) -> None:
    """A pile knows the line of its first."""
    with path.open("a") as file:
        file.write("\n" + json.dumps(letter(4, graph="h")))
    box = Letterbox(path)
    found = [(pile.node, pile.graph, pile.first, pile.count) for pile in box.piles]
    assert found == [("a", "g", 1, 2), ("b", "g", 2, 1), ("a", "h", 5, 1)]
    assert [each.item for each in box.letters("a")] == [1, 3, 4]
    assert [each.line for each in box.letters("a")] == [1, 3, 5]
    assert box.count() == 4


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"node": "a", "it', "Unterminated string"),
        (b"[]", "list instead of an object"),
        (b'{"\xff"}', "no UTF-8 text"),
        (b"[" * 100_000, "recursion"),
        (b'{"node": 1, "item": 1, "graph": "g"}', "'node' is no text"),
        (b'{"node": "a", "item": 1}', "it says no 'graph'"),
        (b'{"node": "a", "graph": "g"}', "it says no 'item'"),
        (b'{"node": "a", "item": 1, "graph": "g", "source": 3}', "'source' is no text"),
    ],
)
def test_a_line_that_is_no_letter_is_named(path: Path, line: bytes, why: str) -> None:
    """All of them are, each with its number; none is sent."""
    path.write_bytes(line + b"\n" + path.read_bytes() + line)
    with pytest.raises(GraphError) as caught:
        Letterbox(path)
    problems = caught.value.problems
    assert [(problem.file, problem.line) for problem in problems] == [
        (str(path), 1),
        (str(path), 5),
    ]
    assert all(why in problem.message for problem in problems)


def test_a_file_that_is_something_else_is_refused_in_few_words(path: Path) -> None:
    """A hundred lines are named, and how many more there are."""
    path.write_text("no\n" * 1_234)
    with pytest.raises(GraphError) as caught:
        Letterbox(path)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1].message == "1,134 more lines are wrong."


def test_a_file_that_can_not_be_read_is_told(path: Path) -> None:
    """So is one that is zipped."""
    with pytest.raises(PipelinesError, match=r"nowhere can't be read: No such file"):
        Letterbox(path.with_name("nowhere"))
    with pytest.raises(PipelinesError, match="is zipped; gunzip it"):
        Letterbox("dead.jsonl.gz")


def test_what_was_done_is_taken_out_and_what_is_fresh_put_in(path: Path) -> None:
    """The other letters stay as they are, to the byte."""
    lines = path.read_text().splitlines()
    box = Letterbox(path)
    settle(box, "a", 1, letter(9, "b"))
    assert path.read_text().splitlines()[:2] == lines[1:]
    assert items(path) == [2, 3, 9]
    settle(box, "b", 1)
    assert items(path) == [3, 9]  # what is fresh is none of the letters that were to be sent
    settle(box, "a", 1)
    assert items(path) == [9]
    assert os.listdir(path.parent) == ["dead.jsonl"]


def test_an_empty_file_is_left_when_all_are_done(path: Path) -> None:
    """It goes on being there, for who appends to it."""
    box = Letterbox(path)
    settle(box, "a", 2)
    settle(box, "b", 1)
    assert path.read_bytes() == b""


def test_a_last_line_without_an_end_is_a_letter_too(path: Path) -> None:
    """It gets one, so that nothing is joined to it."""
    path.write_text(path.read_text().rstrip("\n"))
    settle(Letterbox(path), "b", 1, letter(4))
    assert items(path) == [1, 3, 4]


def test_letters_that_come_meanwhile_are_kept(path: Path) -> None:
    """A run that shares the file goes on writing to it, before and after."""
    box = Letterbox(path)
    with write_jsonl(path, mode="append", shared=True) as run:
        run(letter(4))
        settle(box, "a", 2)
        run(letter(5))
        settle(box, "b", 1)
        run(letter(6))
    assert items(path) == [4, 5, 6]


def test_the_file_keeps_its_rights_and_its_link(path: Path) -> None:
    """Who could write to it still can, and under each of its names."""
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path.name)
    settle(Letterbox(link), "a", 2)
    assert link.is_symlink()
    assert items(path) == [2]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is put in place only once all of it is on the disk."""
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PipelinesError, match="can't be rewritten: No space left on device"):
        settle(Letterbox(path), "a", 2)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["dead.jsonl"]


@pytest.mark.parametrize(("call", "left"), [("fchmod", 3), ("fsync", 3), ("close", 2)])
def test_a_replay_that_is_stopped_leaves_all_or_what_it_should(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, left: int
) -> None:
    """At whatever moment: before the new file is in place, or after."""

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    close = os.close
    with monkeypatch.context() as patch:
        patch.setattr(os, call, stop if call != "close" else lambda fd: (close(fd), stop()))
        with pytest.raises(KeyboardInterrupt):
            settle(Letterbox(path), "a", 2, letter(9))
    assert items(path) == ([1, 2, 3] if left == 3 else [2, 9])
    assert os.listdir(path.parent) == ["dead.jsonl"]


def test_a_file_that_an_editor_has_saved_meanwhile_is_left_alone(path: Path) -> None:
    """Only what is fresh is added to it, as it is nowhere else."""
    box = Letterbox(path)
    other = path.with_name("other")
    other.write_text(json.dumps(letter(7)) + "\n")
    other.replace(path)
    with pytest.raises(PipelinesError, match="was changed by another program"):
        settle(box, "a", 1, letter(8))
    assert items(path) == [7, 8]


def test_a_file_is_replayed_once_at_a_time(path: Path) -> None:
    """Two at once would send each letter twice."""
    box, other = Letterbox(path), Letterbox(path)
    with (
        box.claimed(),
        pytest.raises(PipelinesError, match="is being replayed already"),
        other.claimed(),
    ):
        pass
    with other.claimed():
        pass


def test_what_a_killed_replay_has_left_is_no_obstacle(path: Path) -> None:
    """Its letters are all in the file still."""
    path.with_name("dead.jsonl.replay").write_text("half a let")
    path.with_name("dead.jsonl.new").write_text("half a file")
    settle(Letterbox(path), "a", 2, letter(4))
    assert items(path) == [2, 4]
    assert os.listdir(path.parent) == ["dead.jsonl"]
