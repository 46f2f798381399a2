"""Fetch many reports, as demos/reports does, on three workers of this machine.

python demos/cluster/many_reports.py [--seconds S] [SIZE]: one worker asks for reports, one fetches
and works on them, one sends them on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workers import Cluster, running

REPORTS = Path(__file__).parents[1] / "reports"

#: Where each step runs, and who comes first where processors are short.
PLACES = {
    "request": ("ask", 0),
    "status": ("ask", 0),
    "download": ("fetch", 1),
    "acos": ("fetch", 1),
    "upload": ("send", 2),
}

#: A batch goes on when all of it is done, so it holds few reports: each waits for the slowest.
BATCH = ("--batch", "20")


def main() -> None:
    """Start the service and the workers, run the program, and say what came of it."""
    sys.path.append(str(REPORTS))
    from measure import served

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("size", nargs="?", type=int, default=300, help="how many reports")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a report takes")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(Path(folder)) as cluster,
        served(options.seconds) as url,
    ):
        cluster.settings = {"REPORTS": str(options.size), "REPORTS_URL": url}
        for scope in ("ask", "fetch", "send"):
            cluster.start(scope)
        with running(cluster, REPORTS / "reports.pipe", *BATCH, *placed()) as run:
            out, _ = run.communicate()
        with urllib.request.urlopen(f"{url}/counts") as answer:
            counts = json.load(answer)
    print(*spoken(json.loads(out.splitlines()[-1]), counts), sep="\n")


def placed() -> Iterator[str]:
    """Yield the options that say where each step runs."""
    for node, (scope, priority) in PLACES.items():
        yield f"--set=nodes.{node}.properties.scope={scope}"
        yield f"--set=nodes.{node}.properties.priority={priority}"


def spoken(report: Mapping[str, Any], counts: Mapping[str, int]) -> Iterator[str]:
    """Yield the report in words."""
    for name, host in report["hosts"].items():
        nodes = ", ".join(host["nodes"])
        yield f"{host['scope'] or 'any':>8}: {name} runs {nodes}; {host['batches']:,} batches"
    sent = report["nodes"]["upload"]["passed_on"]
    yield f"{sent:,} reports sent in {report['seconds']:.0f} s: {counts['calls']:,} calls, " + (
        f"{counts['polls']:,} of them polls; {counts['at once']:,} reports waited for at once"
    )


if __name__ == "__main__":
    main()
