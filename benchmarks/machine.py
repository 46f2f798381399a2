"""What the figures were measured on, for whoever compares them with their own."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

from benchmarks import peers


def facts(python: str) -> dict[str, str]:
    """Return what a reader needs to know of the machine, in the order to show it."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": _python(python),
        "peers": ", ".join(f"{name} {version}" for name, version in peers.versions().items()),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
    }


def spin(python: str) -> int:
    """Return how many numbers take 30 µs to sum up while nobody disturbs it; a multiple of four.

    So the sum is even, and a step that adds what is left of it changes nothing.
    """
    code = "import timeit; print(min(timeit.repeat('sum(range(3000)) % 2', number=100, repeat=50)))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return int(3000 * 30e-6 / (float(done.stdout) / 100)) // 4 * 4


def _python(python: str) -> str:
    code = "import platform as p; print(p.python_implementation(), p.python_version())"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GB"
