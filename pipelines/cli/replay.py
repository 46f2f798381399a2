"""``plumber replay``: send dead letters back to the node where they failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli import values
from pipelines.cli.app import option
from pipelines.cli.exits import DEAD_LETTERS, complain, stop
from pipelines.cli.failures import count
from pipelines.cli.sources import GRAPH_FILE, checked, importable

if TYPE_CHECKING:
    from pipelines.check import Examination
    from pipelines.metrics import Reporter
    from pipelines.replay import Replay, Sent
    from pipelines.replay.letterbox import Letterbox

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@option(
    "--graph",
    metavar="GRAPH",
    type=GRAPH_FILE,
    help="Send them to the graph in GRAPH; by default to the one that the letters name.",
)
@option(
    "--node",
    "nodes",
    metavar="NODE",
    multiple=True,
    envvar="PLUMBER_REPLAY_NODE",
    help="Send the letters of this node only. Repeatable.",
)
@option("--dry-run", is_flag=True, help="Send nothing; tell what would be sent, if it can be.")
@option("--force", is_flag=True, help="Send the letters though the graph has changed since.")
@option("--strict", is_flag=True, help="Exit with 3 if letters are left in FILE.")
@option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    envvar="PLUMBER_REPLAY_SET",
    callback=values.overrides,
    help="Set a value of the graph's document, as for plumber run. Repeatable.",
)
@option(
    "-e",
    "--env-file",
    metavar="ENVFILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Read environment variables from ENVFILE; those that are set already stay as they are.",
)
@option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="PLUMBER_REPLAY_JSON",
    help="Print what was done as one line of JSON, last on stdout.",
)
@option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@option("-v", "--verbose", count=True, help="Log more, and show whole tracebacks; -vv: everything.")
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    graph: str | None,
    nodes: tuple[str, ...],
    dry_run: bool,
    force: bool,
    strict: bool,
    overrides: tuple[str, ...],
    env_file: str | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Send each dead letter in FILE back to the node where it failed.

    FILE is what write_jsonl has written as a graph's dead_letter. The items go through that node
    and those behind it; what goes through is taken out of FILE, and what fails again stays in it.
    Steps that write a file append to it. Nothing is lost, whenever this is stopped; but an item may
    come twice: where a run fails, all letters of its node stay.
    """
    from pipelines.cli.logs import show_logs
    from pipelines.replay import Replay, source_of
    from pipelines.replay.letterbox import Letterbox

    ctx.meta["pipelines.verbose"] = verbose
    show_logs(verbose=verbose, quiet=quiet)
    if env_file is not None:
        from dotenv import load_dotenv

        load_dotenv(env_file)
    box = Letterbox(file)
    teller = _Teller(box, dry_run=dry_run, quiet=quiet, as_json=as_json, verbose=verbose)
    if not any(not nodes or pile.node in nodes for pile in box.piles) and graph is None:
        teller.close("done")
    else:
        graph = graph or source_of(box, nodes)
        with importable(graph):
            checks = checked(graph, overrides=overrides, quiet=quiet)
            replay = Replay(box, checks.examination, nodes, force)
            _dry_run(replay, teller) if dry_run else _run(replay, teller)
    if strict and (left := box.count()):
        stop(f"{count(left, 'letter')} left in {file} (--strict)", DEAD_LETTERS)


def _dry_run(replay: Replay, teller: _Teller) -> None:
    for node, letters in replay.letters.items():
        teller.say(f"{node}: {count(letters, 'letter')} would be sent")
        teller.nodes[node] = {"letters": letters}
    if replay.changed:
        teller.say("the graph has changed since (--force)")
    teller.close("done")


def _run(replay: Replay, teller: _Teller) -> None:
    """Send the letters, and tell of it however it ends."""
    from pipelines.errors import PipelinesError
    from pipelines.plumber import Interrupted

    waiting = list(replay.letters)
    drained = False
    try:
        for sent in replay.run(teller.watch):
            teller.tell(sent)
            waiting.remove(sent.node)
            drained = sent.drained
    except Interrupted as interrupted:
        teller.fail(waiting[0], interrupted, "cancelled")
        stop(str(interrupted), 128 + interrupted.signum)
    except asyncio.CancelledError as error:
        teller.fail(waiting[0], error, "cancelled")
        stop("the run was cancelled")
    except PipelinesError as error:
        teller.fail(waiting[0], error, "failed")
        raise
    teller.close("drained" if drained else "done")


class _Teller:
    """Says what becomes of the letters: lines on stderr, and one of JSON on stdout if wanted."""

    def __init__(
        self, box: Letterbox, *, dry_run: bool, quiet: bool, as_json: bool, verbose: int
    ) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self._box = box
        self._dry_run = dry_run
        self._quiet = quiet
        self._as_json = as_json
        self._verbose = verbose

    def watch(self, part: Examination) -> Iterable[Reporter]:
        """Return what logs a line now and then in a long run; with ``-v`` also a table."""
        from pipelines.reporters.log import LogReporter

        class Progress(LogReporter):
            def finish(self, report: object) -> None:
                """Say nothing: `tell` says it in fewer words."""

        assert part.spec is not None
        kind = LogReporter if self._verbose else Progress
        return () if self._quiet else (kind(part.spec, part.shapes),)

    def say(self, line: str) -> None:
        """Print a line, unless this is to be quiet."""
        if not self._quiet:
            complain(line)

    def tell(self, sent: Sent) -> None:
        """Tell what became of one node's letters."""
        fields = asdict(sent)
        self.nodes[fields.pop("node")] = fields
        self.say(f"{sent.node}: {', '.join(_parts(sent))}")

    def fail(self, node: str, error: BaseException, reason: str) -> None:
        """Tell that the run of a node failed."""
        letters = sum(pile.count for pile in self._box.piles if pile.node == node)
        how = "was cancelled" if reason == "cancelled" else reason
        self.say(f"{node}: the run {how}; {count(letters, 'letter')} kept")
        self.nodes[node] = {"letters": letters, "error": str(error) or type(error).__name__}
        self.close(reason)

    def close(self, reason: str) -> None:
        """Sum up."""
        left = self._box.count()
        self.say(self._sum(left))
        if self._as_json:
            ok = reason in ("done", "drained")
            told = {"ok": ok, "reason": reason, "dry_run": self._dry_run, "file": self._box.path}
            click.echo(json.dumps({**told, "nodes": self.nodes, "left": left}))

    def _sum(self, left: int) -> str:
        if self._dry_run:
            return f"{count(self._total('letters'), 'letter')} of {left:,} would be sent"
        where = f"{f'{left:,}' if left else 'none'} left in {self._box.path}"
        sent, through = self._total("sent"), self._total("went_through")
        return f"{count(sent, 'letter')} sent, {through:,} went through; {where}"

    def _total(self, field: str) -> int:
        return sum(each.get(field, 0) for each in self.nodes.values())


def _parts(sent: Sent) -> Sequence[str]:
    """Return what became of a node's letters, in words; only what is said always, or happened."""
    unsent = sent.letters - sent.sent
    return [
        f"{count(sent.sent, 'letter')} sent",
        f"{sent.went_through:,} went through",
        *([f"{sent.skipped:,} skipped"] if sent.skipped else []),
        f"{sent.dead_again:,} dead again",
        *([f"{count(sent.dead_behind, 'new letter')} of nodes behind"] if sent.dead_behind else []),
        *([f"{unsent:,} not sent (stopped)"] if unsent else []),
    ]
