"""The function that a step names: from a file, imported once by its path, or from a text."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pipelines.errors import describe
from pipelines.registry import did_you_mean

__all__ = ["find_file", "find_function"]

#: Two nodes must not import one file twice, also where they start in two threads.
_IMPORTING = threading.RLock()


def find_function(function: str, file: str | None, code: str | None) -> Callable[..., Any]:
    """Return the function named `function` of a file, or of `code`.

    Raises:
        FileNotFoundError: there is no such file.
        LookupError: the file, or the code, holds no such function.
        ImportError: it could not be imported; its cause is what it raised, if that is why.
    """
    with _IMPORTING:
        module = _of_code(code) if file is None else _of_file(find_file(file))
    where = "the code" if file is None else file
    if not hasattr(module, function):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise LookupError(f"{where} has no {function!r}. {did_you_mean(function, public)}".strip())
    found = getattr(module, function)
    if not callable(found):
        raise LookupError(
            f"{function!r} in {where} can't be called: it is a {type(found).__name__}."
        )
    return found  # type: ignore[no-any-return]


def find_file(name: str) -> Path:
    """Return the path of a file; one that is relative is looked for as modules are.

    Raises:
        FileNotFoundError: it is in none of these folders.
    """
    path = Path(name)
    folders = [Path()] if path.is_absolute() else [Path(folder) for folder in sys.path]
    for folder in folders:
        if (folder / path).is_file():
            return (folder / path).resolve()
    where = "" if path.is_absolute() else " beside the graph, or where Python finds modules"
    raise FileNotFoundError(f"no file {name} is there{where}")


def _of_file(path: Path) -> ModuleType:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    loader = importlib.machinery.SourceFileLoader(_name(path.stem, str(path)), str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader, origin=str(path))
    assert spec is not None
    spec.has_location = True
    with _beside(path.parent):
        return _imported(importlib.util.module_from_spec(spec), loader.exec_module, path.name)


def _of_code(code: str | None) -> ModuleType:
    text = code or ""
    name = _name("code", text)
    if name in sys.modules:
        return sys.modules[name]
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)

    def execute(module: ModuleType) -> None:
        exec(compile(text, file, "exec"), vars(module))

    return _imported(ModuleType(name), execute, "the code")


def _name(stem: str, unique: str) -> str:
    """Return a module name that no other has, and that a worker process finds again."""
    digest = hashlib.sha256(unique.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"pipelang_{stem}_{digest}"


def _imported(module: ModuleType, execute: Callable[[ModuleType], None], what: str) -> ModuleType:
    sys.modules[module.__name__] = module
    try:
        execute(module)
    except BaseException as error:
        del sys.modules[module.__name__]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise ImportError(f"importing {what} raised {describe(error)}") from error
    return module


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let a file import those beside it, as a script does."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
