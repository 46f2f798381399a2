"""The log of a run: when each step began and ended, and what failed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from pipelines.errors import StepError, describe, say
from pipelines.metrics import NodeCounts
from pipelines.plumber import Plumber
from pipelines.schedule import clock

__all__ = ["LOGGER", "Progress"]

#: The logger's name; each step has a child of it with its own.
LOGGER = "pipelines.frontends.chain"


class Progress:
    """Logs what happens to the steps of one run.

    Args:
        plumber: runs it.
        names: the nodes to log of.
        single: those that give one result at most, and are done with it.
    """

    def __init__(self, plumber: Plumber, names: Iterable[str], single: Collection[str]) -> None:
        self._plumber = plumber
        self._spec = plumber.spec
        self._single = single
        self._results = dict.fromkeys(names, 0)
        self._began: dict[str, float] = {}
        self._given: set[str] = set()
        self._done: set[str] = set()
        self._waiting: dict[str, set[str]] = {
            name: {edge.source for edge in self._spec.inbound(name)} & self._results.keys()
            for name in self._results
        }

    def begin(self) -> None:
        """Log that the first steps begin."""
        for name, before in self._waiting.items():
            if not before:
                self._begin(name)

    def result(self, name: str) -> None:
        """Be told of a result: those behind it begin once they have one from each side."""
        self._results[name] += 1
        self._first_result(name)

    def _first_result(self, name: str) -> None:
        if name in self._given:
            return
        self._given.add(name)
        if name in self._single:
            for edge in self._spec.inbound(name):  # those that have given theirs, but not told yet
                if edge.source in self._results:
                    self._first_result(edge.source)
            self.end(name)
        for edge in self._spec.outbound(name):
            waiting = self._waiting.get(edge.target)
            if waiting is not None:
                waiting.discard(name)
                if not waiting or not self._spec.properties(edge.target).aggregate_inputs:
                    self._begin(edge.target)

    def end(self, name: str) -> None:
        """Log how a step ended that did not end the run."""
        if name in self._done:
            return
        self._done.add(name)
        counts = self._plumber[name].counts()
        if not counts.received:
            _logger(name).info("did not run: nothing reached it")
            return
        self._begin(name)
        failed = counts.errors - counts.retried
        level = logging.WARNING if failed else logging.INFO
        _logger(name).log(level, "%s", self._how(name, counts, failed))

    def _how(self, name: str, counts: NodeCounts, failed: int) -> str:
        said = f"done in {clock() - self._began[name]:.3f} s"
        if name not in self._single:
            said += f", {self._results[name]:,} results"
        if counts.retried:
            said += f", {counts.retried:,} retried"
        if failed:
            said += f", {failed:,} failed and left out, the last one with {counts.last_error}"
        return said

    def fail(self, error: Exception) -> None:
        """Log what ended the run."""
        if isinstance(error, StepError) and error.node in self._results:
            tries = f" (attempt {error.attempt})" if error.attempt > 1 else ""
            _logger(error.node).error("failed%s: %s", tries, say(error.cause))
        else:
            logging.getLogger(LOGGER).error("failed: %s", describe(error))

    def _begin(self, name: str) -> None:
        if name not in self._began:
            self._began[name] = clock()
            _logger(name).info("began")


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(f"{LOGGER}.{name}")
