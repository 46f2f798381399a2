"""Whether the files that steps name are there, and hold functions that can be called so."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Mapping
from typing import Any

from pipelines.checks.signatures import Call, Misfit, misfits
from pipelines.frontends.pipelang.functions import find_file, find_function
from pipelines.frontends.pipelang.steps import Postgres, Python, Sqlite
from pipelines.places import Findings
from pipelines.spec import GraphSpec
from pipelines.step import shape_of

__all__ = ["verify"]

#: Files that stand in the traceback of an import of the user's.
_OURS = (__file__, find_function.__code__.co_filename)


def verify(spec: GraphSpec, targets: Mapping[str, Any], findings: Findings) -> None:
    """Import what the python steps of a graph name, and note what is not there or can't be called.

    Args:
        spec: the graph.
        targets: the step of each node.
        findings: is given the faults.
    """
    for name, target in targets.items():
        args = spec.nodes[name].args
        if target is Python:
            _verify_python(name, args, findings)
        elif target in (Sqlite, Postgres) and args.get("file"):
            _verify_query(name, str(args["file"]), findings)
    postgres = [name for name, target in targets.items() if target is Postgres]
    if postgres and importlib.util.find_spec("psycopg") is None:
        hint = "Install it: pip install 'pipelines[postgres]'."
        findings.add(
            "missing-extra", "postgres needs psycopg.", ("nodes", postgres[0], "func"), hint
        )


def _verify_python(name: str, args: Mapping[str, Any], findings: Findings) -> None:
    path = ("nodes", name, "args")
    source = "code" if args.get("file") is None else "file"
    function = str(args.get("function"))
    try:
        found = find_function(function, args.get("file"), args.get("code"))
    except FileNotFoundError as error:
        findings.add("no-file", f"{error}.", (*path, "file"), "Check the path.")
    except LookupError as error:
        findings.add("no-function", str(error.args[0]), (*path, "function"))
    except ImportError as error:
        what = f"{error}{_where(error.__cause__)}."
        findings.add("import-failed", what, (*path, source), "Mend that line.")
    else:
        _verify_call(name, found, args, findings)
        _verify_executor(name, found, args, findings)


def _verify_call(name: str, function: Any, args: Mapping[str, Any], findings: Findings) -> None:
    give = args.get("give")
    count = 1 if give is None else len(give)
    path = ("nodes", name, "args", "function" if give is None else "give")
    said = f"{args.get('function')}()"
    for misfit in _misfits(function, count):
        if misfit.kind == "inputs":
            takes = len(misfit.known)
            what = f"{said} takes {takes or 'no'} value{'' if takes == 1 else 's'}, but is "
            what += (
                "called with the result of the step before." if give is None else f"given {count}."
            )
            findings.add("wrong-arguments", what, path, "Add a parameter for it.")
        elif misfit.kind == "missing":
            what = f"{said} needs a value for {misfit.name!r}, and is given {count or 'none'}."
            findings.add("wrong-arguments", what, path, "Give it one: pipe(value).")


def _misfits(function: Any, count: int) -> list[Misfit]:
    if shape_of(function).is_class:
        return [*misfits(function, Call(0)), *misfits(function.__call__, Call(count), method=True)]
    return list(misfits(function, Call(count)))


def _verify_executor(name: str, function: Any, args: Mapping[str, Any], findings: Findings) -> None:
    executor = args.get("executor")
    if executor in ("thread", "process") and shape_of(function).is_async:
        what = (
            f"{args.get('function')}() is async, so it runs in the event loop, not in a {executor}."
        )
        findings.add("bad-option", what, ("nodes", name, "args", "executor"), "Remove !executor.")


def _verify_query(name: str, file: str, findings: Findings) -> None:
    try:
        find_file(file)
    except FileNotFoundError as error:
        findings.add("no-file", f"{error}.", ("nodes", name, "args", "file"), "Check the path.")


def _where(error: BaseException | None) -> str:
    """Return the line of the user's code that raised, if one did."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    theirs = [
        frame
        for frame in frames
        if "importlib" not in frame.filename and frame.filename not in _OURS
    ]
    return f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""
