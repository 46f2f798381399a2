"""``plumber list``: the registered steps with their arguments."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from pipelines.cli.app import option

__all__ = ["command"]


@dataclass(frozen=True, slots=True)
class _Argument:
    name: str
    type: str
    default: str | None
    required: bool
    kind: str

    def __str__(self) -> str:
        stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(self.kind, "")
        typed = f": {self.type}" if self.type else ""
        default = "" if self.default is None else f"{' = ' if typed else '='}{self.default}"
        return f"{stars}{self.name}{typed}{default}"


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    doc: str
    arguments: list[_Argument] = field(default_factory=list)


@click.command()
@option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="PLUMBER_LIST_FORMAT",
)
def command(style: str) -> None:
    """List the registered steps: those that come with pipelines, and other packages' own.

    The name is what stands in a node's "func"; the arguments are those of the function, or of the
    class when it is constructed.
    """
    steps = list(_steps())
    if style == "json":
        click.echo(json.dumps([asdict(step) for step in steps], indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _table(steps)
    else:
        _lines(steps)


def _steps() -> Iterator[_Listed]:
    from pipelines.registry import steps

    for name in steps:
        try:
            target = steps.get(name)
        except Exception as error:  # another package's step must not hide the rest
            yield _Listed(name, f"(can't be imported: {error})")
            continue
        doc = (inspect.getdoc(target) or "").partition("\n")[0]
        yield _Listed(name, doc, list(_arguments(target)))


def _arguments(target: Any) -> Iterator[_Argument]:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # a builtin that tells nothing of its arguments
        return
    for parameter in signature.parameters.values():
        has_default = parameter.default is not parameter.empty
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        yield _Argument(
            parameter.name,
            _type(parameter.annotation),
            repr(parameter.default) if has_default else None,
            not has_default and not variable,
            parameter.kind.name,
        )


def _type(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _table(steps: Sequence[_Listed]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("step", "arguments", "does", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for step in steps:
        arguments = "\n".join(map(str, step.arguments))
        table.add_row(Text(step.name, style="bold"), Text(arguments, style="cyan"), Text(step.doc))
    Console(file=sys.stdout).print(table)


def _lines(steps: Sequence[_Listed]) -> None:
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        click.echo(f"{step.name:{width}}  {step.doc}".rstrip())
        if step.arguments:
            click.echo(f"{'':{width}}  ({', '.join(map(str, step.arguments))})")
