"""Jobs: runs that a cluster starts and keeps, whoever has sent them and goes away."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engines.cluster import addresses, tokens
from pipelines.engines.cluster.joining import import_ray
from pipelines.engines.cluster.state import quiet, with_environment
from pipelines.engines.cluster.survey import survey
from pipelines.engines.cluster.upload import pack
from pipelines.errors import PipelinesError
from pipelines.registry import did_you_mean

__all__ = ["GRACE", "STOPPED", "Job", "Jobs", "plumber_command"]

#: Seconds that a job may take to drain before it is killed.
GRACE = 600

#: The exit code of a job that was stopped: as of a program that SIGTERM ends.
STOPPED = 143

_ENDED = ("succeeded", "failed", "stopped")
_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        id: its name for `logs` and `stop`.
        state: `pending`, `running`, `succeeded`, `failed` or `stopped`.
        command: what runs.
        message: what Ray says of its end.
        started, ended: seconds since the epoch, if it has.
        exit_code: of what ran, if it has ended by itself.
    """

    id: str
    state: str
    command: str
    message: str
    started: float | None
    ended: float | None
    exit_code: int | None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in _ENDED

    @property
    def code(self) -> int:
        """The exit code that tells how it ended."""
        if self.state == "succeeded":
            return 0
        return STOPPED if self.state == "stopped" else self.exit_code or 1


def plumber_command(file: str, flags: Sequence[str] = ()) -> str:
    """Return the shell's words for running a graph of the sent folder on the cluster itself."""
    import shlex

    # `exec`, so that a signal finds the program and no shell around it.
    words = shlex.join(["exec", "python", "-m", "pipelines", "run", file, "--engine", "ray"])
    return f'{words} --address "$RAY_ADDRESS" {shlex.join(flags)}'.rstrip()


class Jobs:
    """The jobs of the cluster at `address`.

    Args:
        address: `http://host:port` of the server of its jobs, or `host:port` of its first node.
        token_file: where the cluster's token is.

    Raises:
        PipelinesError: it can't be reached, takes no jobs, or refuses the token.
    """

    def __init__(self, address: str, token_file: str | None = None) -> None:
        import_ray()
        settings = tokens.found(token_file)
        self.url = _url(address, settings)
        with _ours(self.url), quiet(), with_environment(settings):
            from ray.job_submission import JobSubmissionClient

            _silence()

            self._client = JobSubmissionClient(self.url)

    def submit(
        self,
        command: str,
        folder: Path,
        *,
        name: str = "job",
        environment: Mapping[str, str] | None = None,
        grace: int = GRACE,
    ) -> str:
        """Send a folder, and have a command run in it; return the job's id.

        Args:
            command: for the shell of the machine where it runs.
            folder: what it runs in; see `upload` for what of it is sent.
            name: what its id begins with.
            environment: variables for it, and for all that it starts.
            grace: seconds that it may take to drain once it is to stop.
        """
        ident = (
            f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('-') or 'job'}-{secrets.token_hex(4)}"
        )
        with _ours(self.url), tempfile.TemporaryDirectory(prefix="plumber-") as packed:
            archive = Path(packed, "graph.zip")
            pack(folder, archive)
            settings = {**(environment or {}), _WAIT: str(grace)}
            wanted = {"working_dir": str(archive), "env_vars": settings}
            self._client.submit_job(entrypoint=command, submission_id=ident, runtime_env=wanted)
        return ident

    def all(self) -> list[Job]:
        """Return every job that was sent to the cluster, the oldest first."""
        with _ours(self.url):
            found = [_job(each) for each in self._client.list_jobs() if each.submission_id]
        return sorted(found, key=lambda job: (job.started or 0.0, job.id))

    def get(self, ident: str) -> Job:
        """Return one job.

        Raises:
            PipelinesError: there is none of this id.
        """
        with _ours(self.url):
            for each in self._client.list_jobs():
                if each.submission_id == ident:
                    return _job(each)
        known = [job.id for job in self.all()]
        raise PipelinesError(f"there is no job {ident!r}. {did_you_mean(ident, known)}".rstrip())

    def logs(self, ident: str) -> str:
        """Return all that a job has printed."""
        self.get(ident)
        with _ours(self.url):
            text: str = self._client.get_job_logs(ident)
        return text

    async def follow(self, ident: str) -> AsyncGenerator[str, None]:
        """Yield what a job has printed and prints, until it ends."""
        self.get(ident)
        with _ours(self.url):
            async for text in self._client.tail_job_logs(ident):
                yield text

    def stop(self, ident: str) -> bool:
        """Ask a job to drain, by SIGTERM; return whether it was running."""
        self.get(ident)
        with _ours(self.url):
            return bool(self._client.stop_job(ident))


def _url(address: str, settings: dict[str, str]) -> str:
    if address.startswith(("http://", "https://")):
        return address.rstrip("/")
    found = survey(address, settings).jobs
    if not found:
        raise PipelinesError(
            f"the cluster at {address} takes no jobs: its first node needs "
            "pip install 'pipelines[ray]', and to be started by 'plumber worker --head'"
        )
    host, port = addresses.parsed(found)
    # Its server is on loopback unless somebody else started it: told as seen from there.
    return f"http://{host}:{port}"


def _job(details: Any) -> Job:
    return Job(
        id=details.submission_id,
        state=str(getattr(details.status, "value", details.status)).lower(),
        command=details.entrypoint,
        message=(details.message or "").partition("\n")[0],
        started=_seconds(details.start_time),
        ended=_seconds(details.end_time),
        exit_code=details.driver_exit_code,
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _silence() -> None:
    """Keep off the terminal what Ray's client notes of each request, at levels of its own."""
    for name in ("dashboard_sdk", "job.sdk"):
        logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _ours(url: str) -> Iterator[None]:
    """Turn what Ray's client raises into an error that tells what to do."""
    import requests
    from ray.exceptions import AuthenticationError, RayError

    try:
        yield
    except (ConnectionError, requests.exceptions.RequestException) as error:
        raise PipelinesError(
            f"no server of jobs answers at {url}: give the address that 'plumber worker --head' "
            "printed; from another machine, bring that port here, as with "
            "ssh -L 8265:localhost:8265"
        ) from error
    except (RuntimeError, RayError) as error:
        if isinstance(error, AuthenticationError):
            raise PipelinesError(
                f"the server of jobs at {url} refuses the token, or there is none here: give the "
                "file with the cluster's token as --token-file"
            ) from error
        raise PipelinesError(f"the server of jobs at {url} says: {error}") from error
