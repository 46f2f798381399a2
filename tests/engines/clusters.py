"""Real clusters on loopback: each node is a process of its own, and is ended by its own id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent

__all__ = ["ClusterOfNodes", "NodeProcess", "free_of_ray", "running_cluster", "script"]


def free_of_ray(home: Path) -> dict[str, str]:
    """Return an environment that names no token, and in whose home there is none."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PLUMBER_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def script(text: str, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a text of Python in a process of its own, in which warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", text, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@dataclass
class NodeProcess:
    """A `plumber worker`, and what it has said on stderr."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def await_line(self, part: str) -> str:
        """Return the next line on stderr with `part` in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if part in line:
                return line
        raise AssertionError(f"the node has ended: {''.join(self.said)}")

    def hosts(self) -> int:
        """Return how many processes of graphs it runs now."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return sum("HostActor" in each.name() for each in family)

    def kill(self) -> None:
        """End all processes of the node with SIGKILL, as a machine that breaks does."""
        mine = [*psutil.Process(self.process.pid).children(recursive=True)]
        for each in [psutil.Process(self.process.pid), *mine]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(mine, timeout=10)
        self.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the node to end, wait until it has, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        drained = threading.Thread(target=self._drain)
        drained.start()
        code = self.process.wait()
        drained.join()
        self.close()
        return code

    def _drain(self) -> None:
        assert self.process.stderr is not None
        self.said += self.process.stderr

    def close(self) -> None:
        """Close what it wrote to."""
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@dataclass
class ClusterOfNodes:
    """A cluster.

    Attributes:
        folder: of its token and of the home of its nodes.
        address: `host:port` of the first node.
        jobs: where it takes jobs, as `http://host:port`.
    """

    folder: Path
    address: str = ""
    jobs: str = ""
    nodes: list[NodeProcess] = field(default_factory=list)

    @property
    def token_file(self) -> str:
        """Where its token is."""
        return str(self.folder / "token")

    @property
    def env(self) -> dict[str, str]:
        """An environment in which its token is found."""
        return {**free_of_ray(self.folder), "RAY_AUTH_TOKEN_PATH": self.token_file}

    def add(self, *arguments: str) -> NodeProcess:
        """Start a node with these flags of `plumber worker`, and wait until it is there."""
        words = [sys.executable, "-m", "pipelines", "worker", "--token-file", self.token_file]
        process = subprocess.Popen(
            [*words, "--cpus", "1", *arguments, "--", "--object-store-memory=80000000"],
            env=free_of_ray(self.folder),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        node = NodeProcess(process)
        self.nodes.append(node)
        node.await_line("node of the cluster")
        return node

    def join(self, scopes: Sequence[str]) -> NodeProcess:
        """Add a worker that serves these scopes."""
        return self.add("--address", self.address, "--scopes", ",".join(scopes))


@contextlib.contextmanager
def running_cluster(folder: Path, *workers: Sequence[str]) -> Iterator[ClusterOfNodes]:
    """Run a cluster: the first node serves the first scopes, and so on.

    Args:
        folder: an empty one.
        workers: the scopes of each.
    """
    cluster = ClusterOfNodes(folder)
    first, *others = workers or [[]]
    scopes = ["--scopes", ",".join(first)] if first else []
    try:
        head = cluster.add("--head", "--port", "0", "--jobs-port", "0", *scopes)
        assert head.process.stdout is not None
        cluster.address = head.process.stdout.readline().strip()
        cluster.jobs = head.await_line("jobs are taken at").split()[-1]
        for each in others:
            cluster.join(each)
        yield cluster
    finally:
        for node in reversed(cluster.nodes):
            if not node.process.stderr or not node.process.stderr.closed:
                node.stop()
        if cluster.jobs:
            files = Path(tempfile.gettempdir(), f"ray-{cluster.jobs.rpartition(':')[2]}")
            shutil.rmtree(files, ignore_errors=True)
