"""`plumber run --engine ray`, on a cluster of several nodes and on one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("ray")

from engines.clusters import ROOT, ClusterOfNodes, NodeProcess

pytestmark = pytest.mark.slow

STEPS = """
import asyncio
import threading
import time

def noted(item, notes):
    with open(notes, "a") as opened:
        opened.write(f"{item}\\n")
    return item

def double(item):
    return 2 * item

def fail(item):
    raise ValueError(f"no {item}")

async def endless():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)

def forty_thousand():
    yield from range(40_000)

def slow(item):
    time.sleep(0.0001)
    return item

class Locked:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, item):
        return item

locked = Locked()

async def stall(item):
    print("a step prints")
    await asyncio.Event().wait()
"""


def written(folder: Path, nodes: dict[str, Any], edges: dict[str, Any], **rest: Any) -> Path:
    """Write a graph and its module of steps."""
    (folder / "own_steps.py").write_text(STEPS)
    file = folder / "graph.json"
    file.write_text(json.dumps({"nodes": nodes, "graph": edges, **rest}))
    return file


def line(folder: Path, **steps: Any) -> Path:
    """Write the graph of nodes in a line; each is a step's name, or a whole node."""
    nodes = {n: {"func": step} if isinstance(step, str) else step for n, step in steps.items()}
    names = [*nodes]
    edges = dict(zip(names, [*([name] for name in names[1:]), None], strict=True))
    return written(folder, nodes, edges)


def noting(folder: Path, **properties: Any) -> dict[str, Any]:
    """Return a node that writes to the file `notes` of a folder."""
    args = {"notes": str(folder / "notes")}
    return {"func": "own_steps:noted", "args": args, "properties": properties}


@contextlib.contextmanager
def started(
    cluster: ClusterOfNodes | None, file: Path, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a `plumber run --engine ray`, in a group of processes as a terminal makes one."""
    where = [] if cluster is None else ["--address", cluster.address]
    base = dict(os.environ) if cluster is None else cluster.env
    words = ["-m", "pipelines", "run", str(file), "--engine", "ray", *where, *arguments]
    with subprocess.Popen(
        [sys.executable, *words],
        env={**base, "PYTHONPATH": str(ROOT)},
        cwd=file.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return how a run ended, and what it said."""
    out, err = process.communicate()
    return process.returncode, out, err


def run(cluster: ClusterOfNodes | None, file: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a graph; return how it ended, and what it said."""
    with started(cluster, file, *arguments) as process:
        return ended(process)


def test_a_graph_of_a_folder_runs_on_given_workers(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """Its module of steps gets there; the report tells of hosts; nothing of Ray is printed."""
    folder = tmp_path / "graphs"
    folder.mkdir()
    file = line(
        folder,
        s={"func": "own_steps:endless"},
        a={"func": "own_steps:double", "properties": {"scope": "testing"}},
        b=noting(tmp_path, scope="production"),
    )
    report = tmp_path / "report.json"
    words = ("--limit", "300", "--json", "--report", str(report), "--quiet")
    code, out, err = run(cluster, file, *words)
    assert (code, err) == (0, ""), err
    told = json.loads(out)
    assert told == json.loads(report.read_text())
    assert told["nodes"]["b"]["received"] == 300
    assert {name: host["scope"] for name, host in told["hosts"].items()} == {
        "a": "testing",
        "b": "production",
    }
    assert {host["restarts"] for host in told["hosts"].values()} == {0}


def test_a_failing_step_is_told_as_on_one_machine(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """The exit code and what is told first are those of the local engine; the line is shown too."""
    file = line(tmp_path, s="own_steps:endless", n="own_steps:fail")
    code, _, err = run(cluster, file, "--quiet")
    local = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", str(file), "--quiet"],
        env=cluster.env,
        capture_output=True,
        text=True,
    )
    assert (code, err.splitlines()[0]) == (local.returncode, local.stderr.splitlines()[0])
    assert "On the host 127.0.0.1" in err
    assert 'raise ValueError(f"no {item}")' in err


def until_noted(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until a step has written a line."""
    while not (folder / "notes").exists():
        until_said(process, " ")


def until_said(process: subprocess.Popen[str], part: str) -> None:
    """Read what a run logs until a part of a line."""
    assert process.stderr is not None
    said = []
    for text in process.stderr:
        said.append(text)
        if part in text:
            return
    raise AssertionError(f"the run has ended: {''.join(said)}")


def test_ctrl_c_drains(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """One SIGINT, to all of the group as from a terminal, ends the run well."""
    file = line(tmp_path, s="own_steps:endless", n=noting(tmp_path))
    with started(cluster, file, "--json", "--stats=100ms") as process:
        until_noted(process, tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        code, out, err = ended(process)
    assert code == 0, err
    told = json.loads(out.splitlines()[-1])
    assert told["reason"] == "drained"
    assert told["nodes"]["n"]["passed_on"] == told["nodes"]["s"]["emitted"] > 0


def test_two_ctrl_c_stop(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """The second one ends it at once."""
    file = line(tmp_path, s="own_steps:endless", a=noting(tmp_path), n="own_steps:stall")
    with started(cluster, file, "--stats=100ms") as process:
        until_noted(process, tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        until_said(process, " done;")  # the source has ended
        os.killpg(process.pid, signal.SIGINT)
        code, _, err = ended(process)
    assert code == 130, err
    assert "stopped by SIGINT" in err


def test_a_timeout_cancels(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """A run that takes too long is ended, with what was under way."""
    file = line(tmp_path, s="own_steps:endless", n="own_steps:stall")
    code, out, err = run(cluster, file, "--timeout", "3s", "--json")
    assert code == 1
    assert "timed out after 3s" in err
    assert json.loads(out.splitlines()[-1])["reason"] == "cancelled"


def test_a_local_cluster_ends_with_its_driver(tmp_path: Path) -> None:
    """Of a run that is killed outright no process is left to work on, nor any of its cluster."""
    file = line(tmp_path, s="own_steps:endless", n=noting(tmp_path))
    with started(None, file, "--stats=100ms") as process:
        until_noted(process, tmp_path)
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("raylet" in each.name() for each in family)
        assert any("HostActor" in each.name() for each in family)
        words = " ".join(word for each in family for word in each.cmdline())
        process.kill()
        process.communicate()
        # Two helpers of Ray try to tell somebody for a minute before they end too.
        _, alive = psutil.wait_procs([p for p in family if "Agent" not in p.name()], timeout=20)
        assert alive == []
        for helper in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                helper.kill()
        for folder in set(re.findall(r"/\S*?/plumber-\w+", words)):  # nobody was left to do so
            shutil.rmtree(folder)


def test_what_cannot_travel_is_refused_at_once(tmp_path: Path) -> None:
    """A graph that can't travel has the exit code of one that is wrong; nothing is started."""
    file = line(tmp_path, s="own_steps:endless", n="own_steps:locked")
    code, _, err = run(None, file)
    assert code == 78, err
    assert "not-portable" in err
    assert "the step of node 'n' can't travel to another process" in err


def test_a_killed_node_loses_nothing(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """40,000 items come through exact and in order, though a whole node is gone in the middle."""
    file = line(
        tmp_path,
        s={"func": "own_steps:forty_thousand"},
        c={"func": "own_steps:slow", "properties": {"scope": "production", "replicas": 2}},
        n=noting(tmp_path, scope="testing"),
    )
    notes = tmp_path / "notes"
    with started(cluster, file, "--json", "--quiet", "--batch", "200") as process:
        while not notes.exists() or notes.stat().st_size < 50_000:
            assert process.poll() is None, ended(process)
            time.sleep(0.01)
        victim = max(cluster.nodes[1:3], key=NodeProcess.hosts)  # Ray may have put both on one
        hosts = victim.hosts()
        victim.kill()
        code, out, err = ended(process)
    assert code == 0, err
    assert [int(each) for each in notes.read_text().split()] == [*range(40_000)]
    told = json.loads(out)
    assert sum(told["hosts"][name]["restarts"] for name in ("c#0", "c#1", "n")) == hosts > 0
