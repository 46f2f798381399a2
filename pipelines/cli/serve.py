"""``plumber serve``: the live server and editor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipelines.cli.app import option
from pipelines.cli.exits import FAILED, stop
from pipelines.server.limits import Limits, flag_of

if TYPE_CHECKING:
    from pipelines.server.app import Server

__all__ = ["command"]

_PREFIX = "limit_"
_MAY_BE_NONE = ("threads", "processes")

Command = TypeVar("Command", bound=Callable[..., Any])


def _limits(command: Command) -> Command:
    """Give a command a flag for each limit."""
    for each, what in reversed(list(Limits().described())):
        least = 0 if each.name in _MAY_BE_NONE else 1
        kind = click.IntRange(least) if isinstance(each.default, int) else click.FloatRange(0.1)
        name = _PREFIX + each.name
        flag = option(
            flag_of(each.name),
            name,
            type=kind,
            default=each.default,
            show_default=True,
            envvar=f"PLUMBER_SERVE_{name.upper()}",
            metavar="N",
            help=f"{what[0].upper()}{what[1:]}.",
        )
        command = flag(command)
    return command


@click.command()
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port to listen on; 0 takes any that is free.",
)
@option(
    "--allow",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    envvar="PLUMBER_SERVE_ALLOW",
    help="Offer the registered steps of that name, or module:name; wildcards are allowed. "
    "'samples' is some steps that do no harm, which are offered without this flag. Repeatable.",
)
@option(
    "--token",
    metavar="TEXT",
    help="What clients must show; by default a new one each time. Better in the environment than "
    "on the command line, which others can read.",
)
@option("--no-token", is_flag=True, help="Ask nobody for a token; on this machine only.")
@option(
    "--open",
    "open_seed",
    is_flag=True,
    envvar="PLUMBER_SERVE_OPEN",
    help="Ask programs that use the simple protocol for no token; on this machine only.",
)
@option(
    "--allow-host",
    "names",
    metavar="NAME",
    multiple=True,
    envvar="PLUMBER_SERVE_ALLOW_HOST",
    help="Another name by which people address the server, such as that of a proxy. Repeatable.",
)
@option("-v", "--verbose", count=True, help="Log more; -vv: everything.")
@_limits
@click.pass_context
def command(
    ctx: click.Context,
    /,
    host: str,
    port: int,
    patterns: tuple[str, ...],
    token: str | None,
    no_token: bool,
    open_seed: bool,
    names: tuple[str, ...],
    verbose: int,
    **limits: Any,
) -> None:
    """Serve the editor, in which to draw, run and watch graphs, and the same for programs.

    Prints the link to open. Whoever has it can run every step that is offered, in this process: see
    the wiki page Security. Steps are imported from the current folder and from what is installed.
    Ctrl-C or SIGTERM ends all runs, and the server.
    """
    from pipelines.cli.logs import show_logs
    from pipelines.cli.sources import importable

    ctx.meta["pipelines.verbose"] = verbose
    show_logs(verbose=verbose, quiet=False)
    if no_token and token:
        raise click.UsageError("--token and --no-token exclude each other")
    if token == "":
        raise click.UsageError("an empty --token is none; say --no-token if you mean that")
    with importable("-"):
        server = _server(
            patterns,
            host=host,
            port=port,
            token="" if no_token else token,
            open_seed=open_seed,
            names=names,
            limits=Limits(**{name.removeprefix(_PREFIX): n for name, n in limits.items()}),
        )
        asyncio.run(server.serve(_announce))


def _server(patterns: tuple[str, ...], **options: Any) -> Server:
    """Make the server; what can't be had is wrong usage."""
    from pipelines.errors import ServerError

    try:
        from pipelines.server.app import Server
        from pipelines.server.offer import DEFAULT, Offer
    except ServerError as error:
        stop(str(error), FAILED)
    try:
        return Server(Offer.allowing(patterns or DEFAULT), **options)
    except ServerError as error:
        raise click.UsageError(str(error)) from None


def _announce(server: Server) -> None:
    click.echo(f"plumber: the editor is at {server.link}")
