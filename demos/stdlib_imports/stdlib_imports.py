"""Steps that measure Python's own standard library: who imports what, and which files are large."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines.steps.files import glob

STDLIB = sysconfig.get_path("stdlib")

Summary = dict[str, Any]


def files(tests: bool = True) -> Iterator[str]:
    """Find the source files of the running Python's standard library, sorted.

    Args:
        tests: whether its own tests are read too. Some of them are broken on purpose.

    Yields:
        Absolute paths.
    """
    other = ["site-packages"] if tests else ["site-packages", "test", "tests"]
    return glob("**/*.py", root=STDLIB, exclude=other)


def parse(path: str) -> Summary:
    """Parse one source file, and return what the analyses need of it.

    This is the work worth a process of its own. The syntax tree stays there: it is a hundred times
    larger than this summary, and slow to send.

    Raises:
        SyntaxError: the file is no Python, or its bytes are not in the encoding that it says.
    """
    source = Path(path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old string escapes and the like: not our files
        tree = ast.parse(source, path)
    statements = Counter(map(type, found := list(_statements(tree))))
    return {
        "file": _relative(path),
        "bytes": len(source),
        "lines": len(source.splitlines()),
        "functions": statements[ast.FunctionDef] + statements[ast.AsyncFunctionDef],
        "classes": statements[ast.ClassDef],
        "imports": [name for statement in found for name in _imported(statement)],
    }


def imports(summary: Summary) -> list[str]:
    """Return the top-level modules that a file imports, each once, sorted."""
    return sorted({name.partition(".")[0] for name in summary["imports"]})


def size(summary: Summary) -> Summary:
    """Return how large a file is."""
    return {key: summary[key] for key in ("file", "bytes", "lines", "functions", "classes")}


def record(imported: list[str], measured: Summary) -> Summary:
    """Join the two analyses of one file."""
    return {**measured, "imports": imported}


class Table:
    """Print the most imported modules and the largest files once all are known.

    Args:
        top: how many of each.
    """

    def __init__(self, top: int = 10) -> None:
        self._top = top
        self._files = 0
        self._lines = 0
        self._imported: Counter[str] = Counter()
        self._largest: list[Summary] = []

    def __enter__(self) -> Self:
        return self

    def __call__(self, file: Summary) -> None:
        """Count one file in."""
        self._files += 1
        self._lines += file["lines"]
        self._imported.update(file["imports"])
        self._largest.append(file)
        self._largest.sort(key=lambda each: (-each["lines"], each["file"]))
        del self._largest[self._top :]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            print("\n".join(self._text()))

    def _text(self) -> Iterator[str]:
        yield f"{self._files:,} files, {self._lines:,} lines"
        yield ""
        yield f"{'most imported':<40}{'by files':>10}"
        ranked = sorted(self._imported.items(), key=lambda pair: (-pair[1], pair[0]))
        for name, count in ranked[: self._top]:
            yield f"{name:<40}{count:>10,}"
        yield ""
        yield f"{'largest files':<40}{'lines':>10}{'functions':>11}{'classes':>9}"
        for file in self._largest:
            counts = f"{file['lines']:>10,}{file['functions']:>11,}{file['classes']:>9,}"
            yield f"{file['file']:<40}{counts}"


def _relative(path: str) -> str:
    return Path(path).relative_to(STDLIB).as_posix()


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield every statement; expressions, most of a tree, hold none and are passed over."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.expr):
            yield from _statements(child)


def _imported(statement: ast.stmt) -> Iterator[str]:
    """Yield the full names of the modules that a statement imports, but for relative ones."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        yield statement.module
