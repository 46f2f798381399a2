"""What holds for every test: nothing it started is left behind, and examples come out the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Hashable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings
from pytest_asyncio import is_async_test

settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a shell without job control. What a test starts would inherit that,
    # and the test wait for ever for a program that it has interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_GRACE = 2.0  # seconds that what is being shut down may take to be gone
_HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
_ME = psutil.Process()
_FDS = Path("/proc/self/fd")

#: What starts clusters of Ray. One at a time is what two processors can do; these come first.
_RAY = (
    "tests/benchmarks/test_cluster.py",
    "tests/demos/test_demo_cluster.py",
    "tests/engines/test_cluster.py",
    "tests/engines/test_jobs.py",
    "tests/engines/test_ray",
)

#: What starts many programs, or browsers: not beside Ray, as long as there is something else to do.
#: It comes last, in this order, the longest first: so all processes end at about the same time.
_MANY_PROGRAMS = (
    "tests/test_docs.py",
    "tests/editor/",
    "tests/test_packaging.py",
    "tests/cli/",
    "tests/test_signals.py",
    "tests/server/test_load.py",
    "tests/server/test_seed.py",
    "tests/demos/",
)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open file behind."""
    before, pids = _threads() | _open_files(), frozenset(psutil.pids())
    yield
    until = time.monotonic() + _GRACE
    while (left := _left(before, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left, f"the test left behind: {', '.join(map(str, left))}"


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail an async test that leaves a task behind in its event loop."""
    before = asyncio.all_tasks()
    yield
    for _ in range(10):  # what was cancelled last ends within a few passes of the loop
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"the test left a task behind: {', '.join(map(str, left))}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every async test `no_task_left`; if it were autouse, all the others got a loop too.

    Where several processes run the tests, bring the files into the order in which they get them.
    """
    for item in items:
        if isinstance(item, pytest.Function) and is_async_test(item):
            item.fixturenames.append("no_task_left")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files in their order, and all of Ray to one of them."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "Ray" if nodeid.startswith(_RAY) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return ByFile(config, log)


def _turn(nodeid: str) -> int:
    if nodeid.startswith(_RAY):
        return 0
    last = [turn for turn, name in enumerate(_MANY_PROGRAMS, 2) if nodeid.startswith(name)]
    return last[0] if last else 1


def _left(before: AbstractSet[Hashable], pids: AbstractSet[int]) -> set[Hashable]:
    """Return what there is now and was not before, of this process and of those it has started."""
    left = (_threads() | _open_files()) - before
    born = _descendants_but(pids)
    if any(map(_is_helper, born)):
        left -= _open_files()  # a helper that has just started keeps pipes open for good
    return left | {each for each in born if not _is_helper(each) and not _is_ray(each)}


def _threads() -> set[Hashable]:
    # Those named asyncio_N belong to a loop, which ends them when it is closed.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def _open_files() -> set[Hashable]:
    """Return what each file descriptor stands for; nothing where there is no /proc."""
    found: set[Hashable] = set()
    for fd in _FDS.iterdir() if _FDS.exists() else ():
        try:
            name = os.readlink(fd)
        except FileNotFoundError:
            continue  # the one that lists this folder
        if not (name.startswith("socket:") and _has_ray()):
            found.add(f"open file {fd.name}: {name}")
    return found


def _has_ray() -> bool:
    """Tell whether Ray was started in this process: it opens and closes sockets as it likes.

    Its threads for that stay, also once it has been shut down.
    """
    return "ray._raylet" in sys.modules


def _descendants_but(pids: AbstractSet[int]) -> list[psutil.Process]:
    """Return the processes below this one but those of `pids`.

    To ask all processes of a machine for their parents takes longer than most tests do.
    """
    found = []
    for pid in frozenset(psutil.pids()) - pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if _ME in (process := psutil.Process(pid)).parents():
                found.append(process)
    return found


def _is_ray(process: psutil.Process) -> bool:
    """Tell whether a Ray node keeps `process` for its next task: it comes and goes as Ray likes.

    The node itself is one of those that may not be left, and takes these along.
    """
    try:
        return process.name().startswith("ray::")
    except psutil.NoSuchProcess:
        return True


def _is_helper(process: psutil.Process) -> bool:
    """Tell whether `process` is one that `multiprocessing` keeps for all of Python's life.

    What the fork server forks has its command line too, but is not our own child.
    """
    try:
        return process.ppid() == _ME.pid and any(
            helper in word for helper in _HELPERS for word in process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False
