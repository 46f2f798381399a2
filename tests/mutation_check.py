"""Show that the promises are really tested: break the engine on purpose, one way at a time.

``make mutants`` copies the package, makes one change that breaks a promise, and runs the tests
that guard it; each mutant must make them fail. The results stand in the wiki page *Failure and
shutdown*.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutant:
    """One way to break the engine: in `file`, `old` (which must stand there once) becomes `new`."""

    breaks: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "the gap mark: a skipped item leaves none",
        "edge.py",
        "            self.items.append(GAP)\n            self.gaps += 1\n",
        "            pass\n",
    ),
    Mutant(
        "the gap mark: a routed item leaves none on the other edges",
        "edge.py",
        "            if edge.gapped:\n                edge.add_gap()\n        if self.hungry:\n"
        "            self.feed()\n\n    def feed",
        "        if self.hungry:\n            self.feed()\n\n    def feed",
    ),
    Mutant(
        "the credit check: calls in flight do not count",
        "pool.py",
        "        return self.outlet.room() + self._slack - under_way\n",
        "        return self.outlet.room() + self._slack\n",
    ),
    Mutant(
        "the reorder buffer: results are sent on as they come",
        "pool.py",
        "        if not self.ordered:\n            self._emit(item, outcome)",
        "        if True:\n            self._emit(item, outcome)",
    ),
    Mutant(
        "the reorder buffer: the fast path does not look whose turn it is",
        "pool.py",
        "                    place == self.emitted\n                    and type(result)",
        "                    True\n                    and type(result)",
    ),
    Mutant(
        "the closing order: a node's edges end before its exit code has run",
        "life.py",
        '            await node.exit(self.error)\n            node.state = "done"\n',
        "            node.outlet.close()\n            await node.exit(self.error)\n"
        '            node.state = "done"\n',
    ),
    Mutant(
        "the closing order: exits after a failure run from the first node on",
        "life.py",
        "in reversed([*self._in_order(self.units)])",
        "in self._in_order(self.units)",
    ),
    Mutant(
        "doomsday: the end overtakes the last items",
        "edge.py",
        "                edge.closed = True\n                edge.hungry = False\n",
        "                edge.closed = True\n                edge.items.clear()\n",
    ),
    Mutant(
        "waking: a pool is not told of the next item while workers idle",
        "pool.py",
        "                self.inlet.arm(self.rouse)\n\n    def pass_gap",
        "                pass\n\n    def pass_gap",
    ),
    Mutant(
        "the stall: nobody looks whether all wait",
        "schedule.py",
        "        self._waiting += 1\n        self.busy -= 1\n        if not self.busy:\n",
        "        self._waiting += 1\n        self.busy -= 1\n        if False:\n",
    ),
)


def copied(folder: Path) -> None:
    """Write a copy of the package and the tests into `folder`."""
    for name in ("pipelines", "tests", "schemas", "setup.cfg", "demos"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


def mutate(mutant: Mutant, folder: Path) -> None:
    """Make a mutant's change in the copy in `folder`."""
    path = folder / "pipelines" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.file}: what {mutant.breaks!r} changes stands there no more")
    path.write_text(text.replace(mutant.old, mutant.new))


def fails(folder: Path) -> bool:
    """Tell whether the tests of the promises fail in `folder`."""
    guards = ("flow", "joins", "graph_shapes", "failure", "plumber", "promises")
    files = [f"tests/test_{name}.py" for name in guards]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
    run = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=600,
    )
    return run.returncode == 1


def main() -> int:
    """Try every mutant, print what became of it, and fail if one survives."""
    with tempfile.TemporaryDirectory() as name:
        copied(Path(name))
        if fails(Path(name)):
            raise SystemExit("the tests fail without any change: mend that first")
    survivors = 0
    for mutant in MUTANTS:
        with tempfile.TemporaryDirectory() as name:
            copied(Path(name))
            mutate(mutant, Path(name))
            killed = fails(Path(name))
        survivors += not killed
        print(f"{'killed' if killed else 'SURVIVED':9} {mutant.breaks} ({mutant.file})", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
