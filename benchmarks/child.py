"""One measurement, in a process of its own: ``python -m benchmarks.child '{"module": …}'``.

Every side is measured in the same way: on one processor unless the workload is meant for several,
after a small run to warm up, with the garbage collector on but what was there before left out of
its sight. The answer is one line of JSON: the result, the seconds (or what the side measured for
itself), and by how many megabytes memory rose above the start at its peak.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Figure

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def main(text: str) -> None:
    """Measure what the JSON text says, and print the answer."""
    job = json.loads(text)
    if job["cores"] == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.stdout.write(f"\n{json.dumps(_answer(job))}\n")


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(f"benchmarks.sides.{job['module']}")
    call = getattr(module, job["call"])
    if job["warm"]:
        call(job["warm"], **job["params"])
    gc.collect()
    gc.freeze()
    peak = _Peak()
    values: list[float] = []
    result: Any = None
    began = time.perf_counter()
    while not values or (len(values) < job["times"] and time.perf_counter() - began < job["spend"]):
        result, value = _timed(lambda: call(job["items"], **job["params"]))
        values.append(value)
    return {
        "result": result,
        "value": statistics.median(values),
        "megabytes": peak.megabytes(),
    }


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return a call's result, and its seconds, or the figure that it measured by itself."""
    began = time.perf_counter()
    result = call()
    taken = time.perf_counter() - began
    return (result.result, result.value) if isinstance(result, Figure) else (result, taken)


class _Peak:
    """By how much the memory of this process rises above where it stands now."""

    def __init__(self) -> None:
        if _CLEAR.exists():
            _CLEAR.write_text("5")  # the kernel's peak is from now on
            self._before = self._kilobytes("VmRSS")

    def megabytes(self) -> float | None:
        """Return the peak so far above the start; `None` where the system does not tell."""
        return (self._kilobytes("VmHWM") - self._before) / 1024 if _CLEAR.exists() else None

    def _kilobytes(self, key: str) -> int:
        lines = _STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])


if __name__ == "__main__":
    main(sys.argv[1])
