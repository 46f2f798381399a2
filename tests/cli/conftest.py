"""A folder with a few graphs and their steps, and the program to run them with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.app import plumber as group

ROOT = Path(__file__).parent.parent.parent

STEPS = '''
import asyncio


def numbers(count=3):
    yield from range(count)


def endless():
    try:
        number = 0
        while True:
            yield number
            number += 1
    finally:
        print("source closed", flush=True)


def double(number):
    """Double a number."""
    return 2 * number


def say(number):
    print("item", number, flush=True)


def quarrel(number):
    return blame(number) if number == 2 else number


def blame(number):
    raise ValueError(f"I will not have {number}")


async def forever(number):
    print("stuck", flush=True)
    await asyncio.Event().wait()


def no_two(number):
    if number == 2:
        raise ValueError("no two")


def bury(letter):
    pass
'''

LINE = """
nodes:
  numbers: {func: "steps:numbers", args: {count: 3}}
  double: {func: "steps:double"}
  say: {func: "steps:say"}
graph:
  numbers: [double]
  double: [say]
"""
ENDLESS = LINE.replace('"steps:numbers", args: {count: 3}', '"steps:endless"')

GRAPHS = {
    "graph.yaml": LINE,
    "fails.yaml": LINE.replace("steps:double", "steps:quarrel"),
    "endless.yaml": ENDLESS,
    "stuck.yaml": ENDLESS.replace("steps:say", "steps:forever"),
    "buries.yaml": """
nodes:
  numbers: {func: "steps:numbers"}
  choosy: {func: "steps:no_two", properties: {on_error: dead_letter}}
graph: {numbers: [choosy]}
dead_letter: {func: "steps:bury"}
""",
    "wrong.yaml": """\
nodes:
  numbers: {func: "steps:numbers", args: {cuont: 3}}
  say: {func: "steps:say"}
graph:
  numbers: [say]
  say: [nowhere]
""",
}

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the steps and the graphs into a folder, and go there."""
    (tmp_path / "steps.py").write_text(STEPS)
    for name, text in GRAPHS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    for name in list(os.environ):
        if name.startswith("PLUMBER_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def command(folder: Path) -> list[str]:
    """Return the words that start the program, in the folder."""
    return [sys.executable, "-m", "pipelines"]


@pytest.fixture
def plumber(command: list[str]) -> Program:
    """Run the program in a process of its own, and return how it ended."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, **options}
        return subprocess.run([*command, *arguments], **options)  # type: ignore[call-overload, no-any-return]

    return run


@pytest.fixture
def call(folder: Path) -> Call:
    """Run the program in this process: for verbs that start nothing."""

    def run(*arguments: str, **options: object) -> Result:
        return CliRunner().invoke(group, arguments, prog_name="plumber", **options)  # type: ignore[arg-type]

    return run
