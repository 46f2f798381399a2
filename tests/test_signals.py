"""Signals, as a user and a service manager send them: each test runs a script of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

HEAD = """
import asyncio, itertools, logging, os, sys, time
from pipelines.plumber import Interrupted, Plumber

class Kept:
    def __enter__(self): pass
    def __exit__(self, kind, *_): print("exit", kind and kind.__name__, flush=True)
    def __call__(self, value): return value

async def count():
    for number in itertools.count():
        yield number
        await asyncio.sleep(0.001)

def count_fast():
    yield from itertools.count()

def ready(value):
    if value == 3: print("READY", flush=True)
    return value

def work(value):
    time.sleep(0.002)
    return value

async def hang(value):
    if value == 0: print("READY", flush=True)
    await asyncio.Event().wait()

def go(document):
    plumber = Plumber(document)
    try:
        report = plumber.run_sync()
    except Interrupted as error:
        report = plumber.report
        print("interrupted", error.signum, flush=True)
        code = 128 + error.signum
    else:
        code = 0
    if report is not None:
        balanced = all(node.balanced for node in report.nodes.values())
        lost = sum(node.in_flight for node in report.nodes.values()) if code == 0 else 0
        print(report.reason, balanced, lost, flush=True)
    sys.exit(code)
"""


class Script:
    """A running script, in a process group of its own as a shell would give it."""

    def __init__(self, folder: Path, body: str) -> None:
        path = folder / "script.py"
        path.write_text(f"{HEAD}\n{body}\n")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, line: str = "READY") -> None:
        """Wait until the script has printed a line."""
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"no {line}: {self.process.communicate()[1]}")

    def send(self, signum: signal.Signals, whole_group: bool = False) -> None:
        """Send a signal to the script, or as a terminal does to all its processes."""
        if whole_group:
            os.killpg(self.process.pid, signum)
        else:
            self.process.send_signal(signum)

    def end(self, within: float = 8) -> tuple[int, list[str], str]:
        """Return the exit status and what was printed; nothing may be left alive."""
        try:
            out, err = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not ended within {within:g} s", pytrace=False)
        assert not self._left(), "processes are left"
        return self.process.returncode, out.split("\n")[:-1], err

    def _left(self) -> list[psutil.Process]:
        until = time.monotonic() + 2
        while (alive := _group(self.process.pid)) and time.monotonic() < until:
            time.sleep(0.01)
        return alive

    def kill(self) -> None:
        """End everything at once."""
        for process in _group(self.process.pid):
            process.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def _group(pgid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pgid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Give a function that starts a script, which is ended with the test."""
    scripts: list[Script] = []

    def make(body: str) -> Script:
        scripts.append(Script(tmp_path, body))
        return scripts[-1]

    yield make
    for script in scripts:
        script.kill()


def line(source: str, *steps: str, more: str = "") -> str:
    """Return the code that runs a line of nodes, each given as the code of its document."""
    names = ["s", *(f"n{index}" for index in range(len(steps)))]
    nodes = ", ".join(
        f"{name!r}: {step}" for name, step in zip(names, [source, *steps], strict=True)
    )
    edges = {name: [names[i + 1]] for i, name in enumerate(names[:-1])}
    return f"if __name__ == '__main__': go({{'nodes': {{{nodes}}}, 'graph': {edges!r} {more}}})"


def func(name: str, **properties: Any) -> str:
    """Return the code of a node."""
    return f"{{'func': {name}, 'properties': {properties!r}}}"


BOTH = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])


@BOTH
@pytest.mark.parametrize("source", ["count", "count_fast"])
def test_the_first_signal_drains(start: Any, source: str, signum: signal.Signals) -> None:
    """Sources stop, what was made is finished, exits run, and the program goes on: status 0."""
    script = start(line(func(source), func("Kept"), func("ready")))
    script.wait_for()
    script.send(signum)
    code, out, err = script.end()
    assert (code, err) == (0, "")
    assert out == ["exit None", "drained True 0"]


@BOTH
def test_the_second_signal_cancels(start: Any, signum: signal.Signals) -> None:
    """Where the drain takes too long for the user, another signal ends it; exits still run."""
    body = line(func("count", buffer_size=1), func("hang"), func("Kept"))
    script = start(body)
    script.wait_for()
    script.send(signum)
    time.sleep(0.1)  # for the first to be another one than the second
    script.send(signum)
    code, out, err = script.end()
    assert (code, err) == (128 + signum, "")
    assert out == ["exit CancelledError", f"interrupted {int(signum)}", "cancelled True 0"]


@BOTH
def test_a_drain_that_takes_too_long_is_cancelled(start: Any, signum: signal.Signals) -> None:
    """After the graph's shutdown_timeout one signal does what two do."""
    more = ", 'runtime': {'shutdown_timeout': 0.2}"
    script = start(line(func("count"), func("hang"), func("Kept"), more=more))
    script.wait_for()
    script.send(signum)
    code, out, err = script.end()
    assert (code, err) == (128 + signum, "")
    assert out == ["exit CancelledError", f"interrupted {int(signum)}", "cancelled True 0"]


def test_two_signals_at_once(start: Any) -> None:
    """Two signals before the loop has turned once end the run as cleanly as two in a row."""
    script = start(line(func("count"), func("hang"), func("Kept")))
    script.wait_for()
    script.send(signal.SIGTERM)
    script.send(signal.SIGINT)
    code, out, err = script.end()
    assert (code, err) in ((130, ""), (143, ""))
    assert out[0].startswith("exit")


AT_ONCE = """
import pipelines.signals, signal
pipelines.signals.HELD = 60  # however busy the machine is

def interrupt(value):
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        os.kill(os.getpid(), signum)
    print("whole", flush=True)
"""


def test_signals_at_once_break_nothing_off(start: Any) -> None:
    """A loop that may turn in a moment is not interrupted where it stands."""
    code, out, err = start(AT_ONCE + line(func("count"), func("Kept"), func("interrupt"))).end()
    assert (code, err) == (130, "")
    assert out == ["whole", "exit CancelledError", "interrupted 2", "cancelled True 0"]


HOLDS = """
def hold(value):
    print("READY", flush=True)
    time.sleep(60)
"""


def test_ctrl_c_gets_out_of_a_step_that_holds_the_loop(start: Any) -> None:
    """The first signal can't be heard by a loop that does not turn; the second breaks the call."""
    script = start(HOLDS + line(func("count"), func("Kept"), func("hold")))
    script.wait_for()
    script.send(signal.SIGINT)
    time.sleep(0.1)
    script.send(signal.SIGINT)
    code, out, err = script.end()
    assert (code, err) == (130, "")
    assert [said.split()[0] for said in out] == ["exit", "interrupted", out[2].split()[0]]
    assert out[2].split()[1] == "True"


@BOTH
def test_a_step_that_hangs_in_a_thread(start: Any, signum: signal.Signals) -> None:
    """A call that hangs in a thread keeps the program from ending no longer than its patience."""
    patience = "from pipelines.executor import Executor\nExecutor.patience = 0.1\n"
    body = line(func("count"), func("Kept"), func("hold", executor="thread"))
    script = start(HOLDS + patience + body)
    script.wait_for()
    script.send(signum)
    time.sleep(0.1)
    script.send(signum)
    code, out, _ = script.end(3)
    assert code == 128 + signum
    assert out[-1] == "cancelled True 0"


@BOTH
def test_a_source_that_blocks_in_a_thread(start: Any, signum: signal.Signals) -> None:
    """One signal drains also where the source waits for its next item, for ever, in a thread."""
    source = """
from pipelines.executor import Executor
Executor.patience = 0.1

def blocked():
    yield 3
    time.sleep(60)
    yield 4
"""
    script = start(source + line(func("blocked", executor="thread"), func("Kept"), func("ready")))
    script.wait_for()
    time.sleep(0.1)  # for the source to be waiting
    script.send(signum)
    code, out, _ = script.end(3)
    assert code == 0
    assert out == ["exit None", "drained True 0"]


@BOTH
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_drain_with_worker_processes(
    start: Any, signum: signal.Signals, whole_group: bool
) -> None:
    """The workers finish what they have, also when the signal reached them as from a terminal."""
    workers = func("work", executor="process", concurrency=2)
    script = start(line(func("count"), workers, func("Kept"), func("ready")))
    script.wait_for()
    script.send(signum, whole_group)
    code, out, err = script.end()
    assert (code, err) == (0, "")
    assert out == ["exit None", "drained True 0"]


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_cancel_with_worker_processes(start: Any, whole_group: bool) -> None:
    """Workers in the middle of a call are killed, without a word of theirs."""
    script = start(HOLDS + line(func("count"), func("Kept"), func("hold", executor="process")))
    script.wait_for()
    script.send(signal.SIGINT, whole_group)
    time.sleep(0.2)
    script.send(signal.SIGINT, whole_group)
    code, out, err = script.end()
    assert (code, err) == (130, "")
    assert out[-2:] == ["interrupted 2", "cancelled True 0"]


SLOW_IMPORT = """
if __name__ == "__mp_main__":
    open(os.environ["MARK"], "w").close()
    time.sleep(0.5)
"""


@BOTH
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_signal_while_a_worker_starts(
    start: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    signum: signal.Signals,
    whole_group: bool,
) -> None:
    """A worker that is still importing does not die of what was meant for the run."""
    mark = tmp_path / "importing"
    monkeypatch.setenv("MARK", str(mark))
    workers = func("work", executor="process", concurrency=2)
    script = start(SLOW_IMPORT + line(func("count"), workers, func("ready")))
    until = time.monotonic() + 5
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    script.send(signum, whole_group)
    code, out, err = script.end()
    assert (code, err) == (0, "")
    assert out[-1] == "drained True 0"


def test_the_handlers_are_put_back(start: Any) -> None:
    """After a run, signals do what they did before it."""
    body = """
import signal
from pipelines import run
before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
run({"nodes": {"s": {"func": range(3)}}, "graph": {}})
assert before == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
print("READY", flush=True)
time.sleep(60)
"""
    script = start(body)
    script.wait_for()
    script.send(signal.SIGTERM)
    code, _, _ = script.end()
    assert code == -signal.SIGTERM


def test_a_program_that_is_killed_takes_its_workers_along(start: Any) -> None:
    """Nothing survives a SIGKILL of the program for long."""
    workers = func("work", executor="process", concurrency=2)
    script = start(line(func("count"), workers, func("ready")))
    script.wait_for()
    script.send(signal.SIGKILL)
    code, _, _ = script.end()
    assert code == -signal.SIGKILL


def test_a_worker_that_is_killed_from_outside(start: Any) -> None:
    """One clear error names the node and the signal; nothing else is printed, nothing is left."""
    body = (
        "def die(value):\n"
        "    if value == 3: os.kill(os.getpid(), 9)\n"
        "    return value\n"
        "from pipelines import StepError\n"
        "try:\n"
        "    " + line(func("count"), func("die", executor="process"), func("ready")) + "\n"
        "except StepError as error:\n"
        "    print(error)\n"
    )
    script = start(body)
    code, out, err = script.end()
    assert (code, err) == (0, "")
    assert len(out) == 1
    assert "the worker process of node 'n0' was killed by SIGKILL" in out[0]


def test_a_signal_before_anything_runs(start: Any) -> None:
    """A signal while steps are constructed ends the program as soon as the loop turns."""
    body = """
class Slow:
    def __init__(self):
        print("READY", flush=True)
        time.sleep(0.3)
    def __call__(self, value): return value
"""
    script = start(body + line(func("count"), func("Slow"), func("Kept")))
    script.wait_for()
    script.send(signal.SIGTERM)
    code, out, err = script.end()
    assert (code, err) == (0, "")
    assert out == ["exit None", "drained True 0"]


def test_a_signal_when_the_loop_is_idle(start: Any) -> None:
    """A run that waits for its first item hears a signal at once."""
    body = """
async def silent():
    print("READY", flush=True)
    await asyncio.Event().wait()
    yield 1
"""
    script = start(body + line(func("silent"), func("Kept")))
    script.wait_for()
    time.sleep(0.1)
    script.send(signal.SIGINT)
    code, out, err = script.end(3)
    assert (code, err) == (0, "")
    assert out == ["exit None", "drained True 0"]
