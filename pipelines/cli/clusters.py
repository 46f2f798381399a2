"""Flags of the verbs that ask a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pipelines.cli.app import option

__all__ = ["jobs_address", "token_file"]


Command = TypeVar("Command", bound=Callable[..., Any])


def jobs_address(command: Command) -> Command:
    """Give a command the flag that says where jobs are taken."""
    flag = option(
        "--address",
        metavar="ADDRESS",
        default="http://127.0.0.1:8265",
        show_default=True,
        help="Where the cluster takes jobs, as http://host:port; or host:port of its first node.",
    )
    flagged: Command = flag(command)
    return flagged


def token_file(command: Command) -> Command:
    """Give a command the flag that names the file with the cluster's token."""
    flag = option(
        "--token-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Where the cluster's token is.  [default: what RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH "
        "say, or ~/.ray/auth_token]",
    )
    flagged: Command = flag(command)
    return flagged
