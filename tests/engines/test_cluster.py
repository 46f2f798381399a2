"""Clusters: one of our own, joining one, what they serve, and every way in which that fails."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.clusters import ClusterOfNodes, free_of_ray, script
from pipelines.engines.cluster import addresses, tokens
from pipelines.errors import PipelinesError

pytest.importorskip("ray")

slow = pytest.mark.slow

#: A cluster of our own is used, closed, and nothing of it is left.
OWN = """
import asyncio, os, pathlib, psutil, signal, sys, threading
from pipelines.engines.cluster.joining import connect, resource
from pipelines.errors import PipelinesError

def state():
    return dict(os.environ), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

async def main():
    before = state()
    scopes = ["production", "büro 1"]
    async with await connect(scopes=scopes, cpus=1, working_dir=sys.argv[1]) as own:
        assert state() == before, "environment or handlers have changed"
        @own.ray.remote(num_cpus=0, resources={resource("büro 1"): 1})
        def where():
            import helper
            return helper.HERE
        assert await where.remote() == "here"
        print(own.scopes())
        try:
            await own.wait_for(["prodution", "production"], 0.2)
        except PipelinesError as error:
            print(error)
        mine = psutil.Process().children(recursive=True)
        ports = {c.laddr.ip for p in mine for c in p.net_connections() if c.status == "LISTEN"}
        print(sorted(ports))
        shared = await connect()
        assert not shared.owned
        await shared.close()
        assert own.ray.is_initialized()
        folder = own._session._folder
    assert psutil.wait_procs(mine, timeout=5)[1] == []
    assert not folder.exists()
    assert state() == before
    ours = [t for t in threading.enumerate() if not t.name.startswith("asyncio_")]
    assert ours == [threading.main_thread()], ours

asyncio.run(main())
"""


def plumber(cluster: ClusterOfNodes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb where the cluster's token is found."""
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(command, env=cluster.env, capture_output=True, text=True)


@slow
def test_a_cluster_of_our_own_leaves_nothing(tmp_path: Path) -> None:
    """It serves what it is asked to, on loopback alone, says nothing, and goes without a trace."""
    (tmp_path / "helper.py").write_text("HERE = 'here'")
    done = script(OWN, free_of_ray(tmp_path), str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    scopes, missing, ports = done.stdout.splitlines()
    assert scopes == "{'büro 1': 1, 'production': 1}"
    assert missing.startswith("no worker serves scope 'prodution' after 0.2 s; served: büro 1, ")
    assert "plumber worker --scopes prodution --address 127.0.0.1:" in missing
    assert "Did you mean 'production'?" in missing
    assert set(json.loads(ports.replace("'", '"'))) <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert not (tmp_path / ".ray").exists()


@pytest.mark.parametrize("program", ["survey", "node"])
def test_a_program_is_loaded_once(program: str) -> None:
    """Its package has not loaded it before, of which Python would warn."""
    module = f"pipelines.engines.cluster.{program}"
    check = f"import sys, {module.rpartition('.')[0]}; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@slow
def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    """A run that is interrupted while its cluster starts, or later, takes all of it along."""
    text = (
        "import asyncio\nfrom pipelines.engines.cluster.joining import connect\n"
        "async def main():\n"
        "    print('starting', flush=True)\n    await connect(cpus=1)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", text]
    with subprocess.Popen(
        command, env=free_of_ray(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout
        run.stdout.readline()
        while not (children := psutil.Process(run.pid).children(recursive=True)):
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, said = run.communicate()
    assert said.splitlines()[-1].strip() == b"KeyboardInterrupt"
    assert psutil.wait_procs(children, timeout=5)[1] == []


@slow
def test_a_cluster_tells_who_serves_what(cluster: ClusterOfNodes) -> None:
    """As text, and as JSON that a program can read."""
    said = plumber(cluster, "cluster", "--address", cluster.address)
    assert said.stderr == ""
    assert "3 nodes" in said.stdout
    assert "büro 1, production" in said.stdout
    told = json.loads(
        plumber(cluster, "cluster", "--address", cluster.address, "--format", "json").stdout
    )
    assert told["scopes"] == {"büro 1": 1, "production": 2, "testing": 1}
    assert f"http://{told['jobs']}" == cluster.jobs


JOIN = """
import asyncio, sys
from pipelines.engines.cluster.joining import connect, resource
from pipelines.engines.cluster.survey import survey
from pipelines.engines.cluster.tokens import found

async def main():
    async with await connect(sys.argv[1], working_dir=sys.argv[2]) as cluster:
        await cluster.wait_for(["testing", "production"], 10)
        @cluster.ray.remote(num_cpus=0, resources={resource("production"): 1})
        class Host:
            def where(self):
                import helper, os
                return helper.HERE, sorted(set(os.listdir(".")) - {"__pycache__"})
        host = Host.options(name="a host").remote()
        print(*await host.where.remote())
        (seen,) = (await asyncio.to_thread(survey, sys.argv[1], found())).actors
        print(seen["name"], seen["kind"], seen["state"], seen["pid"] > 0)

asyncio.run(main())
"""


@slow
def test_joining_brings_the_code_to_its_workers(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """A copy of the folder, without what is ignored; and the cluster tells what runs."""
    (tmp_path / "helper.py").write_text("HERE = 'here'")
    (tmp_path / ".plumberignore").write_text("*.csv\n")
    (tmp_path / "data.csv").write_text("1")
    done = script(JOIN, cluster.env, cluster.address, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    copied, runs = done.stdout.splitlines()
    assert copied.startswith("here ['.plumberignore', 'helper.py'")
    assert "data.csv" not in copied
    assert runs == "a host Host alive True"


@slow
def test_a_wrong_token_is_refused_at_once(cluster: ClusterOfNodes, tmp_path: Path) -> None:
    """By whoever asks, and by one who would be a worker; so is having none."""
    wrong = tmp_path / "wrong"
    wrong.write_text(tokens.new_token())
    for verb in (["cluster"], ["worker", "--scopes", "a"]):
        said = plumber(cluster, *verb, "--address", cluster.address, "--token-file", str(wrong))
        assert said.returncode == 1
        assert "refuses the token" in said.stderr
        assert "--token-file" in said.stderr


@slow
def test_a_worker_ends_its_own_node_alone(cluster: ClusterOfNodes) -> None:
    """On SIGINT it leaves with 0, and the others stay; killed, it takes its processes along."""
    node = cluster.join(["passing"])
    children = psutil.Process(node.process.pid).children(recursive=True)
    assert node.stop(signal.SIGINT) == 0
    assert "has left the cluster" in node.said[-1]
    assert psutil.wait_procs(children, timeout=5)[1] == []
    again = cluster.join(["passing"])
    children = psutil.Process(again.process.pid).children(recursive=True)
    again.process.kill()
    assert psutil.wait_procs(children, timeout=15)[1] == []
    again.close()
    assert all(other.process.poll() is None for other in cluster.nodes[:3])


@slow
def test_a_port_that_is_taken_is_refused(cluster: ClusterOfNodes) -> None:
    """A second first node says which port, and how to choose another."""
    port = cluster.address.partition(":")[2]
    said = plumber(cluster, "worker", "--head", "--port", port)
    assert said.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in said.stderr


def test_nobody_at_an_address_is_told_at_once() -> None:
    """Ray itself would try for a minute, and then end the process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PipelinesError, match=f"no cluster answers at {address}"):
            addresses.reach(address)


@pytest.mark.parametrize(
    "address", ["", "auto", "local", "host", "host:", ":1", "a:b", "ray://a:1"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    """What Ray would take for something else is refused, such as `auto`."""
    with pytest.raises(PipelinesError, match="host:port"):
        addresses.parsed(address)


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1)))
def test_any_name_can_be_a_scope(scopes: set[str]) -> None:
    """It is found again among the resources of a node, whose names Ray has in ASCII."""
    resources = [addresses.resource(scope) for scope in scopes]
    assert all(name.isascii() for name in resources)
    assert addresses.served([*resources, "CPU", "node:127.0.0.1"]) == scopes


@pytest.mark.parametrize("port", ["0", "65536"])
def test_an_address_has_a_port_that_there_can_be(port: str) -> None:
    """From 1 to 65535."""
    with pytest.raises(PipelinesError, match="1 to 65535"):
        addresses.parsed(f"host:{port}")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--scopes", "a"], "--head"),
        (["--head", "--address", "a:1"], "one of them"),
        (["--address", "a:1", "--port", "1"], "--port is for the first node"),
        (["--head", "--scopes", ","], "names nothing"),
    ],
)
def test_flags_that_make_no_sense_are_wrong_usage(arguments: list[str], why: str) -> None:
    """Each says what to give instead."""
    from click.testing import CliRunner

    from pipelines.cli.app import plumber as group

    result = CliRunner().invoke(group, ["worker", *arguments])
    assert result.exit_code == 2
    assert why in result.output


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be somewhere without a token."""
    for name in tokens.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_first_node_makes_a_token_that_others_find(nowhere: Path) -> None:
    """In the file that is named, or where Ray looks; nobody else may read it; it is made once."""
    assert tokens.found() == {}
    settings, where = tokens.head_token()
    assert where == str(nowhere / ".ray" / "auth_token")
    assert Path(where).stat().st_mode & 0o777 == 0o600
    assert tokens.found() == settings == tokens.head_token()[0]
    assert tokens.head_token(nowhere / "other")[1] == str(nowhere / "other")


def test_a_token_is_looked_for_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag, the text, the file that is named, the file in which Ray looks."""
    tokens.head_token()
    named, flag = nowhere / "named", nowhere / "flag"
    named.write_text("n" * 20)
    flag.write_text("f" * 20)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(named))
    assert tokens.found()["RAY_AUTH_TOKEN_PATH"] == str(named)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t" * 20)
    assert tokens.found() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 20}
    assert tokens.found(flag)["RAY_AUTH_TOKEN_PATH"] == str(flag)


def test_a_bad_token_file_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there or holds nothing; and no cluster is started without a token."""
    with pytest.raises(PipelinesError, match="can't read the token"):
        tokens.found(nowhere / "none")
    (nowhere / "empty").write_text("\n")
    with pytest.raises(PipelinesError, match="holds no token"):
        tokens.found(nowhere / "empty")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(PipelinesError, match="unset RAY_AUTH_MODE"):
        tokens.head_token()
