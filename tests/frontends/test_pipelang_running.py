"""Programs in the `.pipe` language as they run: values, loops, polling, time-outs, and turns."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipe_programs import ANSWERS, CALLS, FILE, calls, program, really_run, run
from running import ended
from virtual_time import run_virtually

from pipelines import SKIP, Later, Plumber, Route, StepError, load
from pipelines.frontends import pipelang
from pipelines.frontends.pipelang import Result, Status, cancel, pending, reset
from pipelines.frontends.pipelang.steps.desk import Desk

# Values.


def test_the_result_of_each_step_is_the_value_of_the_next() -> None:
    """The first is called with the argument, the last one's result is the call's value."""
    run("p = three | seen\nv = p()\nseen(v)", "three", "seen")
    assert calls("seen") == [[1, 2, 3], [1, 2, 3]]


def test_a_loop_runs_its_body_for_each_value() -> None:
    """Whatever order they end in, each value once."""
    report = run("for x in three(): seen(x)", "three", "seen")
    assert sorted(calls("seen")) == [1, 2, 3]
    assert report.nodes["for-x"].emitted == 3


def test_every_variable_in_scope_reaches_a_call() -> None:
    """Those of outer loops, and what was assigned before and inside them."""
    text = """
    v = three()
    for x in three():
        y = double(x)
        for z in tens(x):
            seen(v, x, y, z)
    """
    lines = "\n".join(each[4:] for each in text.splitlines())
    run(lines, "three", "double", "tens", "seen")
    found = sorted(each[2:] for each in CALLS if each[0] == "seen")
    assert found == [(x, 2 * x, z) for x in (1, 2, 3) for z in (10 * x, 10 * x + 1)]
    assert all(each[1] == [1, 2, 3] for each in CALLS if each[0] == "seen")


def test_calls_join_on_the_values_of_one_loop_step() -> None:
    """Though the branches take their time, no value meets that of another."""
    text = "for x in three():\n a = double(x)\n b = late(x)\n c = double(b)\n seen(x, a, b, c)"
    ANSWERS.update({1: [Later(3), Later(2)], 2: [], 3: [Later(1)]})
    names = ("three", "double", "scripted as late", "seen")
    run(text, *names)
    found = sorted(each[1:] for each in CALLS if each[0] == "seen")
    assert found == [(1, 2, 1, 2), (2, 4, 2, 4), (3, 6, 3, 6)]


def test_what_is_dropped_in_a_branch_is_missing_at_the_join() -> None:
    """Its row is left out, or comes with `None`, as !on_missing says."""
    text = "for x in three():\n    l = double(x)\n    r = some(x)\n    seen(l, r)"
    for option, expected in (("", [(2, 1), (6, 3)]), ("!on_missing none", [(2, 1), (4,), (6, 3)])):
        ANSWERS.update({2: [SKIP]})
        run(text, "three", "double", "scripted as some", f"seen {option}")
        found = sorted(
            tuple(v for v in each[1:] if v is not None) for each in CALLS if each[0] == "seen"
        )
        assert found == expected


def test_an_assignment_takes_the_value_before_it() -> None:
    """A name that is assigned twice stands for what it was at each line."""
    text = "v = three()\nfor x in v:\n    y = double(x)\n    z = double(y)\n    seen(y, z)"
    run(text, "three", "double", "seen")
    assert sorted(each[1:] for each in CALLS if each[0] == "seen") == [(2, 4), (4, 8), (6, 12)]


def test_what_shares_nothing_runs_at_the_same_time() -> None:
    """Two calls of a second each take one."""
    text = "v = three()\na = slow(v)\nb = slow(v)\nstamped(join(a, b))"
    run(text, "three", "slow", "stamped", "seen as join")
    assert calls("stamped") == [1.0]


@given(st.integers(0, 5), st.integers(0, 3), st.booleans())
def test_loops_in_loops_see_each_pair_once(outer: int, inner: int, both: bool) -> None:
    """As loops in Python would, in any order."""
    code = f"async def some():\n    return list(range({outer}))\n"
    code += f"async def more(x):\n    return [(x, n) for n in range({inner})]\n"
    body = "seen(x, y)" if both else "seen(y)"
    text = f"import python (some, more) `{code}`\nfor x in some(): for y in more(x): {body}"
    run(text, "seen")
    assert sorted(each[-1] for each in CALLS) == [
        (x, n) for x in range(outer) for n in range(inner)
    ]


# What a loop goes over.


def test_a_generator_is_asked_for_no_more_than_there_is_room_for() -> None:
    """It is pulled in a thread, and closed when the loop stops."""
    report = really_run("for x in lazily(): seen(x)", "lazily", "seen", limit=5)
    assert sorted(calls("seen")) == [0, 1, 2, 3, 4]
    assert CALLS.count(("closed",)) == 1
    assert len(calls("lazily")) < 1000
    assert not any(each[2] for each in CALLS if each[0] == "lazily")
    assert report.ok


def test_an_async_generator_is_gone_over_in_the_loop() -> None:
    """The function that gives it may be a plain one."""
    run("for x in give(): seen(x)", "give_aloft as give !executor inline", "seen")
    assert sorted(calls("seen")) == [0, 1, 2]


@pytest.mark.parametrize("value", [None, "text", 5])
def test_what_can_not_be_gone_over_is_told(value: object) -> None:
    """Text neither: its letters are never what is meant."""
    text = f"import python (f) `async def f(): return {value!r}`\nfor x in f(): seen(x)"
    with pytest.raises(StepError, match=r"`for x in …` goes over a list or a generator"):
        run(text, "seen")


def test_an_error_of_a_generator_fails_the_loop() -> None:
    """The values before it have gone on."""
    code = "def f():\n    yield 1\n    raise OSError('gone')"
    with pytest.raises(StepError, match=r"node 'for-x' failed on item.*OSError: gone"):
        really_run(f"import python (f) `{code}`\nfor x in f(): seen(x)", "seen")


def test_a_limit_is_for_the_outer_loops() -> None:
    """Each value of theirs is gone through in whole."""
    run("for x in three(): for y in tens(x): seen(y)", "three", "tens", "seen", limit=2)
    assert sorted(calls("seen")) == [10, 11, 20, 21]


def test_what_a_generator_yields_goes_on_as_a_list() -> None:
    """It can be read once only, and a retry would find nothing; that of a loop stays what it is."""
    code = """
from pipe_programs import ANSWERS
def rows():
    yield from (1, 2)
async def pick(rows):
    if ANSWERS.pop("fails", None):
        sum(rows)
        raise OSError
    return sum(rows)
"""
    ANSWERS.update({"fails": [True]})
    text = f"import python (rows, pick !retries 1 !backoff 0) `{code}`\nv = rows()\n"
    really_run(f"{text}p = rows | pick | seen\np()\nseen(v)\nseen(v)", "seen")
    assert sorted(calls("seen"), key=str) == [3, [1, 2], [1, 2]]


# Functions.


def test_a_plain_function_runs_in_a_thread() -> None:
    """By default; in the event loop where that is asked for."""
    really_run("seen(where())\nseen(here())", "where", "where as here !executor inline", "seen")
    assert sorted(name.partition(":")[0] for name in calls("seen")) == ["MainThread", "pipelang"]


def test_plain_functions_block_side_by_side() -> None:
    """All three wait for each other, so they must run at once."""
    code = """
import threading
meeting = threading.Barrier(3)
def wait(x):
    return meeting.wait(5)
"""
    really_run(f"import python (wait) `{code}`\nfor x in three(): seen(wait(x))", "three", "seen")
    assert sorted(calls("seen")) == [0, 1, 2]


def test_a_function_may_run_in_a_worker_process() -> None:
    """With its code from the program or from a file; an error comes back as it is."""
    code = """
import os
def pid(x):
    if x == 3:
        raise KeyError(x)
    return os.getpid()
"""
    options = "!executor process !concurrency 2 !on_error skip"
    text = f"import python (pid) `{code}` {options}\nfor x in three(): seen(pid(x))"
    report = really_run(text, "three", "seen")
    assert len(calls("seen")) == 2
    assert os.getpid() not in calls("seen")
    assert report.nodes["pid"].last_error == "KeyError: 3"


def test_a_class_is_entered_called_and_exited() -> None:
    """Once for each step, as with any graph."""
    code = """
from pipe_programs import CALLS
class Base:
    async def __call__(self, x):
        CALLS.append(("call", x))
class Session(Base):
    async def __aenter__(self):
        CALLS.append(("enter",))
        return self
    async def __aexit__(self, *error):
        CALLS.append(("exit",))
"""
    run(f"import python (Session as send) `{code}`\nfor x in three(): send(x)", "three")
    assert CALLS.count(("enter",)) == 1
    assert sorted(calls("call")) == [1, 2, 3]
    assert CALLS[-1] == ("exit",)


def test_a_class_may_run_in_worker_processes() -> None:
    """Each has one of its own, entered; a `Result` comes back from there too."""
    code = """
from pipelines.frontends.pipelang import Result, cancel
class Adder:
    def __enter__(self):
        self.more = 10
        return self
    def __exit__(self, *error):
        pass
    def __call__(self, x):
        return Result(status=cancel) if x == 2 else x + self.more
"""
    text = f"import python (Adder as add !executor process !concurrency 1) `{code}`\n"
    report = really_run(f"{text}for x in three(): seen(add(x))", "three", "seen")
    assert sorted(calls("seen")) == [11, 13]
    assert report.nodes["add"].skipped == 1


def test_a_worker_that_can_not_start_fails_its_values() -> None:
    """Each by itself, and nothing is left of it."""
    code = """
class Broken:
    def __init__(self):
        raise OSError("no")
    def __call__(self, x):
        pass
"""
    text = f"import python (Broken as f !executor process !concurrency 1 !on_error skip) `{code}`\n"
    report = really_run(f"{text}for x in three(): f(x)", "three")
    assert report.nodes["f"].skipped == 3
    assert report.nodes["f"].last_error == "OSError: no"


def test_an_async_function_can_not_run_in_a_process() -> None:
    """That is told before anything runs, also where nobody has checked."""
    with pytest.raises(StepError, match="double is async, so it can't run in a process"):
        really_run("for x in three(): f(x)", "three", "double as f !executor process")


def test_a_file_is_imported_once_and_finds_its_neighbours(tmp_path: Path) -> None:
    """Though many steps name it, and where the program is run from elsewhere."""
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    (tmp_path / "steps.py").write_text(
        "from pipe_programs import CALLS\nfrom beside import WORD\nCALLS.append(('imported',))\n"
        "def one(): return WORD\ndef two(word): CALLS.append(('two', word))\n"
    )
    (tmp_path / "x.pipe").write_text("import python (one, two) steps.py\nq = one | two\nq()\nq()\n")
    CALLS.clear()
    assert Plumber(pipelang.load(tmp_path / "x.pipe")).run_sync().ok
    assert [each for each in CALLS if each[0] != "two"] == [("imported",)]
    assert calls("two") == ["beside", "beside"]


def test_a_route_is_refused() -> None:
    """A pipe has one way only."""
    ANSWERS.update({1: [Route("a", 1)]})
    with pytest.raises(StepError, match="Route is of no use in a pipe"):
        run("for x in three(): f(x)", "three", "scripted as f")


# Result.


def test_a_result_is_checked_when_it_is_made() -> None:
    """A status may be said by its name; another one, or a delay below zero, is refused."""
    assert Result(status="pending") == Result(status=pending)  # type: ignore[arg-type]
    assert Result(5).status is Status.done
    with pytest.raises(
        ValueError, match="a status is one of done, pending, reset, cancel, not 'x'"
    ):
        Result(status="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="delay is seconds of 0 or more, not -1"):
        Result(status=pending, delay=-1)


def test_a_done_result_goes_on() -> None:
    """As its value by itself would."""
    ANSWERS.update({1: [Result(7)]})
    run("for x in three(): seen(f(x))", "three", "scripted as f", "seen")
    assert sorted(calls("seen")) == [2, 3, 7]


def polls(option: str, answer: object) -> list[float]:
    """Return when a step was called that gives an answer three times."""
    ANSWERS.update({1: [answer, answer]})
    code = "async def one(): return 1"
    text = f"import python (one) `{code}`\np = one | seen_at | f\np()"
    steps = ("stamped as seen_at", f"polled as f {option}")
    run(text, *steps, within=1000)
    return [each[1] for each in CALLS if each[0] == "polled"]


@pytest.mark.parametrize(
    ("option", "answer", "times"),
    [
        ("", Result(status=pending), [0, 5, 10]),
        ("!poll", Result(status=pending), [0, 5, 10]),
        ("!poll 2m", Result(status=pending), [0, 120, 240]),
        ("!poll 2m", Result(status=pending, delay=3), [0, 3, 6]),
        ("!poll 0", Result(status=pending), [0, 0, 0]),
        ("!poll 2m", Later(4), [0, 4, 8]),
    ],
)
def test_a_pending_value_is_polled(option: str, answer: object, times: list[float]) -> None:
    """After its delay, else that of !poll, else five seconds."""
    assert polls(option, answer) == times


def test_a_pending_value_holds_no_worker() -> None:
    """With one worker, others go through meanwhile."""
    ANSWERS.update({1: [Result(status=pending, delay=9)]})
    run("for x in three(): stamped(f(x))", "three", "scripted as f", "stamped", workers=1)
    assert [each[1:] for each in CALLS if each[0] == "stamped"] == [(0, 2), (0, 3), (9, 1)]


def test_many_pending_values_wait_at_once() -> None:
    """As many as the waiting limit allows, far more than there are workers."""
    code = "async def many(): return range(3000)"
    ANSWERS.update({n: [Result(status=pending)] for n in range(3000)})
    text = f"import python (many) `{code}`\nfor x in many(): stamped(f(x))"
    run(text, "scripted as f", "stamped", workers=2)
    assert {each[1] for each in CALLS if each[0] == "stamped"} == {5.0}


def test_many_pending_values_wait_at_once_before_a_join() -> None:
    """There the results keep their order; that costs no more than their turn."""
    code = "async def many(): return range(3000)"
    ANSWERS.update({n: [Result(status=pending)] for n in range(0, 3000, 2)})
    text = f"import python (many) `{code}`\nfor x in many(): stamped(join(f(x), double(x)))"
    run(text, "scripted as f", "double", "seen as join", "stamped", workers=2)
    assert {each[1] for each in CALLS if each[0] == "stamped"} == {5.0}
    assert sorted(each[1:] for each in CALLS if each[0] == "seen") == [
        (n, 2 * n) for n in range(3000)
    ]


def test_a_cancelled_value_is_dropped() -> None:
    """It counts as skipped, and the others go on."""
    ANSWERS.update({2: [Result(status=pending), Result(status=cancel)]})
    report = run("for x in three(): seen(f(x))", "three", "scripted as f", "seen")
    assert sorted(calls("seen")) == [1, 3]
    assert report.nodes["f"].skipped == 1


def test_a_reset_starts_the_pipe_over() -> None:
    """From its first step, with the argument of the pipe; other values are not touched."""
    ANSWERS.update({20: [Result(status=pending), Result(status=reset), Result(status=reset)]})
    text = "api = seen | tenfold | f | seen\nfor x in three(): api(x)"
    code = "async def tenfold(x): return 10 * x"
    run(f"import python (tenfold) `{code}`\n{text}", "three", "scripted as f", "seen")
    assert calls("scripted").count(20) == 4
    assert calls("scripted").count(10) == 1
    assert sorted(calls("seen")) == [1, 2, 2, 2, 3, 10, 20, 30]


def test_a_reset_waits_and_polls_on_its_way_without_a_worker() -> None:
    """It waits out its delay; a step that is pending then is polled as it says itself."""
    once, twice = Result(status=reset, delay=2), Result(status=pending)
    code = """
from pipe_programs import CALLS, ANSWERS
import asyncio
def now():
    return asyncio.get_running_loop().time()
async def first(x):
    CALLS.append(("first", now()))
    return ANSWERS["first"].pop(0) if ANSWERS["first"] else x
async def last(x):
    CALLS.append(("last", now()))
    return ANSWERS["last"].pop(0) if ANSWERS["last"] else x
async def one():
    return 1
"""
    ANSWERS.update({"first": [5, twice, twice, 6], "last": [once]})
    text = f"import python (one, first !poll 10, last !poll 60) `{code}`\n"
    text += "api = first | last | seen\napi(one)\nfor y in three(): stamped(y)"
    run(text, "seen", "three", "stamped", workers=1, within=1000)
    assert calls("first") == [0, 2, 12, 22]
    assert calls("last") == [0, 22]
    assert calls("seen") == [6]
    assert calls("stamped") == [0, 0, 0]


def test_a_first_step_that_resets_is_called_again() -> None:
    """With the same arguments."""
    ANSWERS.update({1: [Result(status=reset)]})
    run("for x in three(): seen(f(x))", "three", "scripted as f", "seen")
    assert sorted(calls("scripted")) == [1, 1, 2, 3]
    assert sorted(calls("seen")) == [1, 2, 3]


def test_a_reset_goes_through_steps_in_sql(tmp_path: Path) -> None:
    """They are walked again like any other."""
    ANSWERS.update({"sum": [Result(status=reset, delay=0)]})
    code = """
from pipe_programs import ANSWERS, CALLS
async def rows():
    return [{"n": 1}, {"n": 2}]
async def check(rows):
    CALLS.append(("check", rows[0]["total"]))
    return ANSWERS["sum"].pop() if ANSWERS["sum"] else rows
"""
    text = f"""import python (rows, check) `{code}`
import sqlite3 (t as total) `SELECT sum(n) AS total FROM t`
p = rows | total | check
p()"""
    really_run(text)
    assert calls("check") == [3, 3]


# Failure.


def test_an_error_counts_against_retries() -> None:
    """So many more calls are made; polls in between don't count."""
    fault = OSError("not now")
    ANSWERS.update({1: [fault, Result(status=pending), fault, Result(status=pending)]})
    report = run(
        "for x in three(): seen(f(x))", "three", "scripted as f !retries 2 !backoff 0", "seen"
    )
    assert sorted(calls("seen")) == [1, 2, 3]
    assert report.nodes["f"].retried == 2

    ANSWERS.update({1: [fault, fault, fault]})
    with pytest.raises(StepError, match=r"attempt 3\): OSError: not now"):
        run("for x in three(): f(x)", "three", "scripted as f !retries 2 !backoff 0")


def test_a_time_out_bounds_the_whole_of_a_step() -> None:
    """All polls and what lies between them, from the first call on."""
    ANSWERS.update({1: [Result(status=pending)] * 100})
    option = "!timeout 20 * 60 !poll 50 !on_error skip"
    report = run("for x in three(): f(x)", "three", f"scripted as f {option}", within=10_000)
    assert report.nodes["f"].skipped == 1
    assert len([each for each in calls("scripted") if each == 1]) == 24
    assert report.nodes["f"].last_error == (
        "TimeoutError: no result after 1200 s (!timeout): it was still pending"
    )


def test_a_call_that_hangs_is_ended() -> None:
    """By its time-out, or by that of the step that starts it over."""
    option = "!timeout 3 !on_error skip"
    report = run("for x in three(): f(x)", "three", f"never as f {option}")
    assert report.nodes["f"].skipped == 3
    assert "no result after 3 s (!timeout): the call was ended" in report.nodes["f"].last_error


def test_a_blocking_call_that_hangs_is_left_behind() -> None:
    """Its thread can't be ended, but the run goes on; here it ends when the step is exited."""
    code = """
import threading
class Hang:
    def __enter__(self):
        self.let_go = threading.Event()
        return self
    def __call__(self, x):
        self.let_go.wait(60)
    def __exit__(self, *error):
        self.let_go.set()
"""
    text = f"import python (Hang as hang !timeout 20ms !on_error skip) `{code}`\n"
    report = really_run(f"{text}for x in three(): hang(x)", "three")
    assert report.nodes["hang"].skipped == 3


def test_a_time_out_in_a_worker_process_kills_it() -> None:
    """And the next value finds another."""
    code = "import time\ndef nap(x):\n    time.sleep(60 if x == 2 else 0)\n    return x\n"
    option = "!executor process !concurrency 1 !timeout 1 !on_error skip"
    text = f"import python (nap {option}) `{code}`\nfor x in three(): seen(nap(x))"
    report = really_run(text, "three", "seen")
    assert sorted(calls("seen")) == [1, 3]
    assert report.nodes["nap"].skipped == 1


def test_a_time_out_of_the_functions_own_is_its_own() -> None:
    """It is not taken for that of the step."""
    ANSWERS.update({1: [TimeoutError("mine")]})
    with pytest.raises(StepError, match="TimeoutError: mine"):
        run("for x in three(): f(x)", "three", "scripted as f !timeout 100")


def test_waiting_for_a_turn_takes_none_of_the_time() -> None:
    """The time-out begins with the first call."""
    report = run("for x in three(): f(x)", "three", "slow as f !timeout 1.5", workers=1)
    assert report.ok


def test_dead_letters_are_data_and_can_be_sent_back(tmp_path: Path) -> None:
    """What failed is written as JSON, with its variables, and goes on from there in a replay."""
    from pipelines.check import compile_graph
    from pipelines.replay import Replay
    from pipelines.replay.letterbox import Letterbox

    dead = tmp_path / "dead.jsonl"
    text = f'!dead_letter "{dead}"\nfor x in three():\n    y = double(x)\n    seen(f(y), x)'
    spec = pipelang.load(
        program(text, "three", "double", "scripted as f !on_error dead_letter", "seen")
    )
    ANSWERS.update({4: [ValueError("no")]})
    CALLS.clear()
    assert ended(Plumber(spec).run()).nodes["f"].dead_lettered == 1
    (letter,) = map(json.loads, dead.read_text().splitlines())
    assert letter["item"] == {"variables": {"x": 2, "y": 4}}
    CALLS.clear()
    (sent,) = Replay(Letterbox(str(dead)), compile_graph(spec)).run()
    assert sent.went_through == 1
    assert CALLS == [("scripted", 4), ("seen", 4, 2)]


def test_a_node_that_is_no_step_of_a_pipe_is_told_off() -> None:
    """Where somebody has changed the graph."""
    spec = pipelang.load(program("seen(double(three))", "three", "double", "seen"))
    document = spec.to_dict()
    document["nodes"]["three"] = {"func": lambda envelope: 5}
    with pytest.raises(
        StepError, match="only another step of a pipe leads here, not one that gives"
    ):
        ended(Plumber(document).run())


# Turns.


async def served(workers: int, *ranks: tuple[int, int]) -> list[int]:
    """Return the order in which some who ask at once get their turn, while it is all taken."""
    order: list[int] = []

    async def ask(desk: Desk, number: int, rank: tuple[int, int]) -> None:
        async with desk.turn(rank):
            order.append(number)

    async with Desk.joined(workers) as desk, asyncio.TaskGroup() as group, desk.turn((0, 0)):
        for number, rank in enumerate(ranks):
            group.create_task(ask(desk, number, rank))
        await asyncio.sleep(1)
    return order


def test_turns_go_by_scope_then_priority_then_arrival() -> None:
    """The lowest place of a scope first, in it the highest priority, then who came first."""
    ranks = [(1, -9), (0, 0), (0, -9), (1, 0), (0, 0), (0, -9)]
    assert run_virtually(served(1, *ranks)) == [2, 5, 1, 4, 0, 3]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 2))))
def test_turns_are_a_stable_sort(ranks: list[tuple[int, int]]) -> None:
    """Of all who wait, by their rank."""
    expected = sorted(range(len(ranks)), key=ranks.__getitem__)
    assert run_virtually(served(1, *ranks)) == expected


def test_who_no_longer_waits_gets_no_turn() -> None:
    """And one that was granted to somebody who is cancelled goes to the next."""

    async def main() -> list[str]:
        order: list[str] = []

        async def ask(desk: Desk, name: str) -> None:
            async with desk.turn((0, 0)):
                order.append(name)

        async with Desk.joined(1) as desk:
            async with desk.turn((0, 0)):
                tasks = [asyncio.ensure_future(ask(desk, name)) for name in "abcd"]
                await asyncio.sleep(0)
                tasks[0].cancel()
                await asyncio.sleep(0)
            tasks[1].cancel()  # it has its turn already, and does not know yet
            await asyncio.wait(tasks)
        return order

    assert run_virtually(main()) == ["c", "d"]


def test_a_graph_within_a_call_has_turns_of_its_own() -> None:
    """Else it would wait for its own caller, who holds the only turn."""
    code = f"""
from pipelines import Plumber
from pipelines.frontends import pipelang
INNER = "import python (three, seen) '{FILE}'\\nfor x in three(): seen(x)\\n"
async def nested():
    return (await Plumber(pipelang.load(INNER, workers=1)).run()).ok
"""
    run(f"import python (nested) `{code}`\nseen(nested)", "seen", workers=1)
    assert CALLS[-1] == ("seen", True)
    assert len(calls("seen")) == 4


def test_graphs_in_one_loop_share_a_desk() -> None:
    """With as many workers: two graphs of one worker never call at the same time."""
    text = program("for x in three(): stamped(slow(x))", "three", "slow", "stamped")

    async def main() -> None:
        specs = [pipelang.load(text, workers=1) for _ in range(2)]
        await asyncio.gather(*(Plumber(spec).run() for spec in specs))

    CALLS.clear()
    run_virtually(main())
    assert max(calls("stamped")) == 6.0


def test_the_higher_scope_and_priority_of_a_program_come_first() -> None:
    """Of what waits at the same time; a step of a lower scope runs when no other waits."""
    text = """
    for x in three(): low(x)
    for x in three(): urgent(x)
    for x in three(): normal(x)
    """
    lines = "\n".join(each.strip() for each in text.splitlines())
    code = """
from pipe_programs import CALLS
import asyncio
async def note(name, x):
    CALLS.append((name, x))
    await asyncio.sleep(1)
async def low(x): await note("low", x)
async def urgent(x): await note("urgent", x)
async def normal(x): await note("normal", x)
"""
    steps = "(low !scope testing !priority 99, urgent !9, normal)"
    run(f"import python {steps} `{code}`\n{lines}", "three", workers=1)
    order = [each[0] for each in CALLS if each[0] != "three"]
    assert order[1:] == sorted(order[1:], key=["urgent", "normal", "low"].index)
    assert len(order) == 9


# Any program.


NAMES = "abc"


@st.composite
def blocks(draw: st.DrawFn, known: tuple[str, ...] = (), depth: int = 0) -> list[str]:
    """Draw the lines of a block in which some variables are known; what it assigns is its own."""
    lines: list[str] = []
    own: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        arguments = (
            draw(st.lists(st.sampled_from([*known, *own]), max_size=2)) if known or own else []
        )
        call = f"{draw(st.sampled_from(['f', 'g', 'fg', 'pair']))}({', '.join(arguments)})"
        if draw(st.booleans()) and arguments:
            call = f"fg({call}, {arguments[0]})"
        kind = draw(st.sampled_from(["run", "assign", "loop"]))
        if kind == "loop" and depth < 2:
            variable = f"x{depth}"
            body = draw(blocks((*known, *own, variable), depth + 1))
            lines += [
                f"for {variable} in pair({', '.join(arguments)}):",
                *(f"    {b}" for b in body),
            ]
        elif kind == "assign":
            name = f"{draw(st.sampled_from(NAMES))}{depth}"
            own.append(name)
            lines.append(f"{name} = {call}")
        else:
            lines.append(call)
    return lines


def follow(lines: list[str]) -> list[object]:
    """Return the calls that a program makes, as Python itself would run it."""
    made: list[object] = []

    def f(*values: object) -> object:
        made.append(("f", values))
        return ("f", values)

    def g(*values: object) -> object:
        made.append(("g", values))
        return ("g", values)

    def pair(*values: object) -> list[object]:
        made.append(("pair", values))
        return [("left", values), ("right", values)]

    exec("\n".join(lines), {"f": f, "g": g, "pair": pair, "fg": lambda *v: g(f(*v))})
    return sorted(made, key=repr)


STEPS = """
import python (f, g, pair) `
from pipe_programs import CALLS
async def f(*values):
    CALLS.append(("f", values))
    return ("f", values)
async def g(*values):
    CALLS.append(("g", values))
    return ("g", values)
async def pair(*values):
    CALLS.append(("pair", values))
    return [("left", values), ("right", values)]
`
fg = f | g
"""


@given(blocks())
def test_a_program_makes_the_calls_that_python_would(lines: list[str]) -> None:
    """Each of them once, with the same values, whatever runs side by side."""
    expected = follow(lines)
    CALLS.clear()
    ended(Plumber(pipelang.load(STEPS + "\n".join(lines) + "\n")).run())
    assert sorted(CALLS, key=repr) == expected


@given(blocks())
def test_a_program_as_yaml_is_the_same_graph(lines: list[str]) -> None:
    """Nothing of it is lost on the way through text."""
    spec = pipelang.load(STEPS + "\n".join(lines) + "\n")
    again = load(spec.to_yaml())
    assert again == spec
