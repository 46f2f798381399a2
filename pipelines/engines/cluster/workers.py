"""A node of a cluster, for as long as the process that wants it: Ray's own ``ray start``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.engines.cluster import addresses, tokens
from pipelines.engines.cluster.joining import HEALTH
from pipelines.engines.cluster.loopback import ADDRESS
from pipelines.engines.cluster.survey import survey
from pipelines.errors import PipelinesError

__all__ = ["JOBS_PORT", "PORT", "Node", "Wanted"]

#: Where a first node is reached; not Ray's 6379, which is also that of Redis.
PORT = 6380

#: Where a first node takes jobs, as everywhere with Ray.
JOBS_PORT = 8265

_STARTED = "Ray runtime started"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m|^\S+ \S+\s+(INFO|SUCC|WARN|ERR|PANIC)\S* \S+ -- ")
_KEPT = 30  # lines of what Ray says, for when it fails


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a node shall be.

    Attributes:
        scopes: what it serves.
        address: `host:port` of the first node; `None` makes this the first one.
        host: the address by which others reach this node; on loopback nobody else does.
        port: of a first node; 0 takes any that is free.
        jobs_port: where a first node takes jobs, on loopback; 0 takes any that is free.
        cpus: how many tasks of Ray's own kind it takes; hosts of graphs ask for none.
        token_file: where the token is.
        options: more of those of `ray start`.
    """

    scopes: Sequence[str]
    address: str | None = None
    host: str = ADDRESS
    port: int = PORT
    jobs_port: int = JOBS_PORT
    cpus: int | None = None
    token_file: str | None = None
    options: Sequence[str] = ()


@dataclass
class Node:
    """A node that runs, and ends with this process.

    Attributes:
        address: `host:port` of the first node of its cluster.
        jobs: `host:port` of the server of jobs, of a first node that has one.
        token: where others find the token of a first node.
    """

    address: str
    jobs: str
    token: str
    process: subprocess.Popen[str]
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    started: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread | None = None

    @classmethod
    def start(cls, wanted: Wanted) -> Node:
        """Start a node and return at once; `wait_started` waits until it is there.

        Raises:
            PipelinesError: the first node can't be reached, refuses the token or runs another
                version, or Ray is not installed.
        """
        if wanted.address is None:
            return cls._first(wanted)
        settings = tokens.found(wanted.token_file)
        survey(wanted.address, settings)
        return cls._run(wanted, wanted.address, "", "", settings)

    @classmethod
    def _first(cls, wanted: Wanted) -> Node:
        settings, where = tokens.head_token(wanted.token_file)
        port = wanted.port or addresses.free_port(wanted.host)
        jobs = f"{ADDRESS}:{wanted.jobs_port or addresses.free_port(ADDRESS)}"
        _refuse_taken(wanted.host, port)
        _refuse_taken(*addresses.parsed(jobs))
        return cls._run(
            wanted, f"{wanted.host}:{port}", jobs if _serves_jobs() else "", where, settings
        )

    @classmethod
    def _run(
        cls, wanted: Wanted, address: str, jobs: str, where: str, settings: dict[str, str]
    ) -> Node:
        process = subprocess.Popen(
            _command(wanted, address, jobs),
            env=_environment(settings),
            stdin=subprocess.PIPE,  # closed with this process, however that ends
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us, and we pass it on
        )
        node = cls(address, jobs, where, process)
        node.reader = threading.Thread(target=node._read, daemon=True)
        node.reader.start()
        return node

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(_COLOURS.sub("", line.rstrip()))
            if _STARTED in line:
                self.started.set()
        self.started.set()  # it has ended

    def wait_started(self) -> None:
        """Wait until the node is there.

        Raises:
            PipelinesError: it has ended instead.
        """
        self.started.wait()
        if not any(_STARTED in line for line in self.said):
            code = self.process.wait()
            raise PipelinesError(f"the node does not start (exit code {code}): {self.last_words()}")

    def wait(self) -> int:
        """Wait until the node ends; return its exit code."""
        code = self.process.wait()
        if self.reader is not None:
            self.reader.join()
        return code

    def stop(self) -> None:
        """Ask the node to end; `wait` waits for that. Other processes of Ray are left alone."""
        if self.process.poll() is None:
            self.process.terminate()

    def close(self) -> None:
        """End the node and wait until it is gone."""
        self.stop()
        self.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def last_words(self) -> str:
        """Return what Ray said that tells best why it ended."""
        errors = [line for line in self.said if re.search(r"(Error|Exception)\b", line)]
        return (errors or [line for line in self.said if line] or ["it says nothing"])[-1]


def _refuse_taken(host: str, port: int) -> None:
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PipelinesError(
                f"can't listen on {host}:{port}: {error.strerror}. Choose another --port, or "
                "--jobs-port; 0 takes any that is free."
            ) from error


def _serves_jobs() -> bool:
    """Tell whether what Ray needs to take jobs is installed: more than Ray alone."""
    try:
        from ray.dashboard import optional_deps  # noqa: F401
    except ImportError:
        return False
    return True


def _command(wanted: Wanted, address: str, jobs: str) -> list[str]:
    loopback = ["--loopback"] if addresses.is_loopback(wanted.host) else []
    words = [sys.executable, "-m", "pipelines.engines.cluster.node", *loopback, "start", "--block"]
    words += [f"--node-ip-address={wanted.host}", f"--resources={_resources(wanted.scopes)}"]
    # Any free ports: those that Ray has by default can be had by one node of a machine only.
    words += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
    if wanted.cpus is not None:
        words.append(f"--num-cpus={wanted.cpus}")
    words += _of_first(address, jobs) if wanted.address is None else [f"--address={address}"]
    return [*words, *wanted.options]


def _of_first(address: str, jobs: str) -> list[str]:
    served = [f"--include-dashboard={bool(jobs)}".lower()]
    if jobs:
        host, port = addresses.parsed(jobs)
        served += [f"--dashboard-host={host}", f"--dashboard-port={port}"]
        served.append(f"--temp-dir={_folder(port)}")
    health = f"--system-config={json.dumps(HEALTH)}"
    return ["--head", f"--port={addresses.parsed(address)[1]}", health, *served]


def _folder(jobs_port: int) -> str:
    """Return where a cluster that takes jobs keeps its files, as no other one of this machine does.

    Ray tells a job the address of the cluster that was started last among those of one folder.
    """
    from ray._common.utils import get_default_ray_temp_dir

    # Not below Ray's own folder, which may be another user's; short, as a socket's path has to be.
    return f"{get_default_ray_temp_dir()}-{jobs_port}"


def _resources(scopes: Iterable[str]) -> str:
    return json.dumps({addresses.resource(scope): addresses.UNITS for scope in scopes})


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment of a node, in which a job finds this Python and its programs."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    own = {"RAY_USAGE_STATS_ENABLED": "0", "NO_COLOR": "1", "PATH": programs}
    environment = tokens.applied(os.environ, settings)
    return {name: value for name, value in environment.items() if name != "RAY_ADDRESS"} | own
