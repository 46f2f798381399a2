"""``plumber graph``: draw a graph, offline."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from pipelines.cli.app import option
from pipelines.cli.sources import GRAPH_FILE, checked, write

if TYPE_CHECKING:
    from pipelines.spec import GraphSpec

__all__ = ["command"]

_SUFFIXES = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".txt": "ascii", ".mmd": "mermaid"}


@click.command()
@click.argument("file", type=GRAPH_FILE)
@option(
    "--format",
    "style",
    type=click.Choice(["mermaid", "dot", "svg", "ascii"]),
    envvar="PLUMBER_GRAPH_FORMAT",
    help="Default: what the name of OUTPUT says; without one ascii on a terminal, else mermaid.",
)
@option("-o", "--output", type=click.Path(dir_okay=False), help="Write to OUTPUT, not to stdout.")
def command(file: str, style: str | None, output: str | None) -> None:
    """Draw the graph in FILE (- is stdin), without importing its steps.

    ascii is boxes and arrows for a terminal, svg a picture for a light and a dark page; mermaid
    and dot are the languages of those tools. Nothing else need be installed for any of them.
    """
    spec = checked(file, import_steps=False, quiet=True).spec
    write(_draw(spec, style or _default(output)), output)


def _default(output: str | None) -> str:
    if output is None:
        return "ascii" if sys.stdout.isatty() else "mermaid"
    return next((style for end, style in _SUFFIXES.items() if output.endswith(end)), "mermaid")


def _draw(spec: GraphSpec, style: str) -> str:
    if style == "mermaid":
        return spec.to_mermaid()
    from pipelines import draw

    if style == "ascii":
        width = shutil.get_terminal_size((100, 24)).columns
        return draw.to_text(spec, width=width, unicode=_takes_boxes())
    return draw.to_svg(spec) if style == "svg" else draw.to_dot(spec)


def _takes_boxes() -> bool:
    try:
        "├▶╮".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
