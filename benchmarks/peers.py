"""The peers' own environment, so that none of them needs to get along with our tools."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.rounds import ROOT

PINS = Path(__file__).with_name("peers.txt")
NAMES = ("aiostream", "bytewax", "paipa", "pypeln", "streamz")


def folder_for(python: str) -> Path:
    """Return the folder of the environment that goes with an interpreter: its sister."""
    own = Path(python).absolute().parent.parent.name
    other = own.removeprefix(".venv") if own.startswith(".venv") else f"-{own}"
    return ROOT / f".venv-bench{other}"


def prepare(python: str, say: Callable[[str], None]) -> str:
    """Return the interpreter of the peers' environment, after setting that up where it is needed.

    A peer that can't be installed on this Python is left out; its sides say so when they are run.
    """
    folder = folder_for(python)
    interpreter = str(folder / "bin" / "python")
    done = folder / "peers.txt"
    if done.exists() and done.read_text() == _wanted(python):
        return interpreter
    say(f"setting up {folder.name} with the peers")
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    if not _install(interpreter, ["-r", str(PINS)]):
        for pin in _pins():
            if not _install(interpreter, [pin]):
                say(f"{pin} could not be installed")
    done.write_text(_wanted(python))
    return interpreter


def _wanted(python: str) -> str:
    version = subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout
    return f"{version}{PINS.read_text()}"


def _pins() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in PINS.read_text().splitlines())
    return [line for line in lines if line]


def versions() -> dict[str, str]:
    """Return the pinned version of each peer."""
    pins = dict(pin.split("==") for pin in _pins())
    return {name: pins[name] for name in NAMES}


def _install(interpreter: str, what: list[str]) -> bool:
    command = [interpreter, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--no-deps", *what], check=False, capture_output=True)
    return done.returncode == 0
