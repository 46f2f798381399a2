"""Run a demo as its README says, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DEMOS = ROOT / "demos"


@dataclass(frozen=True)
class Done:
    """What a demo printed, and how its run went."""

    stdout: str
    stderr: str
    report: dict[str, Any]

    def count(self, node: str, counter: str) -> int:
        """Return one counter of one node."""
        value: int = self.report["nodes"][node][counter]
        return value


def run_demo(name: str, **variables: str) -> Done:
    """Run a demo's graph file with some environment variables, and check that it ends well."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        graph = f"demos/{name}/graph.yaml"
        done = run_python("-m", "pipelines", "run", graph, "--report", str(report), **variables)
        return Done(done.stdout, done.stderr, json.loads(report.read_text()))


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the repository, with its packages; check that it ends well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
