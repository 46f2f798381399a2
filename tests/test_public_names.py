"""The public names are the ones meant, each is documented, and private ones stay private."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pipelines

#: All that `pipelines` itself offers; the rest is imported from its module.
EXPECTED = {
    "GraphError",
    "GraphSpec",
    "Later",
    "PipelinesError",
    "Plumber",
    "Problem",
    "Processor",
    "Reporter",
    "Route",
    "RunReport",
    "SKIP",
    "StepError",
    "check",
    "load",
    "run",
}

#: Names with an underscore that are public all the same: of named tuples, of `os` and `sys`, and of
#: the async clients of `fsspec`, which documents them so.
NOT_PRIVATE = {
    "_asdict",
    "_current_frames",
    "_exit",
    "_fields",
    "_getframe",
    "_make",
    "_pipe_file",
    "_put_file",
    "_replace",
}

PACKAGE = Path(pipelines.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [
    info.name
    for info in pkgutil.walk_packages([str(PACKAGE)], "pipelines.")
    if not info.name.endswith("__main__")
]


def is_private(name: str) -> bool:
    """Tell whether a name is for the module alone that defines it."""
    return name.startswith("_") and not name.startswith("__") and name not in NOT_PRIVATE


def private_uses(source: str) -> Iterator[str]:
    """Yield each private name of another module that the source text of one imports or touches."""
    tree = ast.parse(source)
    own = set(defined_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if is_private(alias.name):
                    yield f"line {node.lineno}: from {node.module} import {alias.name}"
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            inherited = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not inherited and node.attr not in own:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def defined_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module gives something to: variables, functions, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield name
            case ast.Constant(value=str(name)):  # in __slots__
                yield name


def test_the_public_names() -> None:
    """Exactly the expected names are offered, and `dir` shows them."""
    assert set(pipelines.__all__) == EXPECTED
    assert set(dir(pipelines)) >= EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_public_name_is_documented(name: str) -> None:
    """Each can be imported and says what it is."""
    thing = getattr(pipelines, name)
    assert inspect.getdoc(thing if callable(thing) else type(thing))


def test_no_module_takes_a_public_name() -> None:
    """A public name stays what it is after a module of the same name has been imported."""
    code = "; ".join(f"import {name}" for name in MODULES)
    code += "; import pipelines, types; print([n for n in pipelines.__all__ if isinstance("
    code += "getattr(pipelines, n), types.ModuleType)])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="Plumer"):
        pipelines.Plumer  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_a_module_keeps_its_promises(name: str) -> None:
    """Its `__all__` names things that it has, and it, they and their methods are documented."""
    module = importlib.import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert not missing_docstrings(thing)


def missing_docstrings(thing: type | object) -> list[str]:
    """Return the names of `thing` and of its own public methods that have no docstring."""
    members = vars(thing).items() if inspect.isclass(thing) else ()
    methods = [m for n, m in members if inspect.isfunction(m) and not n.startswith("_")]
    return [each.__qualname__ for each in [thing, *methods] if not inspect.getdoc(each)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_private_names_stay_private(file: Path) -> None:
    """No module imports or touches what is private to another one."""
    assert list(private_uses(file.read_text())) == []


@pytest.mark.parametrize(
    "source",
    ["from pipelines.step import _call", "step._call()", "def f(edge):\n    edge._queue = 1"],
)
def test_a_private_use_is_found(source: str) -> None:
    """Be it imported, called or set."""
    assert len(list(private_uses(source))) == 1


def test_the_modules_are_found() -> None:
    """The tests above look at the real modules, not at an empty list."""
    assert {"pipelines.errors", "pipelines.registry", "pipelines.spec"} <= set(MODULES)
    assert isinstance(sys.modules["pipelines"], ModuleType)
