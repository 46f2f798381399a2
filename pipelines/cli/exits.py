"""What each way to end means: a message on stderr and an exit code, decided here only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

__all__ = ["BAD_GRAPH", "BROKEN_PIPE", "DEAD_LETTERS", "FAILED", "complain", "exits", "stop"]

FAILED = 1
DEAD_LETTERS = 3
BAD_GRAPH = 78  # EX_CONFIG of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE, as for a program that the signal ends


def complain(message: str) -> None:
    """Print a message of this program to stderr."""
    click.echo(f"plumber: {message}", err=True)


def stop(message: str, code: int = FAILED) -> NoReturn:
    """Leave the program with a message on stderr and an exit code."""
    complain(message)
    raise click.exceptions.Exit(code)


@contextlib.contextmanager
def exits(ctx: click.Context) -> Iterator[None]:
    """Turn what leaves the block into a message and an exit of `ctx`, never a bare traceback."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone away can still be met calmly
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
    except BaseException as error:
        if _reader_left(error):
            _discard_stdout()
            ctx.exit(BROKEN_PIPE)
        from pipelines.cli.failures import explain

        ctx.exit(explain(error, full=bool(ctx.meta.get("pipelines.verbose"))))


def _reader_left(error: BaseException) -> bool:
    """Tell whether `error` means that nobody reads our stdout any more, as after ``| head``.

    A step that prints then fails like any other; but so does one whose own pipe or socket broke.
    """
    if isinstance(error, BrokenPipeError):
        return True
    return isinstance(error.__cause__, BrokenPipeError) and _stdout_has_no_reader()


def _stdout_has_no_reader() -> bool:
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll here, no stdout, or not a file
        return False


def _discard_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
