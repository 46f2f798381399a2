"""``plumber list``, ``schema`` and ``completion``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terminal import run_in_terminal

from pipelines.checks.schema import graph_schema
from pipelines.registry import Registry


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """Put a registry with one step in the place of the real one."""
    registry: Registry[Any] = Registry("step")

    @registry.register("wander")
    def wander(item: Any, *, path: str, tries: int = 3, **more: Any) -> Any:
        """Do something.

        In detail.
        """

    monkeypatch.setattr("pipelines.registry.steps", registry)
    return registry


def test_list_tells_name_arguments_and_purpose(call: Any, registered: Registry[Any]) -> None:
    """Off a terminal a step is two lines of plain text."""
    lines = call("list").stdout.splitlines()
    assert lines[0] == "wander  Do something."
    assert lines[1].strip() == "(item: Any, path: str, tries: int = 3, **more: Any)"


def test_list_as_json_has_the_parts(call: Any, registered: Registry[Any]) -> None:
    """A program gets types, defaults and what must be given."""
    (found,) = json.loads(call("list", "--format=json").stdout)
    item, path, tries, more = found["arguments"]
    assert (found["name"], found["doc"]) == ("wander", "Do something.")
    assert item["required"]
    assert (path["type"], path["required"], path["default"]) == ("str", True, None)
    assert (tries["default"], tries["required"]) == ("3", False)
    assert (more["kind"], more["required"]) == ("VAR_KEYWORD", False)


def test_list_on_a_terminal_is_a_table(command: list[str]) -> None:
    """A person sees columns."""
    lines = run_in_terminal([*command, "list"], columns=120, rows=80).lines
    assert any(line.split() == ["step", "arguments", "does"] for line in lines)
    assert any(line.split()[:1] == ["read_lines"] for line in lines)


def test_a_step_that_can_not_be_imported_does_not_hide_the_rest(
    call: Any, registered: Registry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package's fault is told in its line."""
    get = registered.get

    def fail(name: str) -> Any:
        if name == "broken":
            raise ImportError("no driver")
        return get(name)

    registered.add("broken", None)
    monkeypatch.setattr(registered, "get", fail)
    lines = call("list").stdout.splitlines()
    assert lines[0] == "broken  (can't be imported: no driver)"
    assert lines[1] == "wander  Do something."


def test_schema_is_the_schema(call: Any, folder: Path) -> None:
    """On stdout or in a file, the same."""
    assert json.loads(call("schema").stdout) == graph_schema()
    assert call("schema", "-o", "graph.schema.json").stdout == ""
    assert json.loads((folder / "graph.schema.json").read_text()) == graph_schema()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(call: Any, shell: str) -> None:
    """The script calls the program back for the words to offer."""
    assert "_PLUMBER_COMPLETE" in call("completion", shell).stdout


def test_completion_offers_verbs(plumber: Any) -> None:
    """What the script asks for is answered."""
    env = {"_PLUMBER_COMPLETE": "bash_complete", "COMP_WORDS": "plumber va", "COMP_CWORD": "1"}
    done: subprocess.CompletedProcess[str] = plumber(env={**os.environ, **env})
    assert done.stdout == "plain,validate\n"
