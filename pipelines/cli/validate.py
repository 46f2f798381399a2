"""``plumber validate``: every problem of graph files at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.app import option
from pipelines.cli.exits import BAD_GRAPH
from pipelines.cli.failures import count, summary
from pipelines.cli.sources import examined, importable

if TYPE_CHECKING:
    from pipelines.errors import Problem

__all__ = ["command"]


@dataclass(frozen=True, slots=True)
class _Finding:
    """One file, and what is wrong with it."""

    file: str
    problems: Sequence[Problem]
    nodes: int
    edges: int

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, allow_dash=True),
)
@option(
    "--no-import",
    is_flag=True,
    help="Import no step: what needs one, such as its arguments, is not checked.",
)
@option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    envvar="PLUMBER_VALIDATE_FORMAT",
    help="github: workflow commands, shown as annotations by GitHub Actions.",
)
@click.pass_context
def command(ctx: click.Context, paths: Sequence[str], no_import: bool, style: str) -> None:
    """Report every problem of the graphs in each PATH: a file, - for stdin, or a folder.

    In a folder and below it, each .yaml, .yml and .json file with a top-level "nodes" is taken
    for a graph, and each .pipe file for a program. Findings go to stdout. Exit code 78 if one is
    invalid, 0 if there are only warnings.
    """
    files = list(_files(paths))
    findings = [_examine(file, import_steps=not no_import) for file in files]
    {"text": _text, "json": _json, "github": _github}[style](findings)
    if not all(finding.ok for finding in findings):
        ctx.exit(BAD_GRAPH)


def _files(paths: Sequence[str]) -> Iterator[str]:
    import os

    from pipelines.cli.folders import graph_files

    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = graph_files(path)
        if not found:
            raise click.UsageError(f"no graph file is in {path!r}; name the file itself.")
        yield from found


def _examine(file: str, *, import_steps: bool) -> _Finding:
    with importable(file):
        found = examined(file, import_steps=import_steps)
    size = (len(found.spec.nodes), len(found.spec.edges)) if found.spec is not None else (0, 0)
    return _Finding(file, found.problems, *size)


def _text(findings: Sequence[_Finding]) -> None:
    for finding in findings:
        for problem in finding.problems:
            click.echo(str(problem))
        if finding.ok:
            size = f"{count(finding.nodes, 'node')}, {count(finding.edges, 'edge')}"
            click.echo(f"{finding.file}: ok ({size})")
    if total := summary([each for finding in findings for each in finding.problems]):
        click.echo(total)


def _json(findings: Sequence[_Finding]) -> None:
    files = [
        {
            "file": finding.file,
            "ok": finding.ok,
            "nodes": finding.nodes,
            "edges": finding.edges,
            "problems": [problem.to_dict() for problem in finding.problems],
        }
        for finding in findings
    ]
    document = {"ok": all(finding.ok for finding in findings), "files": files}
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _github(findings: Sequence[_Finding]) -> None:
    for finding in findings:
        for problem in finding.problems:
            click.echo(_annotation(problem, finding.file))


def _annotation(problem: Problem, file: str) -> str:
    """Return a workflow command, escaped as the runner unescapes it.

    See https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
    """
    place: dict[str, Any] = {"file": problem.file or file}
    place |= {"line": problem.line, "col": problem.column, "title": problem.code}
    said = (f"{key}={_escaped(str(value), ':,')}" for key, value in place.items() if value)
    text = f"{problem.message} {problem.hint}".strip()
    return f"::{problem.severity} {','.join(said)}::{_escaped(text)}"


def _escaped(text: str, also: str = "") -> str:
    return "".join(f"%{ord(each):02X}" if each in f"%\r\n{also}" else each for each in text)
