"""A path or a text in the `.pipe` language -> `GraphSpec`, and everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.check import Examination
from pipelines.check import examine as examine_graph
from pipelines.errors import GraphError, PipelinesError, Problem
from pipelines.frontends.pipelang.compiler import Options, compile_tasks
from pipelines.frontends.pipelang.faults import Faults
from pipelines.frontends.pipelang.model import Script
from pipelines.frontends.pipelang.options import FILE_OPTIONS, STEP_OPTIONS, Settings, read_options
from pipelines.frontends.pipelang.tasks import tasks_of
from pipelines.frontends.pipelang.verify import verify
from pipelines.places import Findings
from pipelines.spec import GraphSpec
from pipelines.yamltext import read_file

__all__ = ["Source", "check", "examine", "load"]

#: A path, or a text, which is told from a path by a line break in it.
Source = str | os.PathLike[str]


def load(
    source: Source,
    *,
    scopes: Iterable[str] | None = None,
    workers: int | None = None,
    limit: int | None = None,
    base: str | os.PathLike[str] | None = None,
) -> GraphSpec:
    """Read a program in the `.pipe` language as a graph; no step is imported.

    Args:
        source: a path, or a text, which is told from a path by a line break in it.
        scopes: the scopes that are served, the most important first; by default those that the
            variable ``PIPE_WORKER_SCOPES`` lists, or else those of the program.
        workers: calls under way at once in the whole run; by default those of ``!workers``, or 100.
        limit: values after which each outermost loop stops.
        base: write the names of files relative to this folder, for a graph that is to be written
            there; by default they are absolute.

    Raises:
        GraphError: with every fault of the program.
        PipelinesError: lark is not installed.
        ValueError: `workers` or `limit` is below 1.
    """
    spec, faults = _read(source, scopes, workers, limit, base)
    faults.refuse()
    assert spec is not None
    return spec


def examine(
    source: Source,
    *,
    scopes: Iterable[str] | None = None,
    workers: int | None = None,
    limit: int | None = None,
    import_steps: bool = True,
    overrides: Iterable[str] = (),
) -> Examination:
    """Check a program in every respect; nothing that is wrong with it raises.

    Args:
        source, scopes, workers, limit: as for `load`.
        import_steps: also import the files of the steps, to see that their functions are there
            and can be called so.
        overrides: changes of the graph, such as ``nodes.fetch.properties.concurrency=4``.
    """
    try:
        spec, faults = _read(source, scopes, workers, limit, None)
    except GraphError as error:
        return Examination(None, error.problems)
    if spec is None:
        return Examination(None, faults.problems)
    found = examine_graph(spec, import_steps=import_steps, overrides=overrides)
    findings = Findings(spec.source, spec.locations)
    for problem in (*faults.problems, *found.problems):
        findings.put(faults.shown(problem))
    if import_steps and found.spec is not None:
        verify(found.spec, found.targets, findings)
    return replace(found, problems=tuple(map(faults.shown, findings.problems)))


def check(source: Source, **options: Any) -> list[Problem]:
    """Return every problem of a program; the options are those of `examine`."""
    return list(examine(source, **options).problems)


def _read(
    source: Source,
    scopes: Iterable[str] | None,
    workers: int | None,
    limit: int | None,
    base: str | os.PathLike[str] | None,
) -> tuple[GraphSpec | None, Faults]:
    """Return the graph of a program, if it has no fault, and the faults."""
    for name, number in (("workers", workers), ("limit", limit)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is a number from 1, not {number}")
    text, file = _text(source)
    folder = Path() if file is None else Path(file).parent
    if scopes is None:
        scopes = os.environ.get("PIPE_WORKER_SCOPES", "").split(",")
    served = tuple(each.strip() for each in scopes if each.strip())
    options = Options(folder, None if base is None else Path(base), served, workers, limit)
    faults = Faults(text, file)
    script = _script(text, faults)
    settings = Settings()
    read_options(script.options, FILE_OPTIONS, settings, faults)
    for option in script.defaults:
        read_options([option], STEP_OPTIONS, Settings(), faults)
    tasks = tasks_of(script, faults)
    spec = compile_tasks(script, tasks, settings, options, faults)
    return (None if faults.fatal else spec), faults


def _text(source: Source) -> tuple[str, str | None]:
    """Return the text, its lines ended by a line feed alone, and the file that it is from.

    Raises:
        GraphError: the file can't be read.
    """
    file: str | None = None
    if isinstance(source, os.PathLike) or "\n" not in source:
        file = os.fspath(source)
        findings = Findings(file)
        source = read_file(file, findings) or ""
        if findings.problems:
            raise GraphError(findings.problems)
    return source.replace("\r\n", "\n").replace("\r", "\n"), file


def _script(text: str, faults: Faults) -> Script:
    try:
        from pipelines.frontends.pipelang.builder import read
    except ModuleNotFoundError as error:
        if error.name != "lark":
            raise
        raise PipelinesError("a .pipe file needs lark: pip install 'pipelines[pipe]'") from error
    return read(text, faults)
