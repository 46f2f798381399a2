"""Looks at a cluster from outside: its versions, its nodes, what runs where.

In a process of its own (``python -m pipelines.engines.cluster.survey host:port``): Ray's client
writes to stderr as it pleases, tries for minutes, and ends its whole process when it gives up.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from pipelines.engines.cluster import addresses, tokens
from pipelines.errors import PipelinesError

__all__ = ["Survey", "survey"]

_SECONDS = 15.0
_NO_RAY = "this needs Ray: pip install 'pipelines[ray]'"


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a cluster.

    Attributes:
        ray, python: its versions; empty where it does not tell.
        jobs: `host:port` of the server of its jobs; empty where it has none.
        nodes: of each `id`, `host` (its name), `ip`, `alive`, `scopes`, `cpus`.
        actors: of each `name`, `kind` (its class), `state`, `node`, `host`, `pid`, `restarts`.
    """

    ray: str
    python: str
    jobs: str
    nodes: list[dict[str, Any]]
    actors: list[dict[str, Any]]

    def live(self) -> list[dict[str, Any]]:
        """Return the nodes that are there."""
        return [node for node in self.nodes if node["alive"]]

    def scopes(self) -> dict[str, int]:
        """Return by how many live nodes each scope is served."""
        names = sorted({scope for node in self.live() for scope in node["scopes"]})
        return {name: sum(name in node["scopes"] for node in self.live()) for name in names}


def survey(address: str, settings: dict[str, str], namespace: str = "pipelines") -> Survey:
    """Look at the cluster at `address`.

    Args:
        address: `host:port` of its first node.
        settings: of the token, as `tokens.found` returns them.
        namespace: list the actors of this one.

    Raises:
        PipelinesError: nothing answers there, the token is wrong, it runs another version, or Ray
            is not installed.
    """
    addresses.reach(address)
    command = [sys.executable, "-m", "pipelines.engines.cluster.survey", address, namespace]
    environment = tokens.applied(os.environ, settings)
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise PipelinesError(
            f"what listens at {address} is no Ray cluster: it does not answer as one within "
            f"{_SECONDS:g} s. The address is the one that 'plumber worker --head' prints; that of "
            "its jobs starts with http://"
        ) from None
    if done.returncode == 0:
        seen = Survey(**json.loads(done.stdout))
        _refuse_other_versions(address, seen)
        return seen
    raise PipelinesError(_why(address, done.stderr))


def _why(address: str, said: str) -> str:
    last = (said.strip().splitlines() or ["it says nothing"])[-1]
    if "No module named 'ray" in last:
        return _NO_RAY
    if "AuthenticationError" in said:
        return (
            f"the cluster at {address} refuses the token, or there is none here: give the file "
            "with the cluster's token as --token-file (or RAY_AUTH_TOKEN_PATH), or its text as "
            f"RAY_AUTH_TOKEN; without these it is read from {tokens.default_file()}"
        )
    return f"can't look at the cluster at {address}: {last}"


def _refuse_other_versions(address: str, seen: Survey) -> None:
    import ray

    here = {"Ray": ray.__version__, "Python": platform.python_version()}
    there = {"Ray": seen.ray, "Python": seen.python}
    for name, version in there.items():
        if version and version != here[name]:
            raise PipelinesError(
                f"the cluster at {address} runs {name} {version}, and this is {here[name]}: all "
                f"of a cluster must run the same {name}"
            )


def main(address: str, namespace: str) -> None:
    """Print what is known of the cluster at `address` as JSON."""
    from ray._common.usage.usage_lib import get_cluster_metadata
    from ray._private import ray_constants
    from ray._raylet import GcsClient

    client = GcsClient(address=address)  # tells at once that a token is wrong; what is below waits
    jobs = client.internal_kv_get(
        ray_constants.DASHBOARD_ADDRESS.encode(), ray_constants.KV_NAMESPACE_DASHBOARD, timeout=5
    )
    known = get_cluster_metadata(client) or {}
    nodes, actors = _tables(address)
    by_id = {node["id"]: node for node in nodes}
    seen = {
        "ray": known.get("ray_version", ""),
        "python": known.get("python_version", ""),
        "jobs": (jobs or b"").decode(),
        "nodes": nodes,
        "actors": [_actor(each, by_id) for each in actors if each.ray_namespace == namespace],
    }
    sys.stdout.write(json.dumps(seen))


def _tables(address: str) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return the nodes, and the records of all actors that are not dead."""
    from ray._raylet import GcsClientOptions, GlobalStateAccessor
    from ray.core.generated.gcs_pb2 import ActorTableData

    options = {"allow_cluster_id_nil": True, "fetch_cluster_id_if_nil": False}
    table = GlobalStateAccessor(GcsClientOptions.create(address, None, **options))
    if not table.connect():
        raise ConnectionError("its tables can't be read")
    actors = [ActorTableData.FromString(each) for each in table.get_actor_table(None, None)]
    alive = [actor for actor in actors if actor.state != ActorTableData.DEAD]
    return [_node(node) for node in table.get_node_table()], alive


def _node(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": node["NodeID"],
        "host": node["NodeManagerHostname"],
        "ip": node["NodeManagerAddress"],
        "alive": node["Alive"],
        "scopes": sorted(addresses.served(node["Resources"])),
        "cpus": node["Resources"].get("CPU", 0.0),
    }


def _actor(actor: Any, nodes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    node = actor.address.node_id.hex()
    return {
        "name": actor.name,
        "kind": actor.class_name.rpartition(".")[2],
        "state": actor.ActorState.Name(actor.state).lower(),
        "node": node,
        "host": nodes[node]["host"] if node in nodes else "",
        "pid": actor.pid,
        "restarts": actor.num_restarts,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
