"""A run as Prometheus sees it: scraped over HTTP, parsed by its own parser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import DuplicateTimeseries
from running import graph, node
from running_demos import ROOT

from pipelines import PipelinesError, Plumber, StepError
from pipelines.errors import PipelinesError as Refused
from pipelines.frontends.generators import PipelineRuntimeDebugger, combine_pipeline
from pipelines.metrics import NodeCounts, Snapshot
from pipelines.reporters.prometheus import PrometheusReporter

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(url: str) -> Samples:
    """Return what Prometheus would get."""
    with urlopen(url) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return one value."""
    return samples[f"pipelines_{name}", tuple(sorted(labels.items()))]


class Held:
    """A graph whose sink waits at its third item, so that a run can be looked at."""

    def __init__(self) -> None:
        self.here, self.go_on = threading.Event(), threading.Event()
        self.count = 0

    def sink(self, item: int) -> int:
        """Wait at the third item."""
        self.count += 1
        if self.count == 3:
            self.here.set()
            self.go_on.wait(5)
        return item

    def document(self) -> dict[str, Any]:
        """Return the graph."""
        sink = node(self.sink, executor="thread", buffer_size=4, batch={"size": 1})
        return graph("s > t", s=node(range(10)), t=sink)


class Run:
    """A run in a thread, which is scraped in the middle."""

    def __init__(self, reporter: Any) -> None:
        self.held = Held()
        self.plumber = Plumber(self.held.document(), reporters=[reporter])
        self.thread = threading.Thread(target=self.plumber.run_sync)

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.held.here.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.held.go_on.set()
        self.thread.join()


def looked_at(reporter: PrometheusReporter, times: int = 2) -> None:
    """Wait until a reporter has looked at its run some times more."""
    seen = threading.Semaphore(0)
    update = reporter.update

    def and_tell(snapshot: Snapshot) -> None:
        update(snapshot)
        seen.release()

    reporter.update = and_tell  # type: ignore[method-assign]
    for _ in range(times):
        assert seen.acquire(timeout=5)


def test_a_run_is_scraped_over_http() -> None:
    """Its counters are there while it lasts, and nothing listens when it is over."""
    reporter = PrometheusReporter("daily", port=0, registry=CollectorRegistry(), interval=0.001)
    with Run(reporter):
        looked_at(reporter)
        url = reporter.url
        samples = scrape(url)
    assert url.startswith("http://127.0.0.1:")
    assert value(samples, "node_received_total", run="daily", node="t") == 3
    assert value(samples, "node_passed_on_total", run="daily", node="t") == 2
    assert value(samples, "node_in_flight", run="daily", node="t") == 1
    assert value(samples, "edge_items", run="daily", source="s", target="t") == 4
    assert value(samples, "edge_capacity", run="daily", source="s", target="t") == 4
    assert value(samples, "edge_dropped_total", run="daily", source="s", target="t") == 0
    assert value(samples, "node_state", run="daily", node="t", state="running") == 1
    assert value(samples, "node_state", run="daily", node="t", state="done") == 0
    assert value(samples, "node_busy_seconds_total", run="daily", node="t") > 0
    assert value(samples, "run_seconds", run="daily") > 0
    assert reporter.url == ""
    with pytest.raises(OSError, match="refused"):
        urlopen(url)


def test_counters_are_counters() -> None:
    """And gauges are gauges, each with a text that says what it is."""
    registry = CollectorRegistry()
    reporter = PrometheusReporter(registry=registry)
    reporter.start(Snapshot(1.0, {"a": NodeCounts()}, {}))
    kinds = {metric.name: metric.type for metric in registry.collect()}
    assert kinds["pipelines_node_received"] == "counter"
    assert kinds["pipelines_node_in_flight"] == "gauge"
    assert kinds["pipelines_edge_items"] == "gauge"
    assert all(metric.documentation.endswith(".") for metric in registry.collect())
    reporter.finish(Plumber(graph("s > t", s=node([1]), t=str)).run_sync())
    assert list(registry.collect()) == []


def test_it_shows_in_the_programs_own_registry() -> None:
    """By default, so that a program that serves it already has no more to do."""
    with Run(reporter := PrometheusReporter(interval=0.001)):
        looked_at(reporter)
        found = REGISTRY.get_sample_value(
            "pipelines_node_received_total", {"run": "run", "node": "t"}
        )
        with pytest.raises(DuplicateTimeseries):
            Counter("pipelines_node_received", "A name that is taken.")
    assert found == 3
    assert not REGISTRY.get_sample_value("pipelines_run_seconds", {"run": "run"})


def test_two_runs_at_once_do_not_collide() -> None:
    """The second gets a number, also with a reporter of the same name; each has its own values."""
    registry = CollectorRegistry()
    one, two = (PrometheusReporter("r", registry=registry, interval=0.001) for _ in "12")
    with Run(one):
        with Run(two):
            looked_at(two)
            assert (one.run, two.run) == ("r", "r#2")
            runs = {sample.labels["run"] for m in registry.collect() for sample in m.samples}
            assert runs == {"r", "r#2"}
        assert registry.get_sample_value("pipelines_run_seconds", {"run": "r#2"}) is None
        assert registry.get_sample_value("pipelines_run_seconds", {"run": "r"})
    assert list(registry.collect()) == []


def test_one_after_the_other() -> None:
    """A reporter can be used again, under the same name."""
    registry = CollectorRegistry()
    reporter = PrometheusReporter(registry=registry, port=0)
    for _ in range(2):
        Plumber(graph("s > t", s=node([1]), t=str), reporters=[reporter]).run_sync()
        assert reporter.run == "run"


def test_a_run_that_fails_leaves_nothing_behind() -> None:
    """Neither metrics nor a server."""
    registry = CollectorRegistry()
    document = graph("s > t", s=node([0]), t=lambda item: 1 // item)
    with pytest.raises(StepError):
        Plumber(document, reporters=[PrometheusReporter(registry=registry, port=0)]).run_sync()
    assert list(registry.collect()) == []


def test_a_port_that_is_taken_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on without it, and the other's metrics stay."""
    registry = CollectorRegistry()
    first = PrometheusReporter(port=0, registry=registry)
    first.start(Snapshot(0.0, {}, {}))
    port = int(first.url.split(":")[2].partition("/")[0])
    second = PrometheusReporter(port=port, registry=registry)
    with pytest.raises(Refused, match=f"can't serve metrics at 127.0.0.1:{port}: Address"):
        second.start(Snapshot(0.0, {}, {}))
    report = Plumber(graph("s > t", s=node([1]), t=str), reporters=[second]).run_sync()
    assert "can't serve metrics" in caplog.text
    assert registry.get_sample_value("pipelines_run_seconds", {"run": "run"}) == 0
    first.finish(report)


def test_a_generator_pipeline_is_scraped_too() -> None:
    """With a debugger, and with the CPU that each step uses."""
    registry = CollectorRegistry()
    reporter = PrometheusReporter("chain", port=0, registry=registry, interval=0.0)

    def same(items: Iterator[int]) -> Iterator[int]:
        yield from items

    pipeline = combine_pipeline(range(50), [same], PipelineRuntimeDebugger([reporter]))
    for _ in range(20):
        next(pipeline)
    samples = scrape(reporter.url)
    assert value(samples, "node_emitted_total", run="chain", node="same") == 19
    assert ("pipelines_node_cpu_seconds_total", "user") in {
        (name, dict(labels).get("mode")) for name, labels in samples
    }
    pipeline.close()
    assert list(registry.collect()) == []


def test_without_the_extra_it_says_what_to_install() -> None:
    """At once, and nothing else of the package needs it."""
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from pipelines.reporters.prometheus import PrometheusReporter\n"
        "try: PrometheusReporter()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(PipelinesError.__name__)
    assert "pip install 'pipelines[prometheus]'" in done.stdout


def test_the_command_line_serves_metrics(tmp_path: Path) -> None:
    """``plumber run --prometheus`` names the run after its file, as a step that scrapes sees it."""
    (tmp_path / "scraper.py").write_text(SCRAPER)
    (tmp_path / "nightly.yaml").write_text(
        "nodes: {n: {func: 'scraper:once'}, look: {func: 'scraper:look'}}\ngraph: {n: [look]}\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "-q", "--prometheus", str(port), "nightly.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert 'pipelines_node_received_total{node="look",run="nightly"}' in done.stdout


SCRAPER = """
import asyncio, os
from urllib.request import urlopen

def once():
    return [f"http://127.0.0.1:{os.environ['PORT']}/metrics"]

def fetch(url):
    with urlopen(url) as answer:
        return answer.read().decode()

async def look(url):
    print(await asyncio.to_thread(fetch, url))
"""
