"""``plumber run``: the real program, its streams, its exit codes and its answer to signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import run_in_terminal

SAID = "item 0\nitem 2\nitem 4\n"
COUNT = "nodes.numbers.func=itertools:count"


def test_data_goes_to_stdout_and_the_rest_to_stderr(plumber: Any) -> None:
    """What steps print is all there is on stdout; the table is on stderr."""
    done = plumber("run", "graph.yaml")
    assert (done.returncode, done.stdout) == (0, SAID)
    lines = done.stderr.splitlines()
    assert lines[0] == "plumber: node     received  passed on"
    assert lines[1] == "plumber: numbers         3          3"
    assert lines[4].startswith("plumber: done in ")


def test_quiet_prints_nothing(plumber: Any) -> None:
    """With ``-q`` only steps are heard."""
    done = plumber("run", "-q", "graph.yaml")
    assert (done.stdout, done.stderr) == (SAID, "")


def test_a_graph_can_come_from_stdin(plumber: Any, folder: Path) -> None:
    """``-`` reads it there; steps come from the current folder then."""
    done = plumber("run", "-q", "-", input=(folder / "graph.yaml").read_text())
    assert done.stdout == SAID


def test_steps_come_from_the_folder_of_the_graph(plumber: Any, folder: Path) -> None:
    """It matters not where the program is started."""
    (folder / "elsewhere").mkdir()
    done = plumber("run", "-q", str(folder / "graph.yaml"), cwd=folder / "elsewhere")
    assert done.stdout == SAID


def test_set_changes_the_document(plumber: Any) -> None:
    """``--set`` can be given again and again."""
    sets = ("--set", "nodes.numbers.args.count=1", "--set", "nodes.double.func=builtins:str")
    assert plumber("run", "-q", *sets, "graph.yaml").stdout == "item 0\n"


def test_set_without_a_value_is_wrong_usage(plumber: Any) -> None:
    """What is meant is shown."""
    done = plumber("run", "--set", "nodes.numbers", "graph.yaml")
    assert done.returncode == 2
    assert "'nodes.numbers' is not PATH=VALUE" in done.stderr


def test_an_env_file_fills_what_is_not_set(plumber: Any, folder: Path) -> None:
    """The environment goes before the file."""
    text = (folder / "graph.yaml").read_text()
    (folder / "env.yaml").write_text(text.replace("count: 3", "count: '${COUNT}'"))
    (folder / "test.env").write_text("COUNT=1\n")
    run = ("run", "-q", "-e", "test.env", "env.yaml")
    assert plumber(*run).stdout == "item 0\n"
    assert plumber(*run, env={**os.environ, "COUNT": "2"}).stdout == "item 0\nitem 2\n"


def test_limit_stops_each_source(plumber: Any) -> None:
    """The flag, and its twin in the environment."""
    assert plumber("run", "-q", "--limit", "1", "graph.yaml").stdout == "item 0\n"
    env = {**os.environ, "PLUMBER_RUN_LIMIT": "2"}
    assert plumber("run", "-q", "graph.yaml", env=env).stdout == "item 0\nitem 2\n"


def test_the_report_is_the_last_line_of_stdout(plumber: Any) -> None:
    """``--json`` prints it in one line, after all that steps print."""
    *said, report = plumber("run", "--json", "graph.yaml").stdout.splitlines()
    assert said == SAID.splitlines()
    found = json.loads(report)
    assert (found["ok"], found["reason"], found["nodes"]["say"]["received"]) == (True, "done", 3)


def test_the_report_goes_to_a_file_also_of_a_run_that_fails(plumber: Any, folder: Path) -> None:
    """``--report`` tells how it ended."""
    done = plumber("run", "--report", "report.json", "fails.yaml")
    found = json.loads((folder / "report.json").read_text())
    assert (done.returncode, found["reason"]) == (1, "failed")
    assert "I will not have 2" in found["error"]


def test_a_report_that_could_not_be_written_is_refused_before_the_run(plumber: Any) -> None:
    """Hours of work are not thrown away for a slip in a path."""
    done = plumber("run", "--report", "nowhere/report.json", "graph.yaml")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_report_that_can_not_be_written_after_all_is_told(plumber: Any) -> None:
    """A full disk fails the command, and does not hide what ended the run."""
    done = plumber("run", "-q", "--report", "/dev/full", "graph.yaml")
    assert done.returncode == 1
    assert done.stderr == "plumber: can't write /dev/full: No space left on device\n"
    done = plumber("run", "-q", "--report", "/dev/full", "fails.yaml")
    assert "node 'double' failed on item 2" in done.stderr


def test_a_failing_step_shows_the_users_frames_only(plumber: Any) -> None:
    """Node, item and cause, then the lines of the user's own code."""
    done = plumber("run", "-q", "fails.yaml")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "plumber: node 'double' failed on item 2: ValueError: I will not have 2"
    frames = [line.split(", ")[-1] for line in lines if line.lstrip().startswith("File ")]
    assert frames == ["in quarrel", "in blame"]
    assert lines[-1] == "ValueError: I will not have 2"


def test_verbose_shows_every_frame(plumber: Any) -> None:
    """With ``-v`` the frames that called the step are there too, but for a loop without a file."""
    thread = ("--set", "nodes.double.properties.executor=thread")
    done = plumber("run", "-v", "fails.yaml", *thread)
    assert os.path.join("pipelines", "executor.py") in done.stderr
    done = plumber("run", "fails.yaml", *thread)
    assert os.path.join("pipelines", "executor.py") not in done.stderr


def test_an_invalid_graph_is_not_run(plumber: Any) -> None:
    """All problems on stderr, and nothing on stdout."""
    done = plumber("run", "wrong.yaml")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.endswith("2 errors\n")


def test_a_node_that_nobody_can_feed_is_refused(plumber: Any) -> None:
    """An input node without a step waits for `put`, which the command line has none of."""
    done = plumber("run", "-", input="nodes: {hand: {}, say: {func: stdout}}\ngraph: {hand: [say]}")
    assert done.returncode == 78
    assert "error[unfed-input]  node 'hand' has no func" in done.stderr


def test_strict_counts_dead_letters(plumber: Any) -> None:
    """Dead letters are fine, but not under ``--strict``."""
    assert plumber("run", "buries.yaml").returncode == 0
    done = plumber("run", "--strict", "buries.yaml")
    assert done.returncode == 3
    assert done.stderr.endswith("plumber: 1 dead letter (--strict)\n")


def test_a_run_that_takes_too_long_is_cancelled(plumber: Any) -> None:
    """``--timeout`` is the whole run's."""
    done = plumber("run", "-q", "--timeout", "100ms", "stuck.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("plumber: the run timed out after 0.1s")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["soon", "0s", "-1s"])
def test_a_timeout_is_a_time(plumber: Any, value: str) -> None:
    """What is no time is wrong usage."""
    assert plumber("run", f"--timeout={value}", "graph.yaml").returncode == 2


def test_stats_needs_no_value(command: list[str]) -> None:
    """``--stats FILE`` logs every five seconds; on a terminal too, and there is no live view."""
    seen = run_in_terminal([*command, "run", "--stats", "graph.yaml"])
    assert seen.code == 0
    assert "plumber: node     received  passed on" in seen.lines
    assert b"\x1b[?25l" not in seen.written


def test_stats_logs_a_line_now_and_then(command: list[str]) -> None:
    """A line tells in, out, rate and queue of each node."""
    arguments = ("run", "--stats=20ms", "endless.yaml")
    with Running(command, *arguments, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("plumber: 0.0")
        assert " in " in line
        assert " queue " in line
        process.kill()


class Running:
    """A program under way, that is ended in any case."""

    def __init__(self, command: list[str], *arguments: str, stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains(command: list[str], first: signal.Signals) -> None:
    """The source stops, what is under way is finished, and that is a good end."""
    with Running(command, "run", "--json", "endless.yaml") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(first)
        out, err = process.communicate()
    report = json.loads(out.splitlines()[-1])
    assert (process.returncode, report["reason"]) == (0, "drained")
    assert report["nodes"]["numbers"]["passed_on"] == report["nodes"]["say"]["passed_on"]
    assert "plumber: drained after " in err


@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_stops(command: list[str], second: signal.Signals, code: int) -> None:
    """What can't be drained is given up, and how much that was is said."""
    with Running(command, "run", "-q", "--json", "stuck.yaml") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGTERM)
        while process.stdout.readline() != "source closed\n":
            pass
        process.send_signal(second)
        out, err = process.communicate()
    assert process.returncode == code
    assert err.startswith(f"plumber: stopped by {second.name}; ")
    assert "in flight: " in err
    assert json.loads(out.splitlines()[-1])["ok"] is False


def test_a_reader_that_has_enough_is_no_error(command: list[str]) -> None:
    """``plumber run FILE | head -1`` ends, without a traceback."""
    with Running(command, "run", "--set", COUNT, "endless.yaml") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "item 0\n"
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait()
    assert code == 141
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "what it wrote to was closed" in err


def test_a_live_view_on_a_terminal_leaves_a_table(command: list[str]) -> None:
    """Printed lines stay whole above it."""
    seen = run_in_terminal([*command, "run", "graph.yaml"])
    lines = [line for line in seen.lines if line]
    assert seen.code == 0
    assert lines[:3] == SAID.splitlines()
    assert lines[3].split() == ["node", "received", "passed", "on"]
    assert lines[7].startswith("done in ")


def test_the_step_stdout_prints_above_the_live_view(command: list[str]) -> None:
    """A step that keeps stdout for the whole run writes through the view too."""
    sets = ("--set", "nodes.say.func=stdout", "--set", "nodes.numbers.args.count=3000")
    lines = [line for line in run_in_terminal([*command, "run", *sets, "graph.yaml"]).lines if line]
    assert lines[:3000] == [str(2 * number) for number in range(3000)]
    assert lines[3000].split() == ["node", "received", "passed", "on"]


def test_a_failure_on_a_terminal_comes_after_the_table(command: list[str]) -> None:
    """The terminal is given back before the traceback is printed."""
    seen = run_in_terminal([*command, "run", "fails.yaml"])
    assert seen.code == 1
    assert seen.lines.index(
        "plumber: node 'double' failed on item 2: ValueError: I will not have 2"
    ) > next(n for n, line in enumerate(seen.lines) if line.startswith("failed after "))


def test_a_dumb_terminal_gets_log_lines(command: list[str]) -> None:
    """Where the cursor can't move there is no live view."""
    seen = run_in_terminal([*command, "run", "graph.yaml"], TERM="dumb")
    assert b"\x1b" not in seen.written


def test_the_graph_is_run_by_the_module_too(folder: Path) -> None:
    """``python -m pipelines`` is the program."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "-q", "graph.yaml"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == SAID
