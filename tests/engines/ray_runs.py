"""A Ray cluster that the tests of a module share, and runs on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from pipelines import Plumber
from pipelines.engines.cluster.joining import Cluster, connect
from pipelines.engines.ray import RayEngine

__all__ = ["cluster", "counters", "kill", "on_ray", "pid_of"]

SCOPES = ("a", "b", "c")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Run a cluster in this process for the tests of a module; engines without address use it."""
    found = asyncio.run(connect(scopes=SCOPES))
    warm = {"nodes": {"s": {"func": range(3)}, "n": {"func": "math:sqrt"}}, "graph": {"s": ["n"]}}
    on_ray(warm).run_sync()  # opens what it keeps open
    yield found
    asyncio.run(found.close())


def on_ray(graph: dict[str, Any], env_vars: Any = None, **options: Any) -> Plumber:
    """Return a Plumber on Ray."""
    return Plumber(graph, env_vars=env_vars, engine=RayEngine(**{"batch": 100, **options}))


def counters(plumber: Plumber) -> dict[str, tuple[int, ...]]:
    """Return what a run has counted of each node, all but times."""
    assert plumber.report is not None
    return {
        name: (
            node.received,
            node.passed_on,
            node.skipped,
            node.dead_lettered,
            node.failed,
            node.retried,
            node.dropped,
            node.emitted,
        )
        for name, node in plumber.report.nodes.items()
    }


def pid_of(plumber: Plumber, host: str) -> int:
    """Return the process of a host."""
    place = plumber.snapshot().hosts[host].place
    found = re.search(r"pid (\d+)", place)
    assert found is not None, place
    return int(found[1])


def kill(plumber: Plumber, host: str) -> None:
    """Kill the process of a host, as the kernel would that is short of memory."""
    psutil.Process(pid_of(plumber, host)).kill()
