"""A run as metrics that Prometheus scrapes; wants the extra ``prometheus``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Final, get_args
from weakref import WeakKeyDictionary

from pipelines.errors import PipelinesError
from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot, State
from pipelines.reporters.records import MeasuredCounts

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry, Metric

__all__ = ["PrometheusReporter"]

logger = logging.getLogger(__name__)

_NODE_COUNTERS: Final[Mapping[str, str]] = {
    "received": "Items taken from the inbound edges.",
    "passed_on": "Items whose result went on.",
    "skipped": "Items that were skipped.",
    "dead_lettered": "Items whose dead letter was written.",
    "failed": "Items whose failure ended the run.",
    "retried": "How often an item was tried again.",
    "dropped": "Rows that a join gave up, and items that a full edge gave up.",
    "emitted": "Values sent on.",
    "errors": "Failures that were tolerated.",
}
_NODE_SECONDS: Final[Mapping[str, str]] = {
    "busy": "Seconds at work.",
    "starved": "Seconds with room for more work and no item.",
    "blocked": "Seconds with work to send and no room.",
}


class PrometheusReporter:
    """Shows a run's counters to Prometheus while it lasts.

    All metrics begin with ``pipelines_``. Those of a node have the labels ``run`` and ``node``,
    those of an edge ``run``, ``source`` and ``target``. When the run has ended they are gone.

    Args:
        run: the label's value; a run that is on at the same time and has taken it makes this one
            ``run#2``, and so on.
        port: serve the metrics there; 0 takes a free one. By default nothing is served, for a
            program that serves its registry already.
        addr: the address to serve at, by default to this machine alone.
        registry: by default the one of `prometheus_client`.
        interval: seconds between two looks at the run; a scrape sees the last one.

    Attributes:
        run: the label's value of the run that is on.
        url: where the metrics are, while they are served.

    Raises:
        PipelinesError: the extra is not installed.
    """

    def __init__(
        self,
        run: str = "run",
        *,
        port: int | None = None,
        addr: str = "127.0.0.1",
        registry: CollectorRegistry | None = None,
        interval: float = 1.0,
    ) -> None:
        self.run = run
        self.interval = interval
        self.url = ""
        self._name = run
        self._port = port
        self._addr = addr
        self._registry = _default() if registry is None else registry
        self._is_shown = False
        self._server: tuple[WSGIServer, threading.Thread] | None = None

    def start(self, snapshot: Snapshot) -> None:
        """Show the run, and begin to serve if that is asked for.

        Raises:
            PipelinesError: the port can't be had.
        """
        if self._port is not None:
            self._serve(self._port)
        self.run = _show(self._registry, self._name, snapshot)
        self._is_shown = True

    def update(self, snapshot: Snapshot) -> None:
        """Show how it goes."""
        _shown[self._registry].snapshots[self.run] = snapshot

    def finish(self, report: RunReport) -> None:
        """Take the run away, and stop serving."""
        if self._is_shown:
            _hide(self._registry, self.run)
        self._is_shown = False
        server, self._server = self._server, None
        if server is not None:
            self.url = ""
            server[0].shutdown()
            server[0].server_close()
            server[1].join()

    def _serve(self, port: int) -> None:
        from prometheus_client import start_http_server

        try:
            self._server = start_http_server(port, self._addr, self._registry)
        except OSError as error:
            where = f"{self._addr}:{port}"
            raise PipelinesError(f"can't serve metrics at {where}: {error.strerror}") from error
        self.url = f"http://{self._addr}:{self._server[0].server_port}/metrics"
        logger.info("metrics are at %s", self.url)


class _Runs:
    """The collector of a registry: all runs that it shows, each metric with the values of all."""

    def __init__(self) -> None:
        self.snapshots: dict[str, Snapshot] = {}

    def describe(self) -> Iterator[Metric]:
        """Give the metrics without their values, so that nobody else takes their names."""
        return _metrics({})

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of all runs."""
        return _metrics(dict(self.snapshots))


_shown: WeakKeyDictionary[CollectorRegistry, _Runs] = WeakKeyDictionary()
_lock = threading.Lock()


def _show(registry: CollectorRegistry, name: str, snapshot: Snapshot) -> str:
    """Show one more run, under a name that no other has; return that."""
    with _lock:
        if registry not in _shown:
            registry.register(runs := _Runs())
            _shown[registry] = runs
        snapshots = _shown[registry].snapshots
        unique, number = name, 2
        while unique in snapshots:
            unique, number = f"{name}#{number}", number + 1
        snapshots[unique] = snapshot
        return unique


def _hide(registry: CollectorRegistry, name: str) -> None:
    """Show a run no longer; harmless if it is not shown."""
    with _lock:
        runs = _shown.get(registry)
        if runs is not None:
            runs.snapshots.pop(name, None)
            if not runs.snapshots:
                registry.unregister(runs)
                del _shown[registry]


def _metrics(runs: Mapping[str, Snapshot]) -> Iterator[Metric]:
    yield _gauge("run_seconds", "Seconds since the start.", ["run"], _of_runs(runs))
    for name, text in _NODE_COUNTERS.items():
        yield _counter(f"node_{name}", text, _NODE, _of_nodes(runs, attrgetter(name)))
    for name, text in _NODE_SECONDS.items():
        yield _counter(f"node_{name}_seconds", text, _NODE, _of_nodes(runs, attrgetter(name)))
    in_flight = _of_nodes(runs, attrgetter("in_flight"))
    yield _gauge("node_in_flight", "Items under way, or to be tried again.", _NODE, in_flight)
    yield _gauge("node_state", "1 for the state that it is in.", [*_NODE, "state"], _states(runs))
    yield _counter("node_cpu_seconds", _CPU, [*_NODE, "mode"], _cpu(runs))
    for name, metric, text in _EDGE_GAUGES:
        yield _gauge(metric, text, _EDGE, _of_edges(runs, attrgetter(name)))
    dropped = _of_edges(runs, attrgetter("dropped"))
    yield _counter("edge_dropped", "Items that the queue gave up.", _EDGE, dropped)


_NODE: Final = ["run", "node"]
_EDGE: Final = ["run", "source", "target"]
_CPU: Final = "CPU seconds of a step of a generator pipeline with a debugger."
_EDGE_GAUGES: Final = (
    ("size", "edge_items", "Items that lie in the queue."),
    ("maxsize", "edge_capacity", "Items that the queue can hold."),
)

#: One value with its labels.
_Sample = tuple[list[str], float]


def _counter(name: str, text: str, labels: list[str], samples: Iterable[_Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    metric = CounterMetricFamily(f"pipelines_{name}", text, labels=labels)
    for values, value in samples:
        metric.add_metric(values, value)
    return metric


def _gauge(name: str, text: str, labels: list[str], samples: Iterable[_Sample]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(f"pipelines_{name}", text, labels=labels)
    for values, value in samples:
        metric.add_metric(values, value)
    return metric


def _of_runs(runs: Mapping[str, Snapshot]) -> Iterator[_Sample]:
    for run, snapshot in runs.items():
        yield [run], snapshot.seconds


def _of_nodes(
    runs: Mapping[str, Snapshot], get: Callable[[NodeCounts], float]
) -> Iterator[_Sample]:
    for run, snapshot in runs.items():
        for name, node in snapshot.nodes.items():
            yield [run, name], get(node)


def _of_edges(
    runs: Mapping[str, Snapshot], get: Callable[[EdgeCounts], float]
) -> Iterator[_Sample]:
    for run, snapshot in runs.items():
        for (source, target), edge in snapshot.edges.items():
            yield [run, source, target], get(edge)


def _states(runs: Mapping[str, Snapshot]) -> Iterator[_Sample]:
    for run, snapshot in runs.items():
        for name, node in snapshot.nodes.items():
            for state in get_args(State):
                yield [run, name, state], float(node.state == state)


def _cpu(runs: Mapping[str, Snapshot]) -> Iterator[_Sample]:
    for run, snapshot in runs.items():
        for name, node in snapshot.nodes.items():
            if isinstance(node, MeasuredCounts):
                yield [run, name, "user"], node.usage.utime
                yield [run, name, "system"], node.usage.stime


def _default() -> CollectorRegistry:
    try:
        from prometheus_client import REGISTRY
    except ModuleNotFoundError as error:
        raise PipelinesError(
            "the Prometheus reporter needs the extra: pip install 'pipelines[prometheus]'"
        ) from error
    return REGISTRY
