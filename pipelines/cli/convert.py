"""``plumber convert``: write a graph, whatever it is written in, as YAML or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.app import option
from pipelines.cli.exits import BAD_GRAPH, stop
from pipelines.cli.sources import PIPE, importable, read, write

if TYPE_CHECKING:
    from pipelines.spec import GraphSpec

__all__ = ["command"]


@click.command()
@click.argument("source", metavar="SOURCE")
@option(
    "--to",
    "style",
    type=click.Choice(["yaml", "json"]),
    envvar="PLUMBER_CONVERT_TO",
    help="Default: what the name of OUTPUT says, or yaml.",
)
@option("-o", "--output", type=click.Path(dir_okay=False), help="Write to OUTPUT, not to stdout.")
def command(source: str, style: str | None, output: str | None) -> None:
    """Write the graph in SOURCE as a document that plumber runs alike.

    SOURCE is a program in the .pipe language, a graph file (- is stdin), which comes out in its
    plain form with its variables filled in, or module:object, where the object is a graph that a
    program in Python has made: a GraphSpec, a mapping, or what has a spec of its own.

    Of a .pipe program the files of its steps are named as seen from the folder of OUTPUT; without
    one from that of SOURCE.
    """
    with importable(source):
        spec = _spec(source, output)
        text = _written(spec, source)
    as_json = style == "json" or (style is None and str(output or "").endswith(".json"))
    write(_as_json(text) if as_json else text, output)


def _spec(source: str, output: str | None) -> GraphSpec:
    if source.endswith(PIPE) and os.path.exists(source):
        from pipelines.frontends.pipelang import load as load_program

        named = None if output in (None, "-") else output
        return load_program(source, base=Path(named or source).resolve().parent)
    from pipelines.load import load

    if source == "-" or os.path.exists(source):
        return load(read(source))
    if ":" not in source:
        raise click.BadParameter(f"no file {source!r} is here.", param_hint="'SOURCE'")
    found = _graph_of(_object(source), source)
    return load(found)


def _object(source: str) -> Any:
    """Import what ``module:object`` names."""
    from pipelines.step import resolve

    try:
        return resolve(source)
    except (LookupError, ImportError) as error:
        stop(f"{source}: {error.args[0]}", BAD_GRAPH)


def _graph_of(found: Any, source: str) -> Mapping[str, Any] | GraphSpec:
    """Return the graph of an object: itself, or the one that it has or gives as its `spec`."""
    from pipelines.spec import GraphSpec

    spec = found
    if not isinstance(found, GraphSpec | Mapping):
        spec = getattr(found, "spec", None)
        spec = spec() if callable(spec) and not isinstance(found, type) else spec
    if isinstance(spec, GraphSpec | Mapping):
        return spec
    kind = found.__name__ if isinstance(found, type) else type(found).__name__
    stop(
        f"{source} is no graph, but a {kind}. Name a GraphSpec, a mapping with `nodes`, or an "
        "object whose spec() gives one.",
        BAD_GRAPH,
    )


def _written(spec: GraphSpec, source: str) -> str:
    """Return the graph as YAML; what can't be named there is refused."""
    try:
        text = spec.to_yaml()
    except ValueError as error:
        stop(f"{source}: {error}", BAD_GRAPH)
    _refuse_unfound(spec, source)
    return text


def _refuse_unfound(spec: GraphSpec, source: str) -> None:
    """Refuse steps whose name leads elsewhere, such as those of a script that is run itself."""
    from pipelines.step import resolve

    nodes = [*spec.nodes.values(), *([spec.dead_letter] if spec.dead_letter else [])]
    for node in nodes:
        target = node.target
        if target is None or isinstance(target, str):
            continue
        name = f"{target.__module__}:{target.__qualname__}"
        try:
            same = resolve(name) == target
        except (LookupError, ImportError):
            same = False
        if not same:
            what = f"node {node.name!r}: {name} is not what this step is"
            stop(f"{source}: {what}; define it at the top of a module", BAD_GRAPH)


def _as_json(text: str) -> str:
    from pipelines.places import Findings
    from pipelines.yamltext import read_text

    return json.dumps(read_text(text, Findings()), indent=2, ensure_ascii=False) + "\n"
