"""Imports point down only, and a plain `import pipelines` brings in nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_blocks import blocks_of

PACKAGE = Path(__file__).parent.parent / "pipelines"

#: Parts that may use less than all that lies below them.
ONLY = {"steps": {"errors", "registry", "step"}}

HEAVY = ["aiohttp", "click", "dotenv", "jsonschema", "networkx", "ray", "redis", "rich"]
HEAVY += ["prometheus_client", "socketio", "typer", "yaml"]

#: The first block of CONTRIBUTING.md: a module may import those of its own row and of those below.
ROWS = blocks_of((PACKAGE.parent / "CONTRIBUTING.md").read_text())[0].text.splitlines()
LEVEL = {name: level for level, row in enumerate(reversed(ROWS)) for name in row.split()}
LEVEL["__main__"] = LEVEL["cli"]
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """Return the module, or the subpackage, right under `pipelines` that a file belongs to."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the part of each import of ours, be it late or for typing alone."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "pipelines":
            names = [f"pipelines.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            package, _, rest = f"{name}.".partition(".")
            if package == "pipelines":
                yield node.lineno, rest.partition(".")[0]


def faults(part: str, source: str) -> list[str]:
    """Say which imports in the source text of a module of `part` point up."""
    below = {name for name, level in LEVEL.items() if level <= LEVEL[part]}
    allowed = (ONLY.get(part, below) | {part}) - {"__main__"}
    if LEVEL[part] >= LEVEL["cli"]:
        allowed.add("")  # `import pipelines`: the public names stand above all but these
    found = imported_parts(ast.parse(source))
    return [f"line {line}: {part} imports {name}" for line, name in found if name not in allowed]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    """No module imports one of a row above its own, nor the package itself, which stands above."""
    if (part := part_of(file)) == "__init__":
        return
    assert part in LEVEL, f"give {part!r} a place in the layers of CONTRIBUTING.md"
    assert not faults(part, file.read_text())


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("errors", "from pipelines.spec import GraphSpec"),
        ("step", "def f():\n    import pipelines.plumber"),
        ("edge", "if TYPE_CHECKING:\n    from pipelines import processor"),
        ("steps", "from pipelines.spec import GraphSpec"),
        ("check", "from pipelines import Plumber"),
        ("plumber", "import pipelines"),
        ("load", "from pipelines.nowhere import thing"),
    ],
)
def test_an_import_that_points_up_is_found(part: str, source: str) -> None:
    """Whatever form it takes: late, for typing alone, or through the package."""
    assert len(faults(part, source)) == 1


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("spec", "from pipelines.errors import Problem"),
        ("registry", "import pipelines.spec"),
        ("steps", "from pipelines.steps.files import read_lines\nimport json"),
        ("cli", "import pipelines"),
        ("cli", "from pipelines import load"),
    ],
)
def test_an_import_that_points_down_is_allowed(part: str, source: str) -> None:
    """Also one of the same row, or of the same part."""
    assert not faults(part, source)


def test_a_plain_import_is_light() -> None:
    """No parser, driver or terminal library is imported before it is needed."""
    code = (
        f"import json, sys, pipelines; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
