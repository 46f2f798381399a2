"""``plumber cluster``: who serves which scope, and what runs where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pipelines.cli.app import option
from pipelines.cli.clusters import token_file
from pipelines.cli.failures import count

if TYPE_CHECKING:
    from pipelines.engines.cluster.survey import Survey

__all__ = ["command", "table"]


@click.command()
@option(
    "--address",
    metavar="HOST:PORT",
    default="127.0.0.1:6380",
    show_default=True,
    help="The address of the cluster's first node.",
)
@token_file
@option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="PLUMBER_CLUSTER_FORMAT",
)
def command(address: str, token_file: str | None, style: str) -> None:
    """Tell which workers a cluster has, which scopes they serve, and which hosts run on them.

    This machine need not be a node of the cluster.
    """
    from pipelines.engines.cluster import tokens
    from pipelines.engines.cluster.survey import survey

    seen = survey(address, tokens.found(token_file))
    if style == "json":
        said = {"address": address, "scopes": seen.scopes(), **asdict(seen)}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _print(address, seen)


def _print(address: str, seen: Survey) -> None:
    nodes = seen.live()
    jobs = f", jobs at http://{seen.jobs}" if seen.jobs else ""
    click.echo(f"cluster at {address}: {count(len(nodes), 'node')}, Ray {seen.ray}{jobs}")
    rows = [(each["id"][:8], each["host"], each["ip"], ", ".join(each["scopes"])) for each in nodes]
    click.echo("\n" + table(("node", "machine", "address", "scopes"), rows))
    if not seen.actors:
        click.echo("\nnothing runs")
        return
    keys = ("name", "kind", "state", "node", "host", "pid", "restarts")
    hosts = [
        tuple(str(each[key])[: 8 if key == "node" else None] for key in keys)
        for each in seen.actors
    ]
    click.echo("\n" + table(("runs", "kind", "state", "node", "machine", "pid", "restarts"), hosts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows in columns, as text."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = (
        "  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)
