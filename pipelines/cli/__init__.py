"""The command line, `plumber`: one module a verb, each imported when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line on `arguments` (default: the process's own) and exit."""
    from pipelines.cli.app import plumber

    plumber.main(arguments, prog_name="plumber")
    raise AssertionError("click's main always exits")
