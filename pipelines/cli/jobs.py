"""``plumber jobs``, ``logs`` and ``stop``: what a cluster was given to run."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pipelines.cli import values
from pipelines.cli.app import option
from pipelines.cli.cluster import table
from pipelines.cli.clusters import jobs_address, token_file
from pipelines.cli.exits import complain
from pipelines.cli.exits import stop as leave

if TYPE_CHECKING:
    from pipelines.engines.cluster.jobs import Job, Jobs

__all__ = ["command", "logs", "show", "stop"]

_POLL = 0.2  # seconds between two looks at a job


@click.command("jobs")
@jobs_address
@token_file
@option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="PLUMBER_JOBS_FORMAT",
)
def command(address: str, token_file: str | None, style: str) -> None:
    """List the jobs that were sent to a cluster, the oldest first."""
    from pipelines.engines.cluster.jobs import Jobs

    found = Jobs(address, token_file).all()
    if style == "json":
        click.echo(json.dumps([asdict(job) for job in found], indent=2, ensure_ascii=False))
    elif found:
        rows = [(job.id, job.state, _when(job.started), _when(job.ended)) for job in found]
        click.echo(table(("job", "state", "started", "ended"), rows))
    else:
        complain("no job was sent yet")


@click.command("logs")
@click.argument("job")
@jobs_address
@token_file
@option(
    "--follow",
    is_flag=True,
    envvar="PLUMBER_LOGS_FOLLOW",
    help="Go on until it ends; the exit code tells how.",
)
def logs(job: str, address: str, token_file: str | None, follow: bool) -> None:
    """Print what JOB has printed."""
    from pipelines.engines.cluster.jobs import Jobs

    jobs = Jobs(address, token_file)
    if follow:
        show(jobs, job)
    else:
        click.echo(jobs.logs(job), nl=False)


@click.command("stop")
@click.argument("job")
@jobs_address
@token_file
@option(
    "--timeout",
    metavar="DURATION",
    callback=values.duration,
    help="Wait no longer than this; the job goes on draining.",
)
def stop(job: str, address: str, token_file: str | None, timeout: float | None) -> None:
    """Drain JOB: its sources stop, what is under way is finished, its report is printed.

    What it prints meanwhile is printed. If it does not end within the time that submit --grace
    said, it is killed.
    """
    from pipelines.engines.cluster.jobs import Jobs

    jobs = Jobs(address, token_file)
    before = len(jobs.logs(job))
    if not jobs.stop(job):
        complain(f"{job} is not running: it has {jobs.get(job).state}")
        return
    ended = _awaited(jobs, job, timeout)
    click.echo(jobs.logs(job)[before:], nl=False)
    if not ended.over:
        leave(f"{job} is still draining after {timeout:g} s")
    complain(f"{job} has {ended.state}")


def show(jobs: Jobs, ident: str) -> None:
    """Print what a job prints until it ends, and leave with the exit code that tells how."""
    asyncio.run(_follow(jobs, ident))
    ended = _awaited(jobs, ident, None)
    complain(
        f"{ident} has {ended.state}" + (f": {ended.message}" if ended.state == "failed" else "")
    )
    raise click.exceptions.Exit(ended.code)


async def _follow(jobs: Jobs, ident: str) -> None:
    async with aclosing(jobs.follow(ident)) as texts:
        async for text in texts:
            click.echo(text, nl=False)


def _awaited(jobs: Jobs, ident: str, timeout: float | None) -> Job:
    """Return the job once it is over, or once the time is up."""
    until = None if timeout is None else time.monotonic() + timeout
    while not (job := jobs.get(ident)).over and (until is None or time.monotonic() < until):
        time.sleep(_POLL)
    return job


def _when(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")
