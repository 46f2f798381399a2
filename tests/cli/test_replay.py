"""``plumber replay``: the real program, its exit codes, and that no end of it loses a letter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STEPS = '''
import asyncio
import os
import signal


def numbers(count):
    yield from range(count)


def picky(number):
    """Refuse odd numbers, until there is a file that allows them."""
    if number % 2 and not os.path.exists("allowed"):
        raise ValueError(f"{number} is odd")
    return number


async def kill(number, at, name):
    """Send this process a signal on one item, and let its loop hear of it."""
    if number == at and os.path.exists("armed"):
        os.kill(os.getpid(), getattr(signal, name))
        for _ in range(10):
            await asyncio.sleep(0)
    return number


async def insist(number, name):
    """Send this process two signals, the second once the first is heard, and do nothing more."""
    for _ in range(2):
        os.kill(os.getpid(), getattr(signal, name))
        for _ in range(10):
            await asyncio.sleep(0)
    await asyncio.Event().wait()


def refuse(number):
    raise ValueError(f"I will not have {number}")
'''

GRAPH = """
nodes:
  numbers: {func: "buried:numbers", args: {count: 6}}
  picky: {func: "buried:picky", properties: {on_error: dead_letter}}
  kill: {func: "buried:kill", args: {at: 3, name: SIGKILL}, properties: {buffer_size: 1}}
  save: {func: write_jsonl, args: {path: out.jsonl}}
graph:
  numbers: [picky]
  picky: [kill]
  kill: [save]
dead_letter: {func: write_jsonl, args: {path: dead.jsonl}}
"""


@pytest.fixture(autouse=True)
def buried(folder: Path) -> None:
    """Add a graph that buries something, with its steps, to the folder."""
    (folder / "buried.py").write_text(STEPS)
    (folder / "buried.yaml").write_text(GRAPH)


@pytest.fixture
def dead(buried: None, plumber: Any) -> None:
    """Run the graph, which leaves three letters; then allow what they hold."""
    assert plumber("run", "-q", "buried.yaml").returncode == 0
    Path("allowed").touch()


def items(name: str) -> list[Any]:
    """Return what a file of items or letters holds."""
    found = [json.loads(line) for line in Path(name).read_text().splitlines()]
    return [each["item"] if isinstance(each, dict) else each for each in found]


def test_letters_go_back_and_the_graph_is_found_by_itself(plumber: Any, dead: None) -> None:
    """A line tells of each node, and the last one sums up."""
    done = plumber("replay", "dead.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "plumber: picky: 3 letters sent, 3 went through, 0 dead again",
        "plumber: 3 letters sent, 3 went through; none left in dead.jsonl",
    ]
    assert items("out.jsonl") == [0, 2, 4, 1, 3, 5]
    assert items("dead.jsonl") == []


def test_what_is_dead_again_is_left(plumber: Any, dead: None) -> None:
    """That is fine, but not under ``--strict``."""
    Path("allowed").unlink()
    done = plumber("replay", "dead.jsonl")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == (
        "plumber: 3 letters sent, 0 went through; 3 left in dead.jsonl"
    )
    done = plumber("replay", "-q", "--strict", "dead.jsonl")
    assert (done.returncode, done.stderr) == (
        3,
        "plumber: 3 letters left in dead.jsonl (--strict)\n",
    )


def test_an_empty_file_is_no_error(plumber: Any) -> None:
    """There is nothing to do, and no graph is asked for."""
    Path("dead.jsonl").touch()
    done = plumber("replay", "--strict", "dead.jsonl")
    assert done.returncode == 0
    assert done.stderr == "plumber: 0 letters sent, 0 went through; none left in dead.jsonl\n"


def test_json_is_one_line_on_stdout(plumber: Any, dead: None) -> None:
    """It says the same, and more."""
    done = plumber("replay", "-q", "--json", "dead.jsonl")
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "ok": True,
        "reason": "done",
        "dry_run": False,
        "file": "dead.jsonl",
        "nodes": {
            "picky": {
                "letters": 3,
                "sent": 3,
                "went_through": 3,
                "skipped": 0,
                "dead_again": 0,
                "dead_behind": 0,
                "drained": False,
            }
        },
        "left": 0,
    }


def test_a_dry_run_sends_nothing(plumber: Any, dead: None) -> None:
    """It tells what would be sent."""
    before = Path("dead.jsonl").read_bytes()
    done = plumber("replay", "--dry-run", "--json", "dead.jsonl")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "plumber: picky: 3 letters would be sent",
        "plumber: 3 letters of 3 would be sent",
    ]
    told = json.loads(done.stdout)
    assert (told["dry_run"], told["nodes"]) == (True, {"picky": {"letters": 3}})
    assert Path("dead.jsonl").read_bytes() == before
    assert items("out.jsonl") == [0, 2, 4]


def test_a_graph_that_has_changed_is_refused(plumber: Any, dead: None) -> None:
    """``--force`` takes it all the same; so does saying the same ``--set`` as in the run."""
    text = GRAPH.replace("count: 6", "count: 7")
    Path("buried.yaml").write_text(text)
    for flags in ([], ["--dry-run"]):
        done = plumber("replay", *flags, "dead.jsonl")
        assert done.returncode == 78
        assert "dead.jsonl:1  error[changed-graph]  3 letters are of node 'picky'" in done.stderr
    done = plumber("replay", "--force", "--dry-run", "dead.jsonl")
    assert "plumber: the graph has changed since (--force)\n" in done.stderr
    assert plumber("replay", "--set", "nodes.numbers.args.count=6", "dead.jsonl").returncode == 0
    assert items("dead.jsonl") == []


def test_an_env_file_fills_the_graph_as_in_the_run(plumber: Any) -> None:
    """Without it, it is another graph."""
    Path("buried.yaml").write_text(GRAPH.replace("count: 6", "count: '${COUNT:1}'"))
    Path("six.env").write_text("COUNT=6\n")
    plumber("run", "-q", "-e", "six.env", "buried.yaml")
    assert plumber("replay", "dead.jsonl").returncode == 78
    assert plumber("replay", "-e", "six.env", "dead.jsonl").returncode == 0


def test_a_graph_that_was_moved_can_be_named(plumber: Any, dead: None) -> None:
    """Its folder is where steps come from then."""
    Path("new").mkdir()
    Path("buried.yaml").rename("new/graph.yaml")
    done = plumber("replay", "dead.jsonl")
    assert done.returncode == 78
    assert "buried.yaml is there no more. Say which graph with --graph." in done.stderr
    assert plumber("replay", "--graph", "new/graph.yaml", "dead.jsonl").returncode == 0


def test_only_the_letters_of_some_nodes_are_sent(plumber: Any, dead: None) -> None:
    """A node that has none is fine, one that nobody has is not."""
    done = plumber("replay", "--node", "kill", "--graph", "buried.yaml", "dead.jsonl")
    assert done.returncode == 0
    assert len(items("dead.jsonl")) == 3
    done = plumber("replay", "--node", "pikcy", "--graph", "buried.yaml", "dead.jsonl")
    assert done.returncode == 78
    assert "no node is named 'pikcy'. Did you mean 'picky'?" in done.stderr
    done = plumber("replay", "dead.jsonl", env={**os.environ, "PLUMBER_REPLAY_NODE": "picky"})
    assert done.stderr.startswith("plumber: picky: 3 letters sent")


def test_lines_that_are_no_letters_are_all_named(plumber: Any, dead: None) -> None:
    """And nothing is sent."""
    text = Path("dead.jsonl").read_text()
    Path("dead.jsonl").write_text(f"{{}}\n{text}oops\n")
    done = plumber("replay", "dead.jsonl")
    assert done.returncode == 78
    assert [line.partition("  ")[0] for line in done.stderr.splitlines()] == [
        "dead.jsonl:1",
        "dead.jsonl:5",
        "2 errors",
    ]
    assert items("out.jsonl") == [0, 2, 4]


def test_a_file_that_is_not_there_is_wrong_usage(plumber: Any) -> None:
    """It is named."""
    done = plumber("replay", "nowhere.jsonl")
    assert done.returncode == 2
    assert "nowhere.jsonl" in done.stderr


def test_a_run_that_fails_is_told_and_keeps_the_letters(plumber: Any, dead: None) -> None:
    """The user's frames are shown as for a run."""
    before = Path("dead.jsonl").read_bytes()
    sets = ("--force", "--set", "nodes.kill.func=buried:refuse", "--set", "nodes.kill.args={}")
    done = plumber("replay", "--json", *sets, "dead.jsonl")
    told = json.loads(done.stdout)
    assert (done.returncode, told["reason"], told["left"]) == (1, "failed", 3)
    assert told["nodes"]["picky"]["error"].startswith("node 'kill' failed on item 1")
    lines = done.stderr.splitlines()
    assert lines[0] == "plumber: picky: the run failed; 3 letters kept"
    assert lines[-1] == "ValueError: I will not have 1"
    assert Path("dead.jsonl").read_bytes() == before


def many(name: str, sets: list[str], plumber: Any) -> int:
    """Make two thousand letters; the replay is to send itself a signal on item 1001."""
    flags = [
        *sets,
        "--set",
        "nodes.numbers.args.count=4000",
        "--set",
        f"nodes.kill.args.name={name}",
    ]
    sets[:] = [*flags, "--set", "nodes.kill.args.at=1001"]
    assert plumber("run", "-q", *sets, "buried.yaml").returncode == 0
    Path("allowed").touch()
    Path("armed").touch()
    return len(items("dead.jsonl"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_drains(plumber: Any, name: str) -> None:
    """What was sent is finished, what was not is left, and another replay sends that."""
    sets: list[str] = []
    assert many(name, sets, plumber) == 2000
    done = plumber("replay", "--json", *sets, "dead.jsonl")
    told = json.loads(done.stdout)
    assert (done.returncode, told["reason"]) == (0, "drained")
    sent = told["nodes"]["picky"]["sent"]
    assert 501 <= sent < 2000
    assert told["left"] == 2000 - sent
    assert f"{2000 - sent:,} not sent (stopped)" in done.stderr
    assert items("dead.jsonl") == list(range(2 * sent + 1, 4000, 2))
    Path("armed").unlink()
    assert plumber("replay", "-q", "--strict", *sets, "dead.jsonl").returncode == 0
    assert sorted(items("out.jsonl")) == list(range(4000))


def test_a_replay_that_is_killed_loses_nothing(plumber: Any) -> None:
    """All letters are there still, and what was sent already comes a second time."""
    sets: list[str] = []
    many("SIGKILL", sets, plumber)
    before = Path("dead.jsonl").read_bytes()
    done = plumber("replay", *sets, "dead.jsonl")
    assert done.returncode == -signal.SIGKILL
    assert Path("dead.jsonl").read_bytes() == before
    Path("armed").unlink()
    assert plumber("replay", "-q", "--strict", *sets, "dead.jsonl").returncode == 0
    assert sorted(set(items("out.jsonl"))) == list(range(4000))
    assert not list(Path().glob("dead.jsonl.*"))


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_second_signal_stops_and_keeps_all(
    plumber: Any, dead: None, name: str, code: int
) -> None:
    """Of a run that is cut short nobody knows what was done."""
    before = Path("dead.jsonl").read_bytes()
    step = ("nodes.kill.func=buried:insist", f"nodes.kill.args={{name: {name}}}")
    done = plumber("replay", "--force", "--set", step[0], "--set", step[1], "dead.jsonl")
    assert done.returncode == code
    assert done.stderr.splitlines() == [
        "plumber: picky: the run was cancelled; 3 letters kept",
        "plumber: 0 letters sent, 0 went through; 3 left in dead.jsonl",
        f"plumber: stopped by {name}",
    ]
    assert Path("dead.jsonl").read_bytes() == before


def test_a_service_that_goes_on_burying_is_not_disturbed(plumber: Any, dead: None) -> None:
    """Its file is replaced under it, and it writes its next letters to the new one."""
    program = """
import sys
from pipelines import Plumber
def lines():
    print("up", flush=True)
    yield from iter(sys.stdin.readline, "")
def fail(line):
    raise ValueError(line)
Plumber({
    "nodes": {"lines": {"func": lines}, "fail": {"func": fail}},
    "graph": {"lines": ["fail"]},
    "defaults": {"on_error": "dead_letter"},
    "dead_letter": {"func": "write_jsonl", "args": {"path": "dead.jsonl"}},
}).run_sync()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as service:  # type: ignore[call-overload]
        assert service.stdout.readline() == "up\n"
        assert plumber("replay", "-q", "dead.jsonl").returncode == 0
        service.communicate("late\n")
    assert items("dead.jsonl") == ["late\n"]


def test_verbose_shows_the_table_of_the_run(plumber: Any, dead: None) -> None:
    """With the node that fed it."""
    done = plumber("replay", "-v", "dead.jsonl")
    assert "plumber: letters of picky         3          3" in done.stderr
