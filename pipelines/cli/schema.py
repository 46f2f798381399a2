"""``plumber schema``: the JSON Schema of the graph document."""

from __future__ import annotations

import json

import click

from pipelines.cli.app import option
from pipelines.cli.sources import write

__all__ = ["command"]


@click.command()
@option("-o", "--output", type=click.Path(dir_okay=False), help="Write to OUTPUT, not to stdout.")
def command(output: str | None) -> None:
    """Print the JSON Schema of the graph document, for editors and other tools.

    With the schema beside a graph, editors that know the YAML language server complete and check
    it if its first line is:

    # yaml-language-server: $schema=./graph.schema.json
    """
    from pipelines.checks.schema import graph_schema

    write(json.dumps(graph_schema(), indent=2, ensure_ascii=False) + "\n", output)
