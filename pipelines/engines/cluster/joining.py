"""Ray in this process: a cluster of its own for a while, or one that is there already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

from pipelines.engines.cluster import addresses, tokens
from pipelines.engines.cluster.addresses import UNITS, resource
from pipelines.engines.cluster.loopback import ADDRESS, on_loopback
from pipelines.engines.cluster.state import quiet, with_environment
from pipelines.engines.cluster.survey import survey
from pipelines.engines.cluster.upload import pack
from pipelines.errors import PipelinesError, describe, shorten
from pipelines.registry import did_you_mean

__all__ = ["HEALTH", "NAMESPACE", "Cluster", "connect", "import_ray", "resource"]

#: The namespace of the actors that run hosts.
NAMESPACE = "pipelines"

#: A node that does not answer three times, a second apart, is lost; Ray itself would wait for 15 s.
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}

_STORE = 256 * 2**20  # bytes of shared memory of a cluster that one process starts for itself
_POLL = 0.2  # seconds between two looks at the nodes
_GRACE = 5.0  # seconds that Ray's processes may take to be gone
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # is set in a job, whose code Ray has brought already

_CLIENT = "RAY_CLIENT_MODE"

T = TypeVar("T")


def import_ray() -> ModuleType:
    """Return Ray.

    Raises:
        PipelinesError: it is not installed.
    """
    before = os.environ.get(_CLIENT)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise PipelinesError("the engine 'ray' needs Ray: pip install 'pipelines[ray]'") from error
    if before is None:  # importing it has set one
        os.environ.pop(_CLIENT, None)
    return ray  # type: ignore[no-any-return]


async def connect(
    address: str | None = None,
    *,
    working_dir: str | os.PathLike[str] | None = None,
    py_modules: Iterable[str] = (),
    namespace: str = NAMESPACE,
    scopes: Iterable[str] = (),
    cpus: int | None = None,
    object_store: int = _STORE,
    token_file: str | os.PathLike[str] | None = None,
    start_timeout: float = 60.0,
) -> Cluster:
    """Join the cluster at `address`; without one, start a cluster on this machine for a while.

    One process can be in one cluster at a time, as Ray has it. Where this process is in one that
    somebody else has joined, and no address is given, that one is used and left as it is.

    Args:
        address: `host:port` of the first node; this machine must be a node of that cluster.
        working_dir: a folder of code. A given cluster gets a copy of it, in which every worker is,
            without what `.plumberignore` names; one of our own imports from it where it lies.
        py_modules: folders of packages that every worker shall be able to import.
        namespace: of the actors.
        scopes: what a cluster of our own serves; a given one has its workers' scopes.
        cpus: of a cluster of our own; by default those of this machine.
        object_store: of a cluster of our own, bytes of shared memory.
        token_file: where the token of a given cluster is; a cluster of our own makes its token.
        start_timeout: seconds until it must be there.

    Raises:
        PipelinesError: Ray is not installed, no cluster answers at the address, it refuses the
            token, it runs another version, this machine is no node of it, or it did not start.
    """
    ray = import_ray()
    if ray.is_initialized():
        return _borrowed(ray, address)
    if address is not None:
        addresses.parsed(address)
    session = _Session(ray, namespace, working_dir, list(py_modules))
    resources = {resource(scope): UNITS for scope in scopes}
    own = {"resources": resources, "num_cpus": cpus, "object_store_memory": object_store}
    start = partial(session.start, own)
    join = partial(session.join, address or "", token_file)
    with quiet():
        found = await session.within(start if address is None else join, start_timeout)
    return Cluster(ray, found, session)


def _borrowed(ray: ModuleType, address: str | None) -> Cluster:
    there = ray.get_runtime_context().gcs_address
    if address is not None and address != there:
        raise PipelinesError(
            f"this process is in the Ray cluster at {there} already, and can't join that at "
            f"{address} too: call ray.shutdown() first, or use another process"
        )
    return Cluster(ray, there, None)


class Cluster:
    """A cluster that this process is in.

    Attributes:
        ray: the module.
        address: `host:port` of its first node.
        owned: whether `close` ends the connection, or somebody else does.
    """

    def __init__(self, ray: ModuleType, address: str, session: _Session | None) -> None:
        self.ray = ray
        self.address = address
        self.owned = session is not None
        self._session = session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def nodes(self) -> list[dict[str, Any]]:
        """Return Ray's records of the nodes that are there."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def scopes(self) -> dict[str, int]:
        """Return by how many live workers each scope is served."""
        sets = [addresses.served(node["Resources"]) for node in self.nodes()]
        return {name: sum(name in each for each in sets) for name in sorted(set().union(*sets))}

    async def wait_for(self, scopes: Iterable[str], timeout: float) -> None:
        """Wait until each of these scopes has a worker.

        Args:
            scopes: their names.
            timeout: seconds until they must have one.

        Raises:
            PipelinesError: one has none; the message says how to start it.
        """
        wanted = set(scopes)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while wanted - set(await asyncio.to_thread(self.scopes)):  # noqa: ASYNC110 (Ray tells no event)
                    await asyncio.sleep(_POLL)
        served = await asyncio.to_thread(self.scopes)
        if missing := sorted(wanted - set(served)):
            raise PipelinesError(_unserved(missing, served, self.address, timeout))

    async def close(self) -> None:
        """Leave the cluster; one of our own is ended, and its files are removed. May come again."""
        session, self._session = self._session, None
        if session is not None:
            with quiet():
                await session.close()


def _unserved(missing: list[str], served: Mapping[str, int], address: str, timeout: float) -> str:
    names = ", ".join(repr(scope) for scope in missing)
    have = f"served: {', '.join(served)}" if served else "no worker serves any scope"
    guesses = [did_you_mean(scope, served) for scope in missing] if served else []
    return (
        f"no worker serves {'scope' if len(missing) == 1 else 'scopes'} {names} after "
        f"{timeout:g} s; {have}. Start one: plumber worker --scopes {','.join(missing)} "
        f"--address {address}" + "".join(f". {guess}" for guess in guesses if "mean" in guess)
    )


class _Session:
    """A connection of this process, made and ended by one thread.

    Linux ends Ray's processes with the thread that started them, so it lasts as long as they shall.
    """

    def __init__(
        self,
        ray: ModuleType,
        namespace: str,
        folder: str | os.PathLike[str] | None,
        modules: list[str],
    ) -> None:
        self._ray = ray
        self._namespace = namespace
        self._code = None if folder is None else Path(folder).absolute()
        self._modules = modules
        self._thread = ThreadPoolExecutor(1, "pipelines-ray")
        self._folder: Path | None = None

    async def within(self, work: Callable[[], T], timeout: float) -> T:
        """Return what `work` returns; if that takes too long, or is not waited for, undo it.

        Raises:
            PipelinesError: it took too long, or failed.
        """
        future = self._thread.submit(work)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError as error:
            _forget(future)
            _forget(self._leave())
            raise PipelinesError(f"Ray is not ready after {timeout:g} s") from error
        except BaseException:
            _forget(future)
            await self.close()
            raise

    async def close(self) -> None:
        """Leave, and wait until all is gone."""
        await asyncio.shield(asyncio.wrap_future(self._leave()))
        self._thread.shutdown()  # it has nothing left to do

    def _leave(self) -> Future[None]:
        left = self._thread.submit(self._end)
        self._thread.shutdown(wait=False)
        return left

    def _end(self) -> None:
        try:
            self._ray.shutdown()
        finally:
            if self._folder is not None:
                _remove(self._folder)

    def start(self, own: dict[str, Any]) -> str:
        """Start a cluster; return its address."""
        # Not in $TMPDIR: the path of a socket may have a hundred letters.
        self._folder = Path(tempfile.mkdtemp(prefix="plumber-", dir=_short()))
        options: dict[str, Any] = {"address": "local", "_temp_dir": str(self._folder)}
        options |= {"include_dashboard": False, "_node_ip_address": ADDRESS}
        options |= {"_system_config": HEALTH, "runtime_env": self._paths(), **own}
        with with_environment(tokens.throw_away()), on_loopback():
            return self._init(options)

    def _paths(self) -> dict[str, Any]:
        """Let the processes of this machine import from where the code lies."""
        folders = [] if self._code is None else [str(self._code)]
        folders += [str(Path(module).absolute().parent) for module in self._modules]
        folders += filter(None, [os.environ.get("PYTHONPATH")])
        return {"env_vars": {"PYTHONPATH": os.pathsep.join(folders)}}

    def join(self, address: str, token_file: str | os.PathLike[str] | None) -> str:
        """Join the cluster at `address`; return that."""
        settings = tokens.found(token_file)
        seen = survey(address, settings, self._namespace)
        here = [node["ip"] for node in seen.live() if addresses.is_here(node["ip"])]
        if not here:
            raise PipelinesError(
                f"this machine is no node of the cluster at {address}: start 'plumber worker "
                f"--address {address}' here, or send the graph there with 'plumber submit'"
            )
        with tempfile.TemporaryDirectory(prefix="plumber-") as packed:
            code = self._copies(Path(packed, "code.zip"))
            with with_environment(settings), on_loopback(ADDRESS in here):
                return self._init({"address": address, "runtime_env": code})

    def _copies(self, archive: Path) -> dict[str, Any]:
        """Return what Ray shall copy to the workers; of a job it has done so already."""
        code: dict[str, Any] = {}
        if _JOB in os.environ:
            return code
        if self._code is not None:
            pack(self._code, archive)
            code["working_dir"] = str(archive)
        if self._modules:
            code["py_modules"] = self._modules
        return code

    def _init(self, options: dict[str, Any]) -> str:
        try:
            self._ray.init(
                **options, namespace=self._namespace, log_to_driver=False, configure_logging=False
            )
        except Exception as error:
            raise PipelinesError(f"Ray can't be had: {shorten(describe(error), 500)}") from error
        address: str = self._ray.get_runtime_context().gcs_address
        return address


def _remove(folder: Path) -> None:
    """Remove a folder, into which processes that are just ending may still write."""
    until = time.monotonic() + _GRACE
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_POLL / 4)


def _short() -> str:
    return "/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir()


def _forget(future: Future[Any]) -> None:
    """Let nobody complain that what became of it was never asked."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
