"""The demo server, and the demo client, which speaks both of its protocols."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_demos import ROOT

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
GRAPH = "demos/client/graph.json"


@dataclass(frozen=True)
class Demo:
    """The demo server: its address, and its token."""

    url: str
    token: str

    def client(self, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Run the demo client against it."""
        shown = ["--token", token] if token else []
        command = [sys.executable, "demos/client", "--url", self.url, *shown, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=30
        )


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """Run the demo server on a free port."""
    command = [sys.executable, "demos/server", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=-1, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        token = process.stdout.readline().strip().partition("#token=")[2]
        yield Demo(url, token)
        process.terminate()
    assert process.returncode == 0


@pytest.fixture(autouse=True)
def nothing_left(demo: Demo) -> None:
    """Let the server live from one test to the next; its own end is looked at."""


def test_each_result_comes_as_a_line_of_json(demo: Demo) -> None:
    """Without a token, over the simple protocol: each string beside itself reversed."""
    done = demo.client(GRAPH)
    pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "the run ended: done\n")
    assert len(pairs) == 5
    assert all(left == right[::-1] for left, right in pairs)


def test_a_run_can_be_watched(demo: Demo) -> None:
    """Over the editor's protocol, with the token: results on stdout, counters on stderr."""
    done = demo.client("--watch", GRAPH, token=demo.token)
    assert done.returncode == 0
    assert len(re.findall(r"^out\t\('", done.stdout, re.MULTILINE)) == 5
    assert "inp 5 done · rev 5 done · out 5 done" in done.stderr


def test_the_steps_are_listed(demo: Demo) -> None:
    """With their arguments, kind and first line."""
    done = demo.client("--steps", token=demo.token)
    assert "input_coro(how_many)\tsource\tMake random strings." in done.stdout.splitlines()
    assert len(done.stdout.splitlines()) == 5


def test_a_graph_is_checked(demo: Demo, tmp_path: Path) -> None:
    """Every fault is said, and the exit code is that of an invalid graph."""
    assert demo.client("--check", GRAPH, token=demo.token).returncode == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nodes: {a: {coro: input_corro}, b: {coro: reverse}}\ngraph: {a: [c]}\n")
    done = demo.client("--check", str(wrong), token=demo.token)
    assert done.returncode == 78
    assert "nodes.a.func: no step 'input_corro' is offered here. Did you mean" in done.stderr
    assert "graph.a.0: " in done.stderr
    simple = demo.client(str(wrong))
    assert simple.returncode == 1
    assert "nodes.a.func: no step 'input_corro'" in simple.stderr


def test_without_the_token_or_a_server_it_says_so(demo: Demo) -> None:
    """With the exit code for a server that can't be reached."""
    assert demo.client("--steps").returncode == 69
    assert demo.client("--steps", token="wrong").returncode == 69
    done = Demo("http://127.0.0.1:1", "").client(GRAPH)
    assert done.returncode == 69
    assert "can't be reached" in done.stderr
