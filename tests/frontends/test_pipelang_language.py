"""The `.pipe` language: what each form of it means as a graph, and how faults are told."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import GraphError, GraphSpec, Plumber, load
from pipelines.frontends import pipelang

STEPS = """
a:
    python
    f
    steps.py
b:
    python
    g
    steps.py
c:
    sqlite3
    t
    `SELECT * FROM t`
"""


def edges(text: str, **options: Any) -> set[tuple[str, str]]:
    """Return the edges of the graph of a program that follows on `STEPS`."""
    spec = pipelang.load(f"{STEPS}\n{text}\n", **options)
    return {(edge.source, edge.target) for edge in spec.edges}


def line(*names: str) -> set[tuple[str, str]]:
    """Return the edges that lead from each of some nodes to the next."""
    return set(itertools.pairwise(names))


def properties(options: str) -> Mapping[str, Any]:
    """Return what a node says of itself whose step has some options."""
    text = f"a:\n    python\n    {options}\n    f\n    steps.py\na()\n"
    return pipelang.load(text).nodes["a"].to_dict()


def faults(text: str, **options: Any) -> list[str]:
    """Return the line, column and code of each fault, and the whole of its text."""
    found = pipelang.check(f"{text}\n", import_steps=False, **options)
    return [str(problem) for problem in found]


# Pipes, calls and loops.


@pytest.mark.parametrize(
    "pipe",
    [
        "p = a | b",
        "p = | a | b",
        "p = a | b |",
        "p = (a | b)",
        "p = (\n    a\n    | b\n)",
        "p = (\na |  # first\n\nb |\n)",
        "q = | b\np = a | q",
    ],
)
def test_a_pipe_is_a_line_of_nodes(pipe: str) -> None:
    """However it is spelt, also over several lines, and of pipes."""
    assert edges(f"{pipe}\np()") == line("start", "a", "b")


@pytest.mark.parametrize("pipe", ["p = | a", "p = a |", "p = a", "p = (| a)"])
def test_a_pipe_of_one_step_needs_no_bar(pipe: str) -> None:
    """A bar may stand before or behind it, or none."""
    assert edges(f"{pipe}\np()") == line("start", "a")


def test_a_step_is_called_like_a_pipe() -> None:
    """It is one of a single step."""
    assert edges("a()") == line("start", "a")


@pytest.mark.parametrize(
    "calls",
    [
        "v = a()\nb(v)",
        "b(a())",
        "b(a)",
        "v = pipe(a)\nb(v)",
        "b(pipe(a))",
        "w = a()\nv = pipe(w)\nb(v)",
        "p = | a\nv = pipe(p)\nb(v)",
    ],
)
def test_a_call_follows_the_one_whose_value_it_takes(calls: str) -> None:
    """The value may be named, stand in the call, or be the pipe that gives it."""
    assert edges(calls) == line("start", "a", "b")


def test_pipe_may_be_the_name_of_a_pipe() -> None:
    """Then it is that, as in the document's comment with `pipe` for any name."""
    assert edges("pipe = a | b\nv = pipe(c)\nb(v)") == line("start", "c", "a", "b", "b-2")


@pytest.mark.parametrize(
    "loop",
    [
        "for x in a(): b(x)",
        "for x in a():\n    b(x)",
        "for x in a():\n\n  # a comment\n\n  b(x)  # another",
        "for x in a:\n\tb(x)",
        "v = a()\nfor x in v:\n    b(x)",
        "for x in pipe(a):\n    b(x)",
    ],
)
def test_a_loop_is_a_node_between_its_pipe_and_its_body(loop: str) -> None:
    """On one line or several, over a call, a pipe or a value."""
    assert edges(loop) == line("start", "a", "for-x", "b")


@pytest.mark.parametrize(
    "loop",
    [
        "for x in a():\n    for y in b(x):\n        c(y)",
        "for x in a():\n    for y in b(x): c(y)",
        "for x in a(): for y in b(x): c(y)",
    ],
)
def test_loops_nest(loop: str) -> None:
    """The inner one goes over what a pipe gives for each value of the outer one."""
    assert edges(loop) == line("start", "a", "for-x", "b", "for-y", "c")


def test_what_shares_nothing_runs_side_by_side() -> None:
    """Two calls without a common value both follow the start."""
    assert edges("a()\nb()") == {("start", "a"), ("start", "b")}


def test_two_values_make_a_join() -> None:
    """A diamond: one value goes two ways, and a call takes both results."""
    spec = pipelang.load(f"{STEPS}\nx = a()\nl = b(x)\nr = c(x)\nb(l, r)\n")
    found = {(edge.source, edge.target) for edge in spec.edges}
    assert found == {("start", "a"), ("a", "b"), ("a", "c"), ("b", "b-2"), ("c", "b-2")}
    assert [spec.properties(name).ordered for name in ("a", "b", "c", "b-2")] == [True] * 3 + [
        False
    ]


def test_a_value_on_the_way_is_carried_and_not_joined() -> None:
    """What one of two arguments was made from comes along with it."""
    spec = pipelang.load(f"{STEPS}\nx = a()\ny = b(x)\nb(x, y)\n")
    assert {(edge.source, edge.target) for edge in spec.edges} == line("start", "a", "b", "b-2")
    assert spec.nodes["b"].args["keep"] == ["x"]


def test_a_value_from_outside_reaches_the_body_of_a_loop() -> None:
    """The loop waits for it."""
    assert edges("v = a()\nfor x in b():\n    b(x, v)") == line("start", "a", "b", "for-x", "b-2")


def test_a_variable_may_be_assigned_again() -> None:
    """Each call takes the value that the line above gave."""
    spec = pipelang.load(f"{STEPS}\nv = a()\nw = b(v)\nv = b(v)\nb(v, w)\n")
    assert spec.nodes["b-3"].args["give"] == ["v-2", "w"]


def test_the_same_name_may_be_used_by_two_loops() -> None:
    """Each loop has its own."""
    assert edges("for x in a(): b(x)\nfor x in a(): b(x)") == line(
        "start", "a", "for-x", "b"
    ) | line("start", "a-2", "for-x-2", "b-2")


# Steps and options.


def test_both_spellings_say_the_same() -> None:
    """A block with marks, and an import with names."""
    block = """
$ low
a:
    python
    !9
    f
    steps.py
b:
    python
    $ high
    g
    steps.py
p = a | b
p()
"""
    named = """
import python (f as a !scope low !priority 9, g as b !scope high) steps.py
p = (
    a
    | b
)
p()
"""
    assert pipelang.load(block) == pipelang.load(named)


def test_options_may_stand_anywhere_behind_the_language() -> None:
    """Before the function, behind it and behind the file; on lines of their own or not."""
    texts = [
        "a:\n    python !9 !poll 2m\n    f steps.py\na()\n",
        "a:\n    python\n    !priority 9\n    f\n    !poll 120\n    steps.py\na()\n",
        "a:\n  python\n  f\n  steps.py\n  !poll 2 * 60\n  !9\na()\n",
        "import python (f as a !9) steps.py !poll 120.0\na()\n",
        "!poll 2m\nimport python (f as a !9) steps.py\na()\n",
        "!poll 1\n!9\n!poll 2m\nimport python (f as a) steps.py\na()\n",
    ]
    first, *others = [pipelang.load(text) for text in texts]
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("!timeout 20 * 60", {"args": {"timeout": 1200}}),
        ("!timeout (1 + 2) * 10 / 4 - 0.5", {"args": {"timeout": 7.0}}),
        ("!timeout 20m", {"args": {"timeout": 1200.0}}),
        ("!timeout 2 * 10m", {"args": {"timeout": 1200.0}}),
        ("!poll 500ms", {"args": {"poll": 0.5}}),
        ("!poll", {}),
        ("!-3", {"args": {"priority": -3}}),
        ("!executor inline", {"args": {"executor": "inline"}}),
        ("!retries 2", {"properties": {"retry": {"attempts": 3}}}),
        ("!retries 0", {"properties": {"retry": {"attempts": 1}}}),
        ("!backoff 2s", {"properties": {"retry": {"backoff": "2s"}}}),
        ("!max_backoff 1m", {"properties": {"retry": {"max_backoff": "1m"}}}),
        ("!jitter false", {"properties": {"retry": {"jitter": False}}}),
        ("!retry_on OSError", {"properties": {"retry": {"on": ["OSError"]}}}),
        ('!retry_on "OSError, a.B"', {"properties": {"retry": {"on": ["OSError", "a.B"]}}}),
        ("!on_error skip", {"properties": {"on_error": "skip"}}),
        ("!concurrency 7", {"properties": {"concurrency": 7}}),
        ("!buffer_size 7", {"properties": {"buffer_size": 7}}),
        ("!waiting_limit 70", {"properties": {"waiting_limit": 70}}),
        ("!rate_limit 20 / s", {"properties": {"rate_limit": "20/s"}}),
        ("!rate_limit 5/10m", {"properties": {"rate_limit": "5/10m"}}),
        ("!ordered true", {"properties": {"ordered": True}}),
        ("!on_missing drop", {"properties": {"join": {"on_missing": "drop"}}}),
    ],
)
def test_an_option_says(option: str, said: Mapping[str, Any]) -> None:
    """Its value is worked out, and stands in the node where it is heeded."""
    found = properties(option)
    for key, values in said.items():
        for name, value in values.items():
            part = found[key][name]
            assert (part | value == part) if isinstance(value, dict) else (part == value)
    if not said:
        assert found == properties("")


def test_options_of_the_file() -> None:
    """Dead letters, tolerated failures, the drain's time and the number of workers."""
    text = "!workers 7\n!dead_letter dead.jsonl\n!max_failures 5 %\n!shutdown_timeout 1m\n"
    spec = pipelang.load(f"{text}{STEPS}\na()\n")
    document = spec.to_dict()
    assert document["dead_letter"] == {"func": "write_jsonl", "args": {"path": "dead.jsonl"}}
    assert document["runtime"] == {"max_failures": "5%", "shutdown_timeout": "1m"}
    assert document["defaults"]["concurrency"] == 14
    assert spec.nodes["a"].args["workers"] == 7
    assert pipelang.load(f"{text}{STEPS}\na()\n", workers=3).nodes["a"].args["workers"] == 3


def test_code_may_stand_in_the_text_anywhere() -> None:
    """Indented as it pleases, from the left margin on, and with comments and brackets within."""
    indented = "a:\n    python\n    f\n    `\n    def f():\n        return '#('\n    `\na()\n"
    at_margin = "a:\n    python\n    f\n`def f():\n    return '#('`\na()\n"
    one, other = pipelang.load(indented), pipelang.load(at_margin)
    assert one.nodes["a"].args["code"] == "def f():\n    return '#('\n"
    assert one == other


def test_a_file_is_looked_up_beside_the_program(tmp_path: Path) -> None:
    """Absolute by default; relative to a folder for a graph that is to be written there."""
    (tmp_path / "x.pipe").write_text(f"{STEPS}\na()\n")
    spec = pipelang.load(tmp_path / "x.pipe")
    assert spec.nodes["a"].args["file"] == str(tmp_path / "steps.py")
    spec = pipelang.load(tmp_path / "x.pipe", base=tmp_path / "out")
    assert spec.nodes["a"].args["file"] == "../steps.py"
    assert spec.name == "x"


def test_line_ends_of_all_systems_are_alike() -> None:
    """Also those of Windows and of old Macs."""
    text = f"{STEPS}\nfor x in a():\n    b(x)\n"
    assert pipelang.load(text.replace("\n", "\r\n") + "\n") == pipelang.load(text)
    assert pipelang.load(text.replace("\n", "\r") + "\n") == pipelang.load(text)


def test_the_graph_is_plain_data() -> None:
    """It goes through YAML and JSON, and comes back equal."""
    text = f"!dead_letter d.jsonl\n{STEPS}\np = a | c | b\nfor x in p(): for y in b(x): p(x, y)\n"
    spec = pipelang.load(text)
    assert load(spec.to_yaml()) == spec
    assert GraphSpec.from_dict(json.loads(json.dumps(spec.to_plain()))) == spec


# Scopes.


SCOPED = """
import python (f as a !scope low, g as b !scope high, h as c) steps.py
p = a | b | c
p()
"""


def ranks(text: str = SCOPED, **options: Any) -> list[int]:
    """Return the places of the scopes of a, b and c."""
    spec = pipelang.load(text, **options)
    return [spec.nodes[name].args.get("scope", 0) for name in "abc"]


def test_scopes_rank_as_they_first_stand_in_the_text() -> None:
    """A step without one is of the scope production."""
    assert ranks() == [0, 1, 2]
    assert ranks(f"$ high\n{SCOPED}") == [0, 1, 1]


def test_scopes_rank_as_they_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the argument, or by the variable of the original."""
    assert ranks(scopes=["production", "other", "high", "low"]) == [3, 2, 0]
    monkeypatch.setenv("PIPE_WORKER_SCOPES", "high, low,production")
    assert ranks() == [1, 0, 2]
    assert ranks(scopes=["low", "high", "production"]) == [0, 1, 2]


def test_a_scope_that_is_not_served_is_refused() -> None:
    """Each step of one is named, and how to serve it."""
    found = faults(SCOPED, scopes=["production", "low"])
    assert len(found) == 1
    assert found[0].startswith(
        "2:43  error[scope-not-served]  step 'b' has the scope 'high', which is not served: "
        "the scopes are production, low. Run with --scopes production,low,high."
    )


# Faults.


def test_a_fault_shows_its_line_and_a_caret() -> None:
    """Below the message, with as many carets as the word has letters."""
    with pytest.raises(GraphError) as caught:
        pipelang.load(f"{STEPS}\np = a | bee\np()\n")
    assert str(caught.value) == (
        "15:9  error[unknown-step]  no step or pipe is named 'bee'. Known: a, b, c, p.\n"
        "    p = a | bee\n"
        "            ^^^"
    )


def test_all_faults_are_told_at_once() -> None:
    """Also behind a statement that can't be read, whose names are not missed then."""
    text = """
one:
    pyhton
    f
    x.py
broken = = one
for x in on():
    one(y)
broken()
two:
    python
    !timeout 0
    !nice 3
    f
    x.py
v = one(
"""
    places = [(p.line, p.column, p.code) for p in pipelang.check(text, import_steps=False)]
    assert places == [
        (3, 5, "unknown-language"),
        (6, 10, "syntax"),
        (7, 10, "unknown-pipe"),
        (8, 9, "unknown-value"),
        (12, 14, "bad-option"),
        (13, 6, "unknown-option"),
        (16, 9, "syntax"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("for x in p()\n    q(x)", "1:13  error[syntax]  something is missing here. Expected: `:`"),
        ("p(", "1:3  error[syntax]  something is missing here. Expected: a name, `)`."),
        ("p())", "1:4  error[syntax]  ')' can't stand here. Expected: the end of the line."),
        ("p = a & b", "1:7  error[syntax]  '&' means nothing here."),
        ("x:\npython", "1:3  error[syntax]  something is missing here. Expected: an indented"),
        ("p()\n    q()", "2:5  error[syntax]  this line is indented otherwise"),
        ("a:\n  python\n  f\n  `x", "4:3  error[syntax]  the code that begins here never ends."),
        ("a:\n  python\n  f\n  ` `\na()", "4:3  error[no-code]"),
        ("p = | p\np()", "1:1  error[circle]  this pipe runs in a circle: p -> p."),
        ("p = | q\nq = | p\np()", "1:1  error[circle]  this pipe runs in a circle: p -> q -> p."),
        ("\n", "1:1  error[nothing-runs]  nothing is run here."),
        (f"{STEPS}p = | a", "1:1  error[nothing-runs]"),
        (f"{STEPS}p = | a\na = | b\np()", "error[defined-twice]  'a' is a step already, in line 2"),
        (f"{STEPS}a = b()", "error[defined-twice]  'a' is a step or a pipe already."),
        (f"{STEPS}v = a()\nv()", "error[unknown-pipe]  'v' is a value, and can't be called."),
        (f"{STEPS}for x in a(): b(x)\nb(x)", "It is known only inside the loop in line 14."),
        (f"{STEPS}v = a()\nfor x in a(): v = b(x)", "error[outer-variable]"),
        (f"{STEPS}v = a()\nfor v in a(): b(v)", "error[outer-variable]"),
        (f"{STEPS}c(a(), b())", "'c' takes one value, its rows, not 2."),
        (f"{STEPS}pipe()", "`pipe` takes one value or one pipe, not 0."),
        ("!nice 3\n", "error[unknown-option]  there is no option !nice."),
        ("!prioritty 3\n", "Did you mean 'priority'?"),
        ("!batch 3\n", "!batch can't be had here: a step takes one value at a time."),
        ("!timeout 1 / (2 - 2)\n", "error[arithmetic]  this divides by zero."),
        ("!timeout 999999999999999 * 99\n", "error[arithmetic]  this number is too large."),
        ("!concurrency 1.5\n", "!concurrency takes a whole number from 1, not '1.5'."),
        ("!retries\n", "!retries takes a whole number from 0."),
        ("!executor rocket\n", "!executor takes thread, process or inline, not 'rocket'."),
        ("!rate_limit 0/s\n", "!rate_limit takes a rate such as 20/s or 100/m, not '0/s'."),
        ("!scope a !scope b\na:\n  python\n  !9 !8\n  f\n  x.py", "!priority is said twice"),
        ("a:\n  python\n  !workers 3\n  f\n  x.py", "!workers is an option of the whole file."),
        ("a:\n  sqlite3\n  !poll 3\n  t\n  `select 1`", "!poll is for functions in python."),
        (
            "a:\n  python\n  !on_error dead_letter\n  f\n  x.py\na()",
            "error[no-dead-letter]  nothing says where dead letters go.",
        ),
        (
            f"{STEPS}d:\n  python\n  !ordered false\n  f\n  x.py\nx = a()\nb(d(x), b(x))",
            "the results of 'd' are joined with others, in order.",
        ),
    ],
)
def test_a_fault_says(text: str, said: str) -> None:
    """Where, what is wrong, and what could stand there."""
    assert any(said in fault for fault in faults(text)), faults(text)


def test_what_never_runs_is_warned_of() -> None:
    """Steps in no pipe, and pipes that nothing calls; the program may run all the same."""
    found = pipelang.check(f"{STEPS}p = a | b\nq = | p\nb()\n", import_steps=False)
    assert [(each.severity, each.message) for each in found] == [
        ("warning", "step 'c' is never run."),
        ("warning", "pipe 'q' is never run."),
    ]


def test_a_long_line_is_cut_around_the_fault() -> None:
    """An excerpt stays short, and holds what it points to."""
    calls = "".join(f"a{n}(" for n in range(40))
    (fault,) = [f for f in faults(f"p({'v, ' * 1000}~)") if "~" in f]
    *_, shown, caret = fault.split("\n")
    assert len(shown) < 200
    assert shown[caret.index("^")] == "~"
    assert len(faults(calls)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "p" + "(p" * 5000 + ")" * 5000,
        "p" + "(" * 50_000,
        "\n".join(" " * depth + f"for x{depth} in p():" for depth in range(1000)),
        "!timeout " + "(" * 5000 + "1" + ")" * 5000 + "\np()",
        "!timeout " + "1 + " * 5_000 + "1\np()",
        "!timeout " + "-" * 5_000 + "1\np()",
        "p = " + "a | " * 10_000 + "a",
        "a:\n  python\n  f\n  `x`\np0 = a | a\n"
        + "".join(f"p{n + 1} = p{n} | p{n}\n" for n in range(500))
        + "p500()",
        "".join(f"q{n} = | q{n + 1}\n" for n in range(3000)),
        "\n" * 100_000,
        "".join(f"v{n} = w{n}()\n" for n in range(2000)),
        "".join(f"q{n} = | q{n}\n" for n in range(2000)),
    ],
    ids=[
        "calls",
        "open",
        "loops",
        "brackets",
        "sum",
        "signs",
        "pipe",
        "doubling",
        "chain",
        "empty",
        "unknown",
        "circles",
    ],
)
def test_nothing_is_too_deep_or_too_long(text: str) -> None:
    """Whatever is piled up, the answer is faults with places, and comes at once."""
    found = pipelang.check(f"{text}\n", import_steps=False)
    assert 1 <= len(found) <= 100
    assert all(problem.line and problem.column for problem in found)


WORDS = ["pipe", "a", "b", "(", ")", "|", "=", "for", "in", ":", "\n", "    ", "\t", "`", "#", "$"]
WORDS += ["!", "import", "python", "as", ",", "x.py", "9", "5m", "20/s", "5%", "'", '"', "*", "/"]
WORDS += ["-", "sqlite3", "\r", "\0", "\u2028", "é", "timeout", "a()\n", "a = | b\n"]
WORDS += ["for x in a():\n", "a:\n    python\n    f\n    x.py\n"]


def mend(text: str) -> None:
    """See that a text is a program, or has faults that say where."""
    found = pipelang.check(f"{text}\n", import_steps=False)
    for problem in found:
        assert problem.line
        assert problem.column
        assert "^" in str(problem)
    if all(problem.severity == "warning" for problem in found):
        pipelang.load(f"{text}\n")
    else:
        with pytest.raises(GraphError):
            pipelang.load(f"{text}\n")


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join)))
def test_any_text_is_a_program_or_has_faults_with_places(text: str) -> None:
    """There is no third thing: no traceback, and no hang."""
    mend(text)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), st.sampled_from(WORDS)), max_size=4)
)
def test_a_program_with_slips_has_faults_with_places(slips: list[tuple[int, int, str]]) -> None:
    """Wherever something is typed over or left out."""
    text = f"{STEPS}p = a | b\nv = p()\nfor x in b(v):\n    for y in c(x): p(x, y)\n"
    for place, cut, word in slips:
        text = text[:place] + word + text[place + cut :]
    mend(text)


# Files.


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the nearest name, as for any graph."""
    (tmp_path / "reports.pipe").write_text("p()\n")
    (found,) = pipelang.check(tmp_path / "report.pipe")
    assert found.code == "unreadable-file"
    assert "reports.pipe" in found.hint
    with pytest.raises(GraphError):
        pipelang.load(tmp_path / "report.pipe")


def test_bytes_that_are_no_text_have_a_place(tmp_path: Path) -> None:
    """The place of the first of them."""
    (tmp_path / "x.pipe").write_bytes(b"a()\nb\xff()\n")
    (found,) = pipelang.check(tmp_path / "x.pipe")
    assert (found.code, found.line, found.column) == ("bad-encoding", 2, 2)


def test_what_steps_name_is_looked_up(tmp_path: Path) -> None:
    """Files, functions, and how they are called; each fault at its place in the text."""
    (tmp_path / "steps.py").write_text(
        "async def give(): ...\ndef take(x): ...\ndef two(x, y): ...\nNUMBER = 3\n"
    )
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "x.pipe").write_text(
        """\
import python (give, tkae as take, NUMBER as number) steps.py
import python (two) steps.py
import python (f) broken.py
import python (g) missing.py
import sqlite3 (t) missing.sql
code:
    python
    !executor thread
    h
    `
async def h(x):
    pass
    `
p = give | give
q = give | two
p()
q()
r = give | take | number | f | g | t | code
r()
give(give)
two(give)
"""
    )
    found = pipelang.check(tmp_path / "x.pipe")
    assert [(p.line, p.column, p.code) for p in found] == [
        (1, 16, "wrong-arguments"),
        (1, 22, "no-function"),
        (1, 36, "no-function"),
        (2, 16, "wrong-arguments"),
        (3, 19, "import-failed"),
        (4, 19, "no-file"),
        (5, 20, "no-file"),
        (8, 6, "bad-option"),
        (20, 1, "wrong-arguments"),
        (21, 1, "wrong-arguments"),
    ]
    assert pipelang.check(tmp_path / "x.pipe", import_steps=False) == []


def test_a_plumber_takes_the_graph(tmp_path: Path) -> None:
    """What `load` gives is run by `Plumber` as it is."""
    text = "a:\n  python\n  f\n  `\ndef f():\n    return 1\n`\na()\n"
    assert Plumber(pipelang.load(text)).run_sync().ok


def test_numbers_below_one_are_refused() -> None:
    """They are misuse of the call, not of the language."""
    with pytest.raises(ValueError, match="workers is a number from 1, not 0"):
        pipelang.load("a()\n", workers=0)
    with pytest.raises(ValueError, match="limit is a number from 1, not -1"):
        pipelang.check("a()\n", limit=-1)


def test_without_lark_it_is_said_what_to_install() -> None:
    """And the names that steps import are there all the same."""
    code = (
        "import sys; sys.modules['lark'] = None\n"
        "from pipelines.frontends.pipelang import Result, load, pending\n"
        "try: load('a()\\n')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == (
        "PipelinesError a .pipe file needs lark: pip install 'pipelines[pipe]'\n"
    )
