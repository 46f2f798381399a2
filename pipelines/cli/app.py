"""The `plumber` command itself: which verbs there are, and where each one lives."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from pipelines.cli.exits import exits

__all__ = ["option", "plumber"]

#: Each verb is the module of the same name; its line of help stands here so that ``--help``
#: imports none of them.
VERBS = {
    "run": "Validate a graph, run it and drain it.",
    "validate": "Report every problem of graph files at once.",
    "graph": "Draw a graph, offline.",
    "convert": "Write a graph, whatever it is written in, as YAML or JSON.",
    "list": "List the registered steps with their arguments.",
    "schema": "Print the JSON Schema of the graph document.",
    "replay": "Send dead letters back to the node where they failed.",
    "serve": "Serve the editor, and programs, to draw, run and watch graphs.",
    "worker": "Be a node of a cluster, on which the nodes of graphs run.",
    "cluster": "Tell who serves which scope in a cluster, and what runs where.",
    "submit": "Send a graph to a cluster, to be run there.",
    "jobs": "List the jobs of a cluster.",
    "logs": "Print what a job has printed.",
    "stop": "Drain a job.",
    "completion": "Print the completion script for a shell.",
}

#: Verbs that stand in the module of another one.
TOGETHER = {"logs": ("jobs", "logs"), "stop": ("jobs", "stop")}


class Verbs(click.Group):
    """A group that imports a verb when it is used, and turns what a verb raises into an exit."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs, the most used first."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if cmd_name not in VERBS:
            return None
        module, name = TOGETHER.get(cmd_name, (cmd_name, "command"))
        command: click.Command = getattr(importlib.import_module(f"pipelines.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; for an unknown one, name the nearest."""
        verb = args[0]
        if verb not in VERBS and verb[:1].isalnum() and not ctx.resilient_parsing:
            from pipelines.registry import did_you_mean

            ctx.fail(f"there is no verb {verb!r}. {did_you_mean(verb, VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' lines of help without importing one."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, and leave with the exit code that its outcome means."""
        with exits(ctx):
            return super().invoke(ctx)


def option(*declarations: str, **attributes: Any) -> Callable[[Any], Any]:
    """Declare a flag that shows its ``PLUMBER_*`` twin in the help."""
    return click.option(*declarations, show_envvar=True, **attributes)


def _print_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("pipelines")
    except PackageNotFoundError:  # run from a checkout that was never installed
        found = "(not installed)"
    click.echo(f"plumber {found}")
    ctx.exit()


@click.group(
    cls=Verbs,
    subcommand_metavar="VERB [ARGUMENTS]...",
    context_settings={
        "auto_envvar_prefix": "PLUMBER",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog=(
        "Data goes to stdout, everything else to stderr. Exit codes: 0 done or drained, "
        "1 the run failed, 2 wrong usage, 3 dead letters under --strict, 78 the graph is invalid, "
        "130/143 a second signal forced a stop."
    ),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    allow_from_autoenv=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def plumber() -> None:
    """Build, check, draw and run processing pipelines.

    Every flag can also be given as an environment variable, named in the verb's --help:
    PLUMBER_RUN_LIMIT=10 is plumber run --limit 10.
    """
