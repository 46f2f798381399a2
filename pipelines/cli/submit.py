"""``plumber submit``: a graph is sent to a cluster, and runs there."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli import values
from pipelines.cli.app import option
from pipelines.cli.clusters import jobs_address, token_file
from pipelines.cli.exits import complain

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@jobs_address
@token_file
@option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    envvar="PLUMBER_SUBMIT_SET",
    callback=values.overrides,
    help="Set a value of the document, as for run. Repeatable.",
)
@option(
    "-e",
    "--env-file",
    metavar="ENVFILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Send the variables in ENVFILE along. Whoever has the cluster's token can read them.",
)
@option(
    "--scopes",
    metavar="A,B",
    callback=values.names,
    help="Of a .pipe program: the scopes that are served, the most important first.",
)
@option("--name", metavar="NAME", help="What the job's id begins with; by default FILE's name.")
@option(
    "--grace",
    metavar="DURATION",
    default="10m",
    show_default=True,
    callback=values.duration,
    help="How long it may take to drain before it is killed, once it is to stop.",
)
@option(
    "--follow",
    is_flag=True,
    envvar="PLUMBER_SUBMIT_FOLLOW",
    help="Print what it prints until it ends; the exit code tells how. Ctrl-C leaves it running.",
)
def command(
    file: str,
    address: str,
    token_file: str | None,
    overrides: tuple[str, ...],
    env_file: str | None,
    scopes: list[str] | None,
    name: str | None,
    grace: float,
    follow: bool,
) -> None:
    """Send the graph in FILE, with the folder that it is in, to a cluster, and have it run there.

    Prints the job's id, and is done: the run goes on without this terminal. Of the folder that is
    left out which is named in .plumberignore, as in a .gitignore; .git, .env and the like always.
    """
    from pipelines.cli.jobs import show
    from pipelines.engines.cluster.jobs import Jobs, plumber_command

    flags = [word for each in overrides for word in ("--set", each)]
    flags += ["--scopes", ",".join(scopes)] if scopes else []
    path = Path(file).resolve()
    jobs = Jobs(address, token_file)
    ident = jobs.submit(
        plumber_command(path.name, flags),
        path.parent,
        name=name or path.stem,
        environment=_variables(env_file),
        grace=max(1, round(grace)),
    )
    click.echo(ident)
    if follow:
        show(jobs, ident)
    else:
        complain(f"see it with: plumber logs {ident} --follow")


def _variables(env_file: str | None) -> dict[str, str]:
    if env_file is None:
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(env_file).items() if value is not None}
