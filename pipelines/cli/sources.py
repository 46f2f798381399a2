"""How a verb reads its graph: from a file or stdin, with the user's own steps importable."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipelines.cli.exits import BAD_GRAPH, stop

if TYPE_CHECKING:
    from pipelines.check import Examination
    from pipelines.spec import GraphSpec

__all__ = ["GRAPH_FILE", "PIPE", "Checked", "checked", "examined", "importable", "read", "write"]

#: How the name of a program in the `.pipe` language ends.
PIPE = ".pipe"

#: A graph file that is there, or ``-`` for stdin.
GRAPH_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


class Checked(NamedTuple):
    """A graph without an error, and all that is known of it."""

    examination: Examination
    spec: GraphSpec


@contextlib.contextmanager
def importable(source: str) -> Iterator[None]:
    """Let steps be imported from the folder of the graph file and the current one, for a while.

    Afterwards modules from the graph's folder are forgotten again: the next file's ``steps.py``
    is another one.
    """
    folder = "" if source == "-" else str(Path(source).resolve().parent)
    added = [folder, os.getcwd()] if folder else [os.getcwd()]
    path, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = dict.fromkeys(added)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if folder and file and Path(file).is_relative_to(folder):
                del sys.modules[name]


def read(source: str) -> str:
    """Return what to read a graph from: the path `source`, or for ``-`` the text on stdin."""
    if source != "-":
        return source
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        stop("stdin is no UTF-8 text", BAD_GRAPH)
    return f"{text}\n"  # a line break tells text from the path of a file


def examined(source: str, **options: Any) -> Examination:
    """Return what is known of a graph file, or a program in the `.pipe` language.

    Args:
        source: a path, or ``-`` for a graph on stdin.
        **options: those of `pipelines.check.examine`, or of `pipelines.frontends.pipelang.examine`.
    """
    if source.endswith(PIPE):
        from pipelines.frontends.pipelang import examine as examine_program

        return examine_program(source, **options)
    from pipelines.check import examine

    return examine(read(source), **options)


def checked(source: str, *, quiet: bool = False, **options: Any) -> Checked:
    """Return a graph that may run; print its warnings, unless `quiet`.

    Args:
        source: a path, or ``-`` for a graph on stdin.
        quiet: print no warning.
        **options: those of `examined`.

    Raises:
        GraphError: at least one problem is an error.
    """
    from pipelines.errors import GraphError

    found = examined(source, **options)
    if not found.ok:
        raise GraphError(found.problems)
    assert found.spec is not None
    for problem in () if quiet else found.problems:
        click.echo(str(problem), err=True)
    return Checked(found, found.spec)


def write(text: str, output: str | None) -> None:
    """Write `text` to the file `output`, or to stdout without one."""
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        stop(f"can't write {output}: {error.strerror}")
