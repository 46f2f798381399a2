"""Hosts that die on Ray: what they had in hand is made again, exactly, or the run fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("ray")

from running import until

from engines.ray_runs import cluster, kill, on_ray, pid_of
from engines.ray_steps import (
    Forgetful,
    Noting,
    Sum,
    Watched,
    add,
    die_at_13,
    double,
    same,
    wait_a_moment,
)
from pipelines import Plumber
from pipelines.errors import HostError

__all__ = ["cluster"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

COUNT = 40_000


async def reached(plumber: Plumber, got: list[Any], count: int) -> None:
    """Wait until so many items have come back, or the run is over."""
    await until(lambda: len(got) >= count or plumber.report is not None)


def diamond(got: Watched, notes: Path) -> dict[str, Any]:
    """Return a diamond whose middle is in two scopes, and its join in a third one."""
    return {
        "nodes": {
            "s": {"func": range(COUNT)},
            "a": {"func": same, "properties": {"scope": "a"}},
            "left": {"func": double, "properties": {"scope": "b"}},
            "right": {
                "func": Noting,
                "args": {"notes": str(notes)},
                "properties": {"scope": "c"},
            },
            "join": {"func": add, "properties": {"scope": "a"}},
            "end": {"func": got.step()},
        },
        "graph": {
            "s": ["a"],
            "a": ["left", "right"],
            "left": ["join"],
            "right": ["join"],
            "join": ["end"],
            "end": None,
        },
    }


async def test_a_killed_host_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """40,000 items come through exact and in order; each was made once, or a few twice."""
    got, notes = Watched(), tmp_path / "notes"
    plumber = on_ray(diamond(got, notes), batch=1000)
    plumber.create_pipeline()
    await reached(plumber, got, 10_000)
    kill(plumber, "right")
    report = await plumber.join()
    assert got == [3 * number for number in range(COUNT)]
    host = report.hosts["right"]
    assert host.restarts == 1
    assert 0 <= host.resent <= 2
    assert [each.restarts for name, each in report.hosts.items() if name != "right"] == [0, 0, 0]
    made = [int(line) for line in notes.read_text().splitlines()]
    assert set(made) == set(range(COUNT))
    assert len(made) - COUNT <= 2000
    assert all(node.balanced for node in report.nodes.values())
    assert report.nodes["right"].received == COUNT


async def test_each_host_is_killed(tmp_path: Path) -> None:
    """So it is where one after the other is killed, the one of the join too."""
    got = Watched()
    plumber = on_ray(diamond(got, tmp_path / "notes"), batch=200)
    names = ["a", "left", "right", "join"]
    plumber.create_pipeline()
    for index, name in enumerate(names):
        await reached(plumber, got, 5_000 * (index + 1))
        kill(plumber, name)
    report = await plumber.join()
    assert got == [3 * number for number in range(COUNT)]
    assert all(report.hosts[name].restarts >= 1 for name in names if report.hosts[name].resent)


async def test_batches_that_overlap_are_made_again_where_some_were_done() -> None:
    """A host with many batches under way goes on, though of those the later ones were done."""
    got = Watched()
    document = {
        "nodes": {
            "s": {"func": range(3000)},
            "n": {"func": wait_a_moment, "properties": {"concurrency": 64, "scope": "a"}},
            "end": {"func": got.step()},
        },
        "graph": {"s": ["n"], "n": ["end"], "end": None},
    }
    plumber = on_ray(document, batch=5)
    plumber.create_pipeline()
    await reached(plumber, got, 500)
    kill(plumber, "n")
    report = await plumber.join()
    assert got == [-number for number in range(3000)]
    assert report.hosts["n"].restarts == 1


def test_a_host_that_dies_each_time() -> None:
    """A batch that ends its process each time fails the run after some tries, and is named."""
    document = {
        "nodes": {"s": {"func": range(20)}, "n": {"func": die_at_13}, "e": {"func": same}},
        "graph": {"s": ["n"], "n": ["e"], "e": None},
    }
    expected = r"the process that ran 'n', 'e' was lost .* and so were 3 others"
    with pytest.raises(HostError, match=expected):
        on_ray(document, batch=5).run_sync()


def summing(step: Any, got: Watched, count: int, **args: str) -> dict[str, Any]:
    """Return the graph of the sums of numbers."""
    return {
        "nodes": {
            "s": {"func": range(count)},
            "sum": {"func": step, "args": args, "properties": {"stateful": True}},
            "end": {"func": got.step()},
        },
        "graph": {"s": ["sum"], "sum": ["end"], "end": None},
    }


async def test_a_step_that_remembers_goes_on_where_it_was(tmp_path: Path) -> None:
    """With checkpoint and restore the sums are exact, though the process was killed."""
    got, notes = Watched(), tmp_path / "notes"
    plumber = on_ray(summing(Sum, got, 5000, notes=str(notes)), batch=50)
    plumber.create_pipeline()
    await reached(plumber, got, 1000)
    kill(plumber, "sum")
    report = await plumber.join()
    sums, total = [], 0
    for number in range(5000):
        total += number
        sums.append(total)
    assert got == sums
    assert report.hosts["sum"].restarts == 1
    assert len(notes.read_text().splitlines()) - 5000 <= 50


async def test_what_a_step_remembered_is_not_made_up() -> None:
    """Without them the run fails at once, and says what to do."""
    got = Watched()
    plumber = on_ray(summing(Forgetful, got, 10**9), batch=50)
    plumber.create_pipeline()
    await reached(plumber, got, 1000)
    kill(plumber, "sum")
    with pytest.raises(HostError, match=r"'sum' was lost .* Give the step checkpoint\(\)"):
        await plumber.join()


async def test_a_killed_host_leaves_no_process_of_its_steps() -> None:
    """Worker processes of a step end with the host that is killed, and the others take over."""
    got = Watched()
    properties = {"executor": "process", "concurrency": 2}
    document = {
        "nodes": {
            "s": {"func": range(20_000)},
            "n": {"func": double, "properties": properties},
            "end": {"func": got.step()},
        },
        "graph": {"s": ["n"], "n": ["end"], "end": None},
    }
    plumber = on_ray(document, batch=100)
    plumber.create_pipeline()
    await reached(plumber, got, 1000)
    host = psutil.Process(pid_of(plumber, "n"))
    children = host.children(recursive=True)
    assert len(children) >= 2
    host.kill()
    await plumber.join()
    assert got == [2 * number for number in range(20_000)]
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 5)
    assert alive == []
