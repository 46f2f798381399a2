"""Measure how long many reports take, with how many calls and how much memory.

python demos/reports/measure.py [--seconds S] [--pending N] SIZE...: each size is a run of its own,
in a process of its own, against a new server, which is another one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    """Measure each size, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[300], metavar="SIZE")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a report takes")
    parser.add_argument("--pending", type=int, help="reports that may be waited for at once")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each size")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure_here(options.pending)))
        return
    for size in options.sizes:
        found = measure(size, options.seconds, options.pending)
        print(json.dumps(found) if options.json else spoken(found), flush=True)


def measure(size: int, seconds: float, pending: int | None) -> dict[str, Any]:
    """Run the program for so many reports, in a process of its own, and return the figures."""
    with served(seconds) as url:
        command = [sys.executable, __file__, "--alone"]
        command += [] if pending is None else ["--pending", str(pending)]
        env = {**os.environ, "REPORTS": str(size), "REPORTS_URL": url}
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
        with urllib.request.urlopen(f"{url}/counts") as answer:
            counts = json.load(answer)
    return {"reports": size, **json.loads(done.stdout), **counts}


@contextlib.contextmanager
def served(seconds: float) -> Iterator[str]:
    """Run the server in a process of its own; yield its URL."""
    command = [sys.executable, str(HERE / "server.py"), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)


def measure_here(pending: int | None) -> dict[str, Any]:
    """Run the program in this process."""
    from pipelines import Plumber
    from pipelines.frontends import pipelang

    limit = [] if pending is None else [f"nodes.status.properties.waiting_limit={pending}"]
    plumber = Plumber(pipelang.examine(HERE / "reports.pipe", overrides=limit))
    before = memory("VmRSS")
    report = plumber.run_sync()
    return {
        "uploaded": report.nodes["upload"].passed_on,
        "run": round(report.seconds, 1),
        "started at": before,
        "peak": memory("VmHWM"),
    }


def memory(name: str) -> float:
    """Return a figure of this process's memory, in MB; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return round(int(found[0]) / 1024, 1) if found else 0.0


def spoken(found: dict[str, Any]) -> str:
    """Return the figures in words."""
    growth = found["peak"] - found["started at"]
    return (
        f"{found['reports']:,} reports in {found['run']} s: {found['calls']:,} calls "
        f"({found['calls'] / found['run']:,.0f}/s), {found['polls']:,} of them polls; "
        f"{found['at once']:,} waited for at once; "
        f"{found['peak']} MB at most, {growth:.1f} MB over the start"
    )


if __name__ == "__main__":
    main()
