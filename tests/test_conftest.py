"""The leak check that every test is under finds each kind of leak, and only leaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LEAKS = """
import asyncio, subprocess, threading, time

KEPT = []

async def test_task():
    KEPT.append(asyncio.ensure_future(asyncio.sleep(60)))

def test_thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def test_process():
    KEPT.append(subprocess.Popen(["sleep", "60"]))

def test_file():
    KEPT.append(open(__file__))

def teardown_module():
    KEPT[1].kill()
    KEPT[1].wait()
    KEPT[2].close()
"""

CLEAN = """
import asyncio, multiprocessing, pytest, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

@pytest.fixture
async def ticking():
    task = asyncio.ensure_future(asyncio.sleep(60))
    yield
    task.cancel()

async def test_a_fixture_may_own_a_task(ticking):
    await asyncio.to_thread(time.sleep, 0)

@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_that_is_shut_down_is_gone(method):
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(abs, -1).result() == 1

def test_threads_that_are_ending_have_time_to():
    pool = ThreadPoolExecutor(1)
    pool.submit(time.sleep, 0.1)
    pool.shutdown(wait=False)
"""


def run_under_the_check(tests: str, folder: Path) -> str:
    """Run the text of a test module with our conftest.py and return what pytest prints."""
    (folder / "test_it.py").write_text(tests)
    ours = Path(__file__).with_name("conftest.py").read_text()
    (folder / "conftest.py").write_text(ours.replace("_GRACE = 2.0", "_GRACE = 0.3"))
    command = [sys.executable, "-m", "pytest", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    run = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, env={**os.environ, "COLUMNS": "400"}
    )
    return run.stdout


def test_every_kind_of_leak_is_found(tmp_path: Path) -> None:
    """A task, a thread, a child process and an open file left behind are each an error."""
    said = run_under_the_check(LEAKS, tmp_path)
    assert "4 passed, 4 errors" in said
    for trace in ("left a task behind", "left behind: <Thread", "name='sleep'", "test_it.py"):
        assert trace in said


def test_what_is_ended_is_no_leak(tmp_path: Path) -> None:
    """Pools that were shut down and tasks that a fixture cancels are not reported."""
    assert "5 passed in" in run_under_the_check(CLEAN, tmp_path)
