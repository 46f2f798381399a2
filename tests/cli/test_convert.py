"""`plumber convert`, and programs in the `.pipe` language under the other verbs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipelines import load

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., Result]

PROGRAM = """\
import python (numbers, double, say !executor inline) steps.py
for n in numbers():
    say(double(n))
"""

MODULE = """
from pipelines import GraphSpec, load

import steps


def document(**nodes):
    return {"nodes": {"n": {"func": steps.numbers}, **nodes}, "graph": {"n": list(nodes)}}


class Built:
    def __init__(self, graph):
        self.graph = graph

    def spec(self):
        return load(self.graph)


class Ready:
    spec = load(document(say={"func": steps.say}))


def outer():
    def inner(number):
        return number

    return inner


mapping = document(double={"func": steps.double, "args": {}}, say={"func": "steps:say"})
spec = load(mapping)
built = Built(mapping)
ready = Ready()
live = {
    "lambda": document(x={"func": lambda n: n}),
    "local": document(x={"func": outer()}),
}
with_lambda, with_local = live["lambda"], live["local"]
with_list = {"nodes": {"n": {"func": [1, 2]}}}
with_object = document(x={"func": steps.double, "args": {"scale": object()}})
renamed = document(x={"func": outer})
outer.__qualname__ = "double"
faulty = {"nodes": {"n": {"func": 5}}, "grahp": {}}
number = 5
"""


@pytest.fixture
def programs(folder: Path) -> Path:
    """Write a program and a module with graphs beside the other graphs."""
    (folder / "double.pipe").write_text(PROGRAM)
    (folder / "built.py").write_text(MODULE)
    return folder


# What it writes.


def test_a_program_becomes_yaml_that_runs_the_same(programs: Path, plumber: Program) -> None:
    """On stdout, for the program's own folder."""
    written = plumber("convert", "double.pipe")
    assert written.returncode == 0, written.stderr
    (programs / "double.yaml").write_text(written.stdout)
    said = [plumber("run", "-q", f"double.{end}").stdout for end in ("pipe", "yaml")]
    assert [sorted(each.splitlines()) for each in said] == [["item 0", "item 2", "item 4"]] * 2


@pytest.mark.parametrize("output", ["out.yaml", "deep/out.yaml", "deep/out.json"])
def test_files_are_named_as_seen_from_the_output(
    programs: Path, call: Call, plumber: Program, output: str
) -> None:
    """So what is written runs where it is written."""
    (programs / "deep").mkdir()
    assert call("convert", "double.pipe", "-o", output).exit_code == 0
    expected = "../steps.py" if "/" in output else "steps.py"
    assert load(output).nodes["numbers"].args["file"] == expected
    said = plumber("run", "-q", output).stdout
    assert sorted(said.splitlines()) == ["item 0", "item 2", "item 4"]


@pytest.mark.parametrize("name", ["mapping", "spec", "built", "built.spec", "ready"])
def test_an_object_of_python_becomes_yaml(programs: Path, plumber: Program, name: str) -> None:
    """A mapping, a `GraphSpec`, what gives one, and what has one."""
    done = plumber("convert", f"built:{name}", "-o", "out.yaml")
    if name == "built.spec":
        assert done.returncode == 78
        assert "built:built.spec is no graph, but a method." in done.stderr
        return
    assert done.returncode == 0, done.stderr
    spec = load("out.yaml")
    assert spec.nodes["n"].func == "steps:numbers"
    assert spec.nodes["say"].func == "steps:say"


def test_a_graph_file_comes_out_in_its_plain_form(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aliases and variables are filled in; and once more it comes out the same."""
    monkeypatch.setenv("COUNT", "7")
    (folder / "fancy.yaml").write_text(
        "x-how: &how {timeout: 90s}\n"
        'nodes:\n  n: {func: "steps:numbers", args: {count: "${COUNT}"}}\n'
        '  d: {func: "steps:double", properties: *how}\n'
        "graph: {n: d}\n"
    )
    once = call("convert", "fancy.yaml").output
    assert "count: 7" in once
    assert "timeout: 90s" in once
    assert call("convert", "-", input=once).output == once


def test_json_is_written_where_that_is_meant(programs: Path, call: Call) -> None:
    """By the flag, or by the name of the output; both are the same graph."""
    said = call("convert", "double.pipe", "--to", "json").output
    assert call("convert", "double.pipe", "-o", "out.json").exit_code == 0
    assert json.loads(said) == json.loads(Path("out.json").read_text())
    call("convert", "double.pipe", "-o", "out.yaml")
    assert load("out.json") == load("out.yaml")
    call("convert", "double.pipe", "-o", "odd.json", "--to", "yaml")
    assert load(Path("odd.json").read_text()) == load("out.yaml")


def test_dollars_stay_dollars(folder: Path, call: Call) -> None:
    """Text that looks like a variable is escaped, in both forms."""
    (folder / "x.pipe").write_text("import sqlite3 (t as q) `SELECT '${HOME} $$' AS x`\nq()\n")
    for name in ("out.yaml", "out.json"):
        call("convert", "x.pipe", "-o", name)
        assert load(name).nodes["q"].args["query"] == "SELECT '${HOME} $$' AS x\n"


# What it refuses.


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("with_lambda", "node 'x': <function <lambda> at "),
        ("with_local", "node 'x': <function outer.<locals>.inner at "),
        ("with_list", "node 'n': [1, 2] has no importable name"),
        ("with_object", "node 'x': the argument 'scale' holds <object object at "),
        ("renamed", "node 'x': built:double is not what this step is"),
        ("number", "built:number is no graph, but a int."),
        ("Built", "built:Built is no graph, but a Built."),
        ("speck", "built:speck: 'built' has no 'speck'. Did you mean 'spec'?"),
    ],
)
def test_what_no_file_can_say_is_refused(
    programs: Path, plumber: Program, name: str, said: str
) -> None:
    """Live objects by their node; and what is no graph at all."""
    done = plumber("convert", f"built:{name}", "-o", "out.yaml")
    assert done.returncode == 78, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("out.yaml").exists()


def test_faults_are_told_as_by_validate(programs: Path, call: Call) -> None:
    """Of a document of Python, of a file, and of a program."""
    (programs / "bad.pipe").write_text("for x in numbres():\n    say(x)\n" + PROGRAM)
    found = call("convert", "bad.pipe")
    assert found.exit_code == 78
    assert (
        "bad.pipe:1:10  error[unknown-pipe]  no pipe is named 'numbres'. Did you mean 'numbers'?\n"
        "    for x in numbres():\n"
        "             ^^^^^^^\n" in found.output
    )
    assert call("convert", "built:faulty").exit_code == 78
    assert call("convert", "nowhere:graph").exit_code == 78
    missing = call("convert", "missing.yaml")
    assert missing.exit_code == 2
    assert "no file 'missing.yaml' is here" in missing.output


def test_a_file_that_can_not_be_written_is_told(programs: Path, call: Call) -> None:
    """In one line."""
    found = call("convert", "double.pipe", "-o", "no/where.yaml")
    assert found.exit_code == 1
    assert "can't write no/where.yaml" in found.output


# Programs under the other verbs.


def test_a_program_is_validated_with_its_places(programs: Path, call: Call) -> None:
    """Alone and in a folder, as text and as JSON."""
    assert "double.pipe: ok (5 nodes, 4 edges)" in call("validate", "double.pipe").output
    (programs / "programs").mkdir()
    (programs / "programs" / "bad.pipe").write_text(
        "import python (duoble) ../steps.py\nduoble()\n"
    )
    found = call("validate", "programs")
    assert found.exit_code == 78
    assert "bad.pipe:1:16  error[no-function]" in found.output
    assert "Did you mean 'double'?\n    import python (duoble)" in found.output
    (file,) = json.loads(call("validate", "programs", "--format", "json").output)["files"]
    assert [(p["line"], p["column"]) for p in file["problems"]] == [(1, 16)]


def test_a_program_is_drawn(programs: Path, call: Call) -> None:
    """Without importing its steps."""
    (programs / "steps.py").unlink()
    assert '(["start"])' in call("graph", "double.pipe").output


@pytest.mark.parametrize("flag", [["--scopes", "a"], ["--workers", "3"]])
def test_flags_of_programs_are_refused_with_graphs(
    folder: Path, call: Call, flag: list[str]
) -> None:
    """They would mean nothing there."""
    found = call("run", "graph.yaml", *flag)
    assert found.exit_code == 2
    assert f"{flag[0]} is for .pipe programs, and graph.yaml is a graph file" in found.output


def test_flags_of_programs(programs: Path, plumber: Program) -> None:
    """Scopes, workers, a limit for loops, and changes of the graph."""
    done = plumber("run", "double.pipe", "--workers", "2", "--limit", "1", "--json", "-q")
    assert "item 0" in done.stdout
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["nodes"]["for-n"]["emitted"] == 1
    done = plumber("run", "-q", "double.pipe", "--set", "nodes.for-n.args.limit=2")
    assert sorted(done.stdout.splitlines()) == ["item 0", "item 2"]
    done = plumber("run", "double.pipe", "--scopes", "other")
    assert done.returncode == 78
    assert "Run with --scopes other,production." in done.stderr
    done = plumber("run", "double.pipe", "--scopes", " , ")
    assert done.returncode == 2
    assert plumber("run", "-q", "double.pipe", "--scopes", "production").returncode == 0


def test_dead_letters_of_a_program_are_sent_again(programs: Path, plumber: Program) -> None:
    """A letter names the program; what failed goes on from there once the step is mended."""
    (programs / "mend.pipe").write_text(
        """\
!dead_letter dead.jsonl
import python (numbers, no_two as choosy !on_error dead_letter, say !executor inline) steps.py
for n in numbers():
    say(choosy(n))
"""
    )
    done = plumber("run", "-q", "mend.pipe")
    assert done.stdout == "item None\nitem None\n"
    steps = (programs / "steps.py").read_text()
    (programs / "steps.py").write_text(steps.replace('raise ValueError("no two")', "return 2"))
    again = plumber("replay", "dead.jsonl")
    assert "1 letter sent, 1 went through; none left" in again.stderr
    assert again.stdout == "item 2\n"
