"""``plumber run``: validate a graph, run it and drain it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli import values
from pipelines.cli.app import option
from pipelines.cli.deadline import Deadline
from pipelines.cli.exits import DEAD_LETTERS, FAILED, complain, stop
from pipelines.cli.failures import count
from pipelines.cli.sources import GRAPH_FILE, PIPE, Checked, checked, importable

if TYPE_CHECKING:
    from pipelines.metrics import RunReport
    from pipelines.plumber import Plumber
    from pipelines.reporters.log import LogReporter
    from pipelines.reporters.progress import ProgressReporter
    from pipelines.reporters.prometheus import PrometheusReporter
    from pipelines.spec import GraphSpec

__all__ = ["command"]

_STATS = "5s"


class _Run(click.Command):
    """A command whose ``--stats`` takes a value only after ``=``: ``--stats FILE`` has none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare ``--stats`` its interval."""
        options = args.index("--") if "--" in args else len(args)
        said = [f"--stats={_STATS}" if each == "--stats" else each for each in args[:options]]
        return super().parse_args(ctx, said + args[options:])


@click.command(cls=_Run)
@click.argument("file", type=GRAPH_FILE)
@option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    envvar="PLUMBER_RUN_SET",
    callback=values.overrides,
    help="Set a value of the document, such as nodes.fetch.properties.concurrency=4. Repeatable.",
)
@option(
    "-e",
    "--env-file",
    metavar="ENVFILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Read environment variables from ENVFILE; those that are set already stay as they are.",
)
@option(
    "--stats",
    metavar=f"[={_STATS}]",
    callback=values.duration,
    help="Log a line on all nodes this often, also on a terminal instead of the live view. "
    f"Off a terminal it is done every {_STATS}.",
)
@option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Stop each source after N items; of a .pipe program each outer loop.",
)
@option(
    "--timeout",
    metavar="DURATION",
    callback=values.duration,
    help="Cancel the run after this time.",
)
@option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="PLUMBER_RUN_JSON",
    help="Print the report as one line of JSON, last on stdout.",
)
@option(
    "--report",
    metavar="REPORT",
    type=click.Path(dir_okay=False, writable=True),
    callback=values.writable,
    help="Write the report as JSON to the file REPORT.",
)
@option(
    "--scopes",
    metavar="A,B",
    callback=values.names,
    help="Of a .pipe program: the scopes that are served, the most important first. On Ray: the "
    "scopes whose nodes go first, where processors are short.",
)
@option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Of a .pipe program: how many calls may be under way at once in the whole run.",
)
@option(
    "--prometheus",
    "port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    envvar="PLUMBER_RUN_PROMETHEUS",
    help="Serve metrics to Prometheus on this port of 127.0.0.1 while it runs; 0 takes a free one.",
)
@option(
    "--engine",
    metavar="NAME",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where the nodes run: in this process (local), or on a Ray cluster.",
)
@option(
    "--address",
    metavar="HOST:PORT",
    help="Of the Ray cluster to run on; without it one is started for the run on this machine.",
)
@option(
    "--batch",
    metavar="N",
    type=click.IntRange(min=1),
    help="On Ray: items that are sent at a time, at most.  [default: 1000]",
)
@option(
    "--window",
    metavar="N",
    type=click.IntRange(min=1),
    help="On Ray: batches that may be under way in a process, at least.  [default: 2]",
)
@option("--strict", is_flag=True, help="Exit with 3 if there are dead letters.")
@option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@option("-v", "--verbose", count=True, help="Log more, and show whole tracebacks; -vv: everything.")
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    overrides: tuple[str, ...],
    env_file: str | None,
    stats: float | None,
    limit: int | None,
    timeout: float | None,
    as_json: bool,
    report: str | None,
    scopes: list[str] | None,
    workers: int | None,
    port: int | None,
    engine: str,
    address: str | None,
    batch: int | None,
    window: int | None,
    strict: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Validate the graph in FILE (- is stdin), run it and drain it.

    FILE is a graph document, or a program in the .pipe language.

    Steps are imported from FILE's folder, from the current one, and from what is installed.
    The first Ctrl-C or SIGTERM stops the sources and lets the rest finish; the second stops all.
    """
    from pipelines.cli.logs import show_logs

    ctx.meta["pipelines.verbose"] = verbose
    show_logs(verbose=verbose, quiet=quiet)
    if env_file is not None:
        from dotenv import load_dotenv

        load_dotenv(env_file)
    where = _engine(engine, address=address, batch=batch, window=window, scopes=scopes)
    options = _of_program(file, limit=limit, scopes=scopes, workers=workers, engine=engine)
    with importable(file):
        checks = checked(file, overrides=overrides, quiet=quiet, **options)
        _refuse_unfed(checks.spec)
        reporter = None if quiet else _reporter(checks, stats)
        metrics = None if port is None else _metrics(checks, port)
        tell = partial(_tell, as_json=as_json, file=report)
        ended = _run(checks, limit, timeout, reporter, metrics, tell, where)
    dead = sum(node.dead_lettered for node in ended.nodes.values())
    if strict and dead:
        stop(f"{count(dead, 'dead letter')} (--strict)", DEAD_LETTERS)


def _engine(name: str, **said: Any) -> Any:
    """Return the engine to run on; `None` for this process."""
    if name == "local":
        for option in ("address", "batch", "window"):
            if said[option] is not None:
                raise click.UsageError(f"--{option} is for --engine ray.")
        return None
    from pipelines.registry import engines

    return engines.get(name)(**{key: value for key, value in said.items() if value is not None})


def _of_program(file: str, engine: str, **said: Any) -> dict[str, Any]:
    """Return the options that a .pipe program is read with; a graph file has none of them.

    A program has one source, which starts it: there ``--limit`` is for its loops.
    """
    if file.endswith(PIPE):
        return said
    for name in ("workers", "scopes") if engine == "local" else ("workers",):
        if said[name] is not None:
            raise click.UsageError(f"--{name} is for .pipe programs, and {file} is a graph file.")
    return {}


def _refuse_unfed(spec: GraphSpec) -> None:
    """Refuse input nodes that are fed by `Plumber.put` alone: here they would wait for ever."""
    from pipelines.errors import GraphError, Problem

    fed = {edge.target for edge in spec.edges}
    unfed = [name for name, node in spec.nodes.items() if node.target is None and name not in fed]
    message = "node {!r} has no func, so only Plumber.put feeds it, which can't be called here."
    hint = "Give it a func that makes items."
    problems = []
    for name in unfed:
        path = ("nodes", name)
        place = spec.locations.get(path, (None, None))
        problem = Problem("unfed-input", message.format(name), path, hint)
        problems.append(replace(problem, file=spec.source, line=place[0], column=place[1]))
    if problems:
        raise GraphError(problems)


def _reporter(checks: Checked, stats: float | None) -> LogReporter | ProgressReporter:
    """Return the live view for a terminal, the log else or where it is asked for."""
    if stats is None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from pipelines.reporters.progress import ProgressReporter

        return ProgressReporter(checks.spec, checks.examination.shapes)
    from pipelines.reporters.log import LogReporter

    return LogReporter(checks.spec, checks.examination.shapes, interval=stats or 5.0)


def _metrics(checks: Checked, port: int) -> PrometheusReporter:
    """Return what serves metrics, under the graph's name or that of its file."""
    from pipelines.reporters.prometheus import PrometheusReporter

    return PrometheusReporter(checks.spec.name or Path(checks.spec.source or "run").stem, port=port)


def _run(
    checks: Checked,
    limit: int | None,
    timeout: float | None,
    reporter: LogReporter | ProgressReporter | None,
    metrics: PrometheusReporter | None,
    tell: Callable[[RunReport | None], bool],
    engine: Any,
) -> RunReport:
    """Run the graph, and tell of it however it ends."""
    from pipelines.plumber import Interrupted, Plumber

    deadline = None if timeout is None else Deadline(timeout)
    told = [each for each in (reporter, metrics, deadline) if each is not None]
    plumber = Plumber(checks.examination, limit=limit, reporters=told, engine=engine)
    if deadline is not None:
        deadline.plumber = plumber
    try:
        report = plumber.run_sync()
    except Interrupted as interrupted:
        name = signal.Signals(interrupted.signum).name
        stop(f"stopped by {name}{_left(plumber)}", 128 + interrupted.signum)
    except asyncio.CancelledError:
        why = f"timed out after {timeout:g}s" if deadline and deadline.passed else "was cancelled"
        stop(f"the run {why}{_left(plumber)}")
    finally:
        if reporter is not None:
            reporter.close()
        told_all = tell(plumber.report)
    if not told_all:
        raise click.exceptions.Exit(FAILED)
    return report


def _left(plumber: Plumber) -> str:
    nodes = {} if plumber.report is None else plumber.report.nodes
    left = sum(node.in_flight for node in nodes.values())
    return f"; in flight: {count(left, 'item')}" if left else ""


def _tell(report: RunReport | None, *, as_json: bool, file: str | None) -> bool:
    """Write the report where it is wanted; return whether that could be done."""
    if report is not None and as_json:
        click.echo(json.dumps(report.to_dict()))
    if report is not None and file is not None:
        try:
            Path(file).write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:  # what ended the run matters more, and is still to be told
            complain(f"can't write {file}: {error.strerror}")
            return False
    return True
