"""Where log records go while a graph runs."""

from __future__ import annotations

import logging

import click

__all__ = ["show_logs"]


class _Stderr(logging.Handler):
    """Writes to what stderr is at that moment: a live view takes its place for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def show_logs(*, verbose: int, quiet: bool) -> None:
    """Send log records to stderr: warnings; with `verbose` 1 also notes, with 2 everything."""
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = logging.ERROR if quiet else levels[min(verbose, 2)]
    logging.basicConfig(level=level, handlers=[handler])
    if not quiet:
        logging.getLogger("plumber").setLevel(min(level, logging.INFO))
