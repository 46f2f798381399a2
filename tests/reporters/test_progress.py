"""The live view, in a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from terminal import Seen, run_in_terminal

#: A run of as many nodes as asked for, told in five steps, that prints in between.
PROGRAM = """
import sys
from itertools import pairwise
from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot
from pipelines.reporters.progress import ProgressReporter
from pipelines.spec import GraphSpec

names = [f"node{index}" for index in range(int(sys.argv[1]))]
edges = list(pairwise(names))
spec = GraphSpec.from_dict({"nodes": {name: {"func": "len"} for name in names}})

def snapshot(step):
    node = NodeCounts("running", received=10 * step, passed_on=10 * step, emitted=10 * step)
    queues = dict.fromkeys(edges, EdgeCounts(27, 100))
    return Snapshot(float(step), dict.fromkeys(names, node), queues)

reporter = ProgressReporter(spec, {})
reporter.start(snapshot(0))
for step in range(1, 6):
    print("printed", step)
    print("complained", step, file=sys.stderr)
    sys.stdout.write("begun ")
    reporter.update(snapshot(step))
last = snapshot(5)
reporter.finish(RunReport(True, "done", 5.0, "node1", last.nodes, last.edges))
print("afterwards")
"""


#: The same, ended by an error that no `finish` follows.
BROKEN = PROGRAM.replace("last = snapshot(5)", "reporter.close(); raise SystemExit('broken')")


def show(nodes: int, **options: int) -> Seen:
    """Run the program in a terminal."""
    return run_in_terminal([sys.executable, "-c", PROGRAM, str(nodes)], **options)  # type: ignore[arg-type]


def test_a_row_shows_each_node_while_it_runs() -> None:
    """In, out, rate, how full the queue is, and what the node is doing."""
    seen = show(3)
    assert seen.code == 0
    during = [line.split() for frame in seen.frames for line in frame]
    assert ["node1", "50", "50", "10/s", "███░░░░░", "27/100", "running"] in during


def test_what_is_printed_meanwhile_stays_whole() -> None:
    """Printed lines stand above the view, each once, in order, and nothing of the view is left."""
    lines = [line for line in show(3).lines if line]
    table = lines.index("node   received  passed on")
    assert lines[:table] == [
        "printed 1",
        "complained 1",
        *(f"{line} {n}" for n in range(2, 6) for line in ("begun printed", "complained")),
        "begun",
    ]
    assert lines[table + 1 :][:4] == [
        "node0        50         50",
        "node1        50         50",
        "node2        50         50",
        "done in 5.00s",
    ]
    assert lines[-1] == "afterwards"


def test_closing_gives_the_terminal_back() -> None:
    """After an error of our own, too, what is printed is seen."""
    lines = [line for line in run_in_terminal([sys.executable, "-c", BROKEN, "2"]).lines if line]
    assert lines[-3:] == ["complained 5", "begun", "broken"]


def test_many_nodes_do_not_outgrow_the_terminal() -> None:
    """A screen of 20 lines shows as many rows as fit, and says how many there are besides."""
    seen = show(100, rows=20)
    frames = [frame[-20:] for frame in seen.frames]
    assert max(sum("running" in line for line in frame) for frame in frames) == 15
    assert any("… 85 more nodes" in line for frame in frames for line in frame)
    assert not any("running" in line for line in seen.lines)


def test_the_cursor_comes_back() -> None:
    """The view hides the cursor, and shows it again."""
    written = show(2).written
    assert written.rindex(b"\x1b[?25h") > written.rindex(b"\x1b[?25l")


@pytest.mark.parametrize("colour", [True, False])
def test_no_color_is_honoured(colour: bool) -> None:
    """With NO_COLOR set nothing is coloured."""
    env = {} if colour else {"NO_COLOR": "1"}
    written = run_in_terminal([sys.executable, "-c", PROGRAM, "2"], **env).written
    assert (b"\x1b[32m" in written) is colour


def test_a_stdout_that_is_piped_gets_what_steps_print_alone(tmp_path: Path) -> None:
    """Only the streams that are the terminal are written through the view."""
    with open(tmp_path / "out", "wb") as file:
        seen = run_in_terminal([sys.executable, "-c", PROGRAM, "2"], stdout=file.fileno())
    printed = "begun ".join(f"printed {n}\n" for n in range(1, 6))
    assert (tmp_path / "out").read_text() == f"{printed}begun afterwards\n"
    assert not any("printed" in line for line in seen.lines)
