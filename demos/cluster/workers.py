"""Workers on this machine, as `plumber worker` starts them, and runs on them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

PLUMBER = [sys.executable, "-m", "pipelines"]

_DEPTH = 5  # of a worker's processes, which ps lists in any order


class Cluster:
    """Workers on this machine; each is a `plumber worker`, and ends with this script.

    Args:
        folder: for the cluster's token.

    Attributes:
        address: of the first one, to which all others and runs come.
        settings: more of the environment of workers and runs.
    """

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self.settings: dict[str, str] = {}
        self._token = folder / "token"
        self._workers: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What whoever goes there needs in the environment."""
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._token)}
        return {**os.environ, **own, **self.settings}

    def start(self, scopes: str) -> subprocess.Popen[str]:
        """Start a worker for some scopes, and wait until it is there; the first one is the head."""
        where = ["--address", self.address] if self.address else ["--head", "--port", "0"]
        jobs = [] if self.address else ["--jobs-port", "0"]
        command = [*PLUMBER, "worker", *where, *jobs, "--scopes", scopes]
        worker = subprocess.Popen(
            [*command, "--token-file", str(self._token)],
            env={**os.environ, **self.settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._workers.append(worker)
        assert worker.stdout
        assert worker.stderr
        said = worker.stderr.readline()  # that it is there
        if "node of the cluster" not in said:
            raise SystemExit(said + worker.stderr.read())
        if not self.address:
            self.address = worker.stdout.readline().strip()
        say(f"a worker serves {scopes!r}, pid {worker.pid}")
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """End the workers, the head last."""
        for worker in reversed(self._workers):
            worker.send_signal(signal.SIGINT)
            worker.communicate()


@contextlib.contextmanager
def running(cluster: Cluster, graph: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a graph there: what anybody would type, and the report as JSON."""
    command = [*PLUMBER, "run", str(graph), "--engine", "ray", "--address", cluster.address]
    command += ["--json", "--quiet", *options]
    with subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, text=True
    ) as run:
        yield run
    if run.returncode:
        raise SystemExit(run.returncode)


def kill(worker: subprocess.Popen[str]) -> None:
    """Kill a worker with all its processes at once, as when a machine goes away."""
    for pid in tree(worker.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def runs_nodes(worker: subprocess.Popen[str]) -> bool:
    """Tell whether nodes of a graph run on a worker: Ray spreads them as it likes."""
    return any("HostActor" in words for words in tree(worker.pid).values())


def tree(pid: int) -> dict[int, str]:
    """Return a process and all that came of it, each with its command line."""
    columns = ["pid", "ppid", "args"]
    command = ["ps", "-A", *(word for name in columns for word in ("-o", f"{name}="))]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {pid: ""}
    for line in listed.splitlines() * _DEPTH:
        child, parent, *words = line.split(maxsplit=2)
        if int(parent) in found:
            found[int(child)] = " ".join(words)
    return found


def say(words: str) -> None:
    """Print a line at once."""
    print(words, flush=True)
