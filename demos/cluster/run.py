"""Run a graph on three workers of this machine, and kill one of them on the way.

python demos/cluster/run.py [--readings N] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stations import BROKEN
from workers import Cluster, kill, running, runs_nodes, say

HERE = Path(__file__).parent


def main() -> None:
    """Start the workers, run the graph, kill one, and say what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--readings", type=int, default=40_000, help="how many")
    parser.add_argument("--json", action="store_true", help="print the report as JSON too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        ledger = Path(folder) / "ledger.txt"
        cluster.settings = {"READINGS": str(options.readings), "LEDGER": str(ledger)}
        cluster.start("report")
        importing = [cluster.start("import"), cluster.start("import")]
        with running(cluster, HERE / "graph.yaml", "--batch", "100") as run:
            wait_for_lines(ledger, options.readings // 2, run)
            if run.poll() is None:
                victim = next(filter(runs_nodes, importing))
                say(f"killing the worker with pid {victim.pid}, on which nodes run")
                kill(victim)
            out, _ = run.communicate()
        report = json.loads(out.splitlines()[-1])
        print(*out.splitlines()[:-1], sep="\n")
        print(*spoken(report), sep="\n")
        say(f"{missing(ledger, options.readings)} of the good readings are missing")
        if options.json:
            print(json.dumps(report))


def wait_for_lines(file: Path, count: int, run: subprocess.Popen[str]) -> None:
    """Wait until a file has so many lines."""
    while run.poll() is None and (not file.exists() or len(file.read_bytes().splitlines()) < count):
        time.sleep(0.02)


def missing(ledger: Path, readings: int) -> int:
    """Return how many of the readings that are no broken ones are not in the ledger, once each."""
    good = [number for number in range(readings) if number % BROKEN != BROKEN - 1]
    kept = [int(line.split()[0]) for line in ledger.read_text().splitlines()]
    return len(set(good) ^ set(kept)) + len(kept) - len(set(kept))


def spoken(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report: what each node counted, and what became of each process."""
    for name, node in report["nodes"].items():
        skipped = f", {node['skipped']:,} skipped" if node["skipped"] else ""
        yield f"{name:>10}: {node['received']:,} received, {node['passed_on']:,} passed on{skipped}"
    for name, host in report["hosts"].items():
        nodes = ", ".join(host["nodes"])
        yield (
            f"{name:>10}: {nodes} in {host['batches']:,} batches; "
            f"{host['restarts']} restarts, {host['resent']} batches made again"
        )


if __name__ == "__main__":
    main()
