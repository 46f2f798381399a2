"""Whole processes: what it costs to start Python, to import the library, and to run the command.

The first argument counts the processes; the figure is the mean in milliseconds. The library is
compiled, as one that was installed is, also where Python was told to keep no bytecode.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.work import Figure

_STEPS = """
def numbers():
    return range(3)


def double(number):
    return 2 * number


def ignore(number):
    pass
"""

_GRAPH = """
nodes:
  numbers: {func: "steps:numbers"}
  double: {func: "steps:double"}
  ignore: {func: "steps:ignore"}
graph:
  numbers: [double]
  double: [ignore]
"""


def _processes(count: int, *arguments: str, folder: str | None = None) -> Figure:
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    for _ in range(count):
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return Figure(0, 1000 * (time.perf_counter() - began) / count)


def bare(count: int) -> Figure:
    """Start Python, and end it."""
    return _processes(count, "-c", "pass")


def import_asyncio(count: int) -> Figure:
    """Import asyncio, without which nothing here runs."""
    return _processes(count, "-c", "import asyncio")


def import_pipelines(count: int) -> Figure:
    """Import the library."""
    return _processes(count, "-c", "import pipelines")


def show_help(count: int) -> Figure:
    """Run ``plumber --help``."""
    return _processes(count, "-m", "pipelines", "--help")


def run_three_nodes(count: int) -> Figure:
    """Run ``plumber run`` on a graph file of three trivial nodes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "steps.py").write_text(_STEPS)
        Path(folder, "graph.yaml").write_text(_GRAPH)
        return _processes(count, "-m", "pipelines", "run", "graph.yaml", folder=folder)
