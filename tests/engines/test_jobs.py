"""Jobs: a folder is sent, a command runs in it, is followed, and is stopped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.clusters import ClusterOfNodes, free_of_ray, running_cluster
from pipelines.engines.cluster import upload
from pipelines.engines.cluster.jobs import STOPPED, Job, Jobs, plumber_command
from pipelines.errors import PipelinesError

pytest.importorskip("ray")

slow = pytest.mark.slow

#: Runs until SIGTERM, and then takes longer than the 3 s that Ray leaves a job by itself.
DRAINS = """
import signal, time
def drain(*_):
    print("draining", flush=True)
    time.sleep(3.5)
    print("the report", flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, drain)
print("running", flush=True)
while True:
    time.sleep(0.05)
"""

Verb = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def jobs(cluster: ClusterOfNodes) -> Jobs:
    """Return its jobs."""
    return Jobs(cluster.jobs, cluster.token_file)


@pytest.fixture
def verb(cluster: ClusterOfNodes) -> Verb:
    """Run a verb on its jobs."""

    def run(*words: str, address: str = cluster.jobs) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines", *words, "--address", address]
        return subprocess.run(command, env=cluster.env, capture_output=True, text=True)

    return run


@slow
def test_a_job_runs_in_its_folder_and_tells_how_it_ended(
    jobs: Jobs, verb: Verb, cluster: ClusterOfNodes, tmp_path: Path
) -> None:
    """With its variables, where the cluster can be joined; its exit code becomes that of `logs`."""
    (tmp_path / "tell.py").write_text(
        "import os, sys, pipelines\nprint(os.environ['RAY_ADDRESS'], os.environ['WHO'], "
        "sorted(os.listdir()))\nsys.exit(7)"
    )
    (tmp_path / ".env").write_text("SECRET=1")
    ident = jobs.submit("exec python tell.py", tmp_path, name="a b", environment={"WHO": "me"})
    assert re.fullmatch(r"a-b-[0-9a-f]{8}", ident)
    said = verb("logs", ident, "--follow", address=cluster.address)
    assert f"{cluster.address} me ['tell.py']" in said.stdout
    assert said.returncode == 7
    assert f"plumber: {ident} has failed" in said.stderr
    assert len(said.stderr.splitlines()) == 1
    listed = json.loads(verb("jobs", "--format", "json").stdout)
    assert [(each["state"], each["exit_code"]) for each in listed if each["id"] == ident] == [
        ("failed", 7)
    ]
    assert f"{cluster.address} me" in verb("logs", ident).stdout


@slow
def test_a_job_is_told_the_cluster_that_runs_it(
    jobs: Jobs, cluster: ClusterOfNodes, tmp_path: Path
) -> None:
    """Also where another one was started on the machine since."""
    folder, other = tmp_path / "graphs", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    with running_cluster(other) as newer:
        ident = jobs.submit(f'test "$RAY_ADDRESS" = {cluster.address}', folder)
        while not (job := jobs.get(ident)).over:
            assert newer.nodes[0].process.poll() is None
        assert job.state == "succeeded", job.message


@slow
def test_a_job_drains_when_it_is_stopped(jobs: Jobs, verb: Verb, tmp_path: Path) -> None:
    """It gets SIGTERM and the time that it needs; what it says meanwhile is printed."""
    (tmp_path / "drains.py").write_text(DRAINS)
    ident = jobs.submit("exec python drains.py", tmp_path)
    while "running" not in jobs.logs(ident):
        assert not jobs.get(ident).over
    said = verb("stop", ident)
    assert said.stdout.splitlines() == ["draining", "the report"]
    assert (said.returncode, said.stderr) == (0, f"plumber: {ident} has stopped\n")
    assert jobs.get(ident).code == STOPPED
    assert "is not running: it has stopped" in verb("stop", ident).stderr


@slow
def test_submit_sends_a_graph_and_follows_it(verb: Verb, tmp_path: Path) -> None:
    """The id comes first on stdout; the command there is `plumber run` on the cluster itself."""
    (tmp_path / "graph.yaml").write_text("nodes: {n: {func: 'nowhere:to_be_found'}}\n")
    said = verb("submit", str(tmp_path / "graph.yaml"), "--name", "mine", "--follow")
    ident = said.stdout.splitlines()[0]
    assert ident.startswith("mine-")
    assert "pipelines run graph.yaml --engine ray --address" in said.stdout
    assert said.returncode not in (0, STOPPED)


@slow
def test_what_is_not_there_is_told(verb: Verb, cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """A job that nobody sent, a server that does not answer, a token that is none."""
    assert "there is no job 'nobody'" in verb("logs", "nobody").stderr
    said = verb("jobs", address="http://127.0.0.1:1")
    assert said.returncode == 1
    assert "no server of jobs answers at http://127.0.0.1:1" in said.stderr
    wrong = tmp_path / "wrong"
    wrong.write_text("w" * 64)
    said = verb("jobs", "--token-file", str(wrong))
    assert said.returncode == 1
    assert "refuses the token" in said.stderr
    command = [sys.executable, "-m", "pipelines", "jobs", "--address", cluster.jobs]
    env = free_of_ray(tmp_path)
    assert (
        "refuses the token"
        in subprocess.run(command, env=env, capture_output=True, text=True).stderr
    )


@pytest.mark.parametrize(
    ("state", "exit_code", "code"),
    [("succeeded", 0, 0), ("failed", 78, 78), ("failed", None, 1), ("stopped", None, STOPPED)],
)
def test_the_exit_code_tells_how_a_job_ended(state: str, exit_code: int | None, code: int) -> None:
    """Its own where it has one; 1 where it was lost."""
    assert Job("id", state, "", "", None, None, exit_code).code == code


def test_the_command_is_safe_from_odd_names() -> None:
    """A shell reads it there; the address is that of the cluster where it runs."""
    said = plumber_command("my graph.yaml", ["--set", "nodes.a.args.x=$HOME; ls"])
    assert said == (
        "exec python -m pipelines run 'my graph.yaml' --engine ray --address \"$RAY_ADDRESS\" "
        "--set 'nodes.a.args.x=$HOME; ls'"
    )


def test_a_folder_is_sent_without_what_is_left_out(tmp_path: Path) -> None:
    """Always what others make anew, and secrets; and what `.plumberignore` names."""
    for name in (
        "a.py",
        "data/x.csv",
        "data/keep.csv",
        ".git/config",
        "p/__pycache__/a.pyc",
        ".env",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / upload.IGNORE_FILE).write_text("# data\ndata/*\n!data/keep.csv\n")
    upload.pack(tmp_path, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == [".plumberignore", "a.py", "data/keep.csv"]
    first = (tmp_path / "out.zip").read_bytes()
    (tmp_path / "out.zip").unlink()
    upload.pack(tmp_path, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == first


def test_a_folder_that_is_too_big_is_refused(tmp_path: Path) -> None:
    """The biggest are named with their sizes, and how to leave them out."""
    with open(tmp_path / "big.bin", "wb") as file:
        file.truncate(21 * 2**20)
    with pytest.raises(PipelinesError, match=r"big\.bin \(21\.0 MiB\).*\.plumberignore"):
        upload.pack(tmp_path, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
