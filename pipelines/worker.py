"""What a worker process does: enters a step and calls it with what comes over a socket."""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import traceback
from collections.abc import Callable
from time import perf_counter as clock
from typing import Any

from pipelines.errors import ExecutorError, describe, shorten
from pipelines.executor import Failure, Yielded, call_chunk, enter_step, exc_info
from pipelines.step import Step
from pipelines.wire import Server

__all__ = ["SIGNALS", "portable_error", "serve"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Outcomes that may bring an error.
_SPECIAL = frozenset({Failure, Yielded})


def serve(end: socket.socket) -> None:
    """Be a worker: enter the step, answer chunks, exit when told to or when the program is gone.

    Args:
        end: one of a pair of stream sockets; the first message is the step.
    """
    # Signals reach the whole group; the parent decides when its workers end.
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    server = Server(end)
    with contextlib.suppress(EOFError, ConnectionError):
        _work(server)


def _work(server: Server) -> None:
    stack = contextlib.ExitStack()
    payload = server.receive()
    try:
        step: Step = pickle.loads(payload)
        _, call = enter_step(step, stack)
    except Exception as error:
        server.send(pickle.dumps(_portable(Failure(error))))
        return
    server.send(pickle.dumps(None))
    ended_by = _answer_all(server, call, step.shape.yields)
    answer = None
    try:
        stack.__exit__(*exc_info(ended_by))
    except Exception as error:
        answer = _portable(Failure(error))
    server.send(pickle.dumps(answer))


def _answer_all(server: Server, call: Callable[[Any], Any], yields: bool) -> BaseException | None:
    """Answer chunks until told to exit; return the error that the run ended with."""
    outcomes: list[Any] = []
    seconds = 0.0
    while True:
        payload = server.receive()
        began = clock()
        request, content = _load_request(payload)
        if request == "exit":
            return content  # type: ignore[no-any-return]
        if request == "call":
            outcomes = call_chunk(call, content, yields)
            seconds = clock() - began  # the reading too, which may take longer than the calls
            server.send(_dump_outcomes(outcomes, seconds))
        elif request == "again":
            # Each by itself, as something in one of them can't be read in the program.
            pickled = [pickle.dumps(_portable(each)) for each in outcomes]
            server.send(pickle.dumps((pickled, seconds)))
        else:
            server.send(pickle.dumps(content))


def _load_request(payload: bytes) -> tuple[str, Any]:
    """Return what is asked for; ``bad``, and what is wrong, where it can't be read here."""
    try:
        return pickle.loads(payload)  # type: ignore[no-any-return]
    except Exception as error:
        return "bad", describe(error)


def _dump_outcomes(outcomes: list[Any], seconds: float) -> bytes:
    if not _SPECIAL.isdisjoint(map(type, outcomes)):
        outcomes = [_portable(each) if _has_failed(each) else each for each in outcomes]
    try:
        return pickle.dumps((outcomes, seconds), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:
        return pickle.dumps(([_portable(each) for each in outcomes], seconds))


def _has_failed(outcome: Any) -> bool:
    return type(outcome) in _SPECIAL and outcome.error is not None


def _pickled(value: object) -> object:
    return pickle.loads(pickle.dumps(value))


def portable_error(
    error: BaseException,
    place: str = "In the worker process",
    copy: Callable[[object], object] = _pickled,
) -> BaseException:
    """Return an error that survives the way back, or one that says the same, with its traceback.

    Args:
        error: what was raised.
        place: where that was, for the note that shows the traceback.
        copy: goes the way, and back.
    """
    frames = error.__traceback__
    text = "".join(traceback.format_tb(frames and frames.tb_next))
    if text:
        error.add_note(f"{place}:\n{text.rstrip()}")
    try:
        copy(error)
    except Exception:
        stand_in = ExecutorError(describe(error))
        stand_in.__notes__ = getattr(error, "__notes__", [])
        return stand_in
    return error


def _portable(outcome: Any) -> Any:
    """Return an outcome that survives the way back, or the failure that it does not."""
    if _has_failed(outcome):
        outcome.error = portable_error(outcome.error)
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception as error:
        return Failure(
            ExecutorError(
                f"result {shorten(outcome)} can't travel from a worker process: {describe(error)}"
            )
        )
    return outcome
