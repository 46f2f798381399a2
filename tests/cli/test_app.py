"""The command itself: its verbs, its help, and what every way to end looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import click
import pytest

from pipelines.cli.app import VERBS, Verbs
from pipelines.errors import ExecutorError


def test_help_lists_every_verb(call: Any) -> None:
    """The verbs and their lines stand in the help."""
    told = call("--help").output
    assert all(
        f"{verb}  " in told and does in " ".join(told.split()) for verb, does in VERBS.items()
    )


def test_help_imports_no_verb_and_nothing_heavy(command: list[str]) -> None:
    """``--help`` costs click alone."""
    program = """
import sys
from pipelines.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"rich", "yaml", "jsonschema", "networkx", "asyncio", "dotenv"}
heavy |= {f"pipelines.cli.{verb}" for verb in sys.argv[1:]}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *VERBS], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_has_a_twin_in_the_environment(call: Any, verb: str) -> None:
    """The help of each verb names a variable for each of its flags, after the flag."""
    found = Verbs().get_command(click.Context(Verbs()), verb)
    assert found is not None
    told = "".join(call(verb, "--help").output.split())
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            flag = max(parameter.opts, key=len).removeprefix("--").replace("-", "_").upper()
            assert f"PLUMBER_{verb.upper()}_{flag}" in told


def test_a_variable_stands_for_its_flag(call: Any) -> None:
    """``PLUMBER_GRAPH_FORMAT`` is ``--format`` of ``graph``."""
    drawn = call("graph", "graph.yaml", env={"PLUMBER_GRAPH_FORMAT": "dot"}).output
    assert drawn.startswith("digraph")


def test_an_unknown_verb_names_the_nearest(call: Any) -> None:
    """A slip of the finger is wrong usage."""
    result = call("vaildate")
    assert result.exit_code == 2
    assert "Did you mean 'validate'?" in result.stderr


def test_a_file_that_is_not_there_is_wrong_usage(call: Any) -> None:
    """Which file, is said."""
    result = call("run", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_the_version_is_printed(call: Any) -> None:
    """``--version`` names the program and its version."""
    assert call("--version").output.startswith("plumber ")


@pytest.fixture
def broken_verb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make ``schema`` raise what it is given."""

    def install(error: BaseException) -> None:
        def fail() -> None:
            raise error

        module = SimpleNamespace(command=click.Command("schema", callback=fail))
        monkeypatch.setitem(sys.modules, "pipelines.cli.schema", module)  # type: ignore[arg-type]

    return install


def test_a_bug_of_ours_shows_its_traceback_and_says_so(call: Any, broken_verb: Any) -> None:
    """What is not the user's fault is asked to be reported."""
    broken_verb(RuntimeError("oops"))
    result = call("schema")
    assert result.exit_code == 1
    assert "RuntimeError: oops" in result.stderr
    assert "this is a bug in plumber" in result.stderr.splitlines()[-1]


def test_an_error_of_ours_is_a_message_with_its_causes(call: Any, broken_verb: Any) -> None:
    """A deliberate error has no traceback; its causes follow it."""
    error = ExecutorError("the worker died")
    error.__cause__ = OSError("no memory")
    broken_verb(error)
    result = call("schema")
    assert (result.exit_code, result.stderr) == (1, "plumber: the worker died: no memory\n")


def test_a_keyboard_interrupt_is_quiet(call: Any, broken_verb: Any) -> None:
    """Ctrl-C before anything runs just ends the program."""
    broken_verb(KeyboardInterrupt())
    result = call("schema")
    assert (result.exit_code, result.output) == (130, "")


def test_a_reader_that_leaves_is_no_error(command: list[str]) -> None:
    """``plumber schema | head`` ends quietly, though it can't print all."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*command, "schema"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_that_leaves_hides_no_error(command: list[str]) -> None:
    """What is wrong with a graph is told, though nobody reads stdout."""
    read, write = os.pipe()
    os.close(read)
    words = [*command, "run", "wrong.yaml"]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == 78
    assert done.stderr.endswith(b"2 errors\n")
