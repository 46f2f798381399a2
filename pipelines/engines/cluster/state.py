"""Leaves this process as it was before Ray came into it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.engines.cluster import tokens

__all__ = ["quiet", "with_environment"]

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
_TAKEN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # would win over an address that is given


@contextlib.contextmanager
def with_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Give Ray its settings in the environment while it starts, and put all back afterwards.

    Args:
        settings: of the token, as `tokens.found` returns them.
    """
    before = dict(os.environ)
    wanted = tokens.applied({**_QUIET, **before}, settings)
    _become({name: value for name, value in wanted.items() if name not in _TAKEN})
    try:
        _read_again()
        yield
    finally:
        _become(before)  # Ray sets some too


def _become(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _read_again() -> None:
    """Have Ray forget what it has read of the environment in an earlier connection."""
    from ray._raylet import AuthenticationTokenLoader, Config

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Ray's notes off the terminal, and our own handlers of signals in place.

    Of each process that dies Ray would tell on stdout, where the results of a program may go; so
    the thread that does so is given nothing to do.
    """
    from ray._private import worker

    logger, listen = logging.getLogger("ray"), worker.listen_error_messages
    level, handlers = logger.level, _handlers()
    logger.setLevel(logging.CRITICAL)
    worker.listen_error_messages = _listen_to_nothing
    try:
        yield
    finally:
        worker.listen_error_messages = listen
        logger.setLevel(level)
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _listen_to_nothing(*arguments: object) -> None:
    """Stand for what prints Ray's errors; of a host that is lost we tell ourselves."""


def _handlers() -> dict[signal.Signals, Any]:
    """Return the handlers of the signals that Ray takes; none off the main thread, nor can it."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
