"""Sixty clients at once, each with a run of its own: how quickly frames come, and what is left.

``python tests/server/load.py [--clients 60] [--seconds 8]`` prints the figures. The server is a
process of its own. A frame's latency is told by its own clock: how much later it came, since the
start of the run, than the frame of that run that came quickest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

from raw_client import RawClient, raw_client  # noqa: E402  # also where this is run as a program

_SPAN = 1_000_000  # numbers that belong to one client


@dataclass
class Seen:
    """What one client saw.

    Attributes:
        frames: when each came, and its own clock, in seconds.
        asked: how long each request took to be answered, in seconds.
        foreign: items that were another client's.
    """

    frames: list[tuple[float, float]] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    foreign: int = 0
    balanced: bool = False

    @property
    def latencies(self) -> list[float]:
        """How much later than the quickest each frame came, in seconds."""
        offsets = [came - clock for came, clock in self.frames]
        return [offset - min(offsets) for offset in offsets]


@dataclass
class Figures:
    """What came of it; times in milliseconds, memory in megabytes."""

    clients: int
    frames_each: tuple[int, int]
    frame_p50: float
    frame_p95: float
    answer_p95: float
    foreign_items: int
    all_balanced: bool
    memory_before: float
    memory_during: float
    memory_after: float
    cpu_percent: float
    runs_left: bool


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[tuple[str, psutil.Process]]:
    """Run ``plumber serve``; give its address and its process."""
    command = [sys.executable, "-m", "pipelines", "serve", "--port", "0", "--no-token"]
    command += ["--limit-grace", "0.5"]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=-1)
    assert process.stdout
    try:
        link = (await process.stdout.readline()).decode().split()[-1]
        yield link.rstrip("/"), psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.communicate()


def graph(index: int) -> dict[str, Any]:
    """Return the pipeline of one client: its own numbers, two hundred a second."""
    slow = {"args": {"seconds": 0.02}, "properties": {"concurrency": 4}}
    return {
        "nodes": {
            "numbers": {"func": "count", "args": {"start": index * _SPAN}},
            "slow": {"func": "slow", **slow},
            "show": {"func": "show"},
        },
        "graph": {"numbers": ["slow"], "slow": ["show"]},
    }


async def watch(client: RawClient, index: int, seconds: float) -> Seen:
    """Run a pipeline for some seconds, and watch it as the editor does."""
    seen = Seen()
    run = (await client.ask("run", {"graph": graph(index)}))["run"]
    await client.ask("credit", {"run": run, "n": 2})
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        note(seen, await client.next("frame"), index)
        began = time.perf_counter()
        await client.ask("credit", {"run": run, "n": 1})
        seen.asked.append(time.perf_counter() - began)
    await client.ask("stop", {"run": run, "mode": "drain"})
    seen.balanced = (await client.next("done"))["balance"]["ok"]
    return seen


def note(seen: Seen, frame: dict[str, Any], index: int) -> None:
    """Take down a frame."""
    seen.frames.append((time.perf_counter(), frame["t"]))
    owners = [int(item["text"]) // _SPAN for item in frame["items"]]
    seen.foreign += sum(owner != index for owner in owners)


async def measure(clients: int, seconds: float) -> Figures:
    """Let so many clients run their pipelines for some seconds."""
    async with server() as (url, process):
        for _ in range(2):  # so that all is imported, and memory is what the work itself needs
            await together(url, clients, 0.5)
        before = process.memory_info().rss
        process.cpu_percent()
        seen = await together(url, clients, seconds)
        during, cpu = process.memory_info().rss, process.cpu_percent()
        async with raw_client(url) as client:
            await client.connect()
            left = await leave_running(client)
        return figures(seen, before, during, cpu, process, await is_gone(url, left))


async def together(url: str, clients: int, seconds: float) -> list[Seen]:
    """Let so many clients connect, run and watch their pipelines, and leave."""
    async with contextlib.AsyncExitStack() as stack:
        joined = [await stack.enter_async_context(raw_client(url)) for _ in range(clients)]
        for client in joined:
            await client.connect()
        watching = [watch(client, index, seconds) for index, client in enumerate(joined)]
        return await asyncio.gather(*watching)


async def leave_running(client: RawClient) -> str:
    """Start a run that its client will not end, and return its id."""
    run: str = (await client.ask("run", {"graph": graph(0)}))["run"]
    return run


async def is_gone(url: str, run: str) -> bool:
    """Wait until nobody can go on with a run any more."""
    async with raw_client(url) as client:
        await client.connect()
        ack = await client.ask("attach", {"run": run})
        await client.close()
    if ack["ok"]:
        await asyncio.sleep(0.6)  # the grace time begins anew
        return await is_gone(url, run)
    return bool(ack["errors"][0]["code"] == "gone")


def figures(
    seen: list[Seen], before: int, during: int, cpu: float, process: psutil.Process, gone: bool
) -> Figures:
    """Return what is to be told."""
    latencies = quantiles([each for one in seen for each in one.latencies], n=20)
    asked = quantiles([each for one in seen for each in one.asked], n=20)
    counts = [len(one.frames) for one in seen]
    return Figures(
        clients=len(seen),
        frames_each=(min(counts), max(counts)),
        frame_p50=round(latencies[9] * 1000, 1),
        frame_p95=round(latencies[18] * 1000, 1),
        answer_p95=round(asked[18] * 1000, 1),
        foreign_items=sum(one.foreign for one in seen),
        all_balanced=all(one.balanced for one in seen),
        memory_before=round(before / 1e6, 1),
        memory_during=round(during / 1e6, 1),
        memory_after=round(process.memory_info().rss / 1e6, 1),
        cpu_percent=cpu,
        runs_left=not gone,
    )


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measure the live server under load.")
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    found = asyncio.run(measure(options.clients, options.seconds))
    print(json.dumps(asdict(found), indent=2))


if __name__ == "__main__":
    main()
