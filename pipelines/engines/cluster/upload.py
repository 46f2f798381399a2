"""Packs the folder of a graph for a cluster: its code, without data and without what is big."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import PipelinesError

__all__ = ["IGNORE_FILE", "LEFT_OUT", "LIMIT", "chosen", "pack"]

#: What says, as a `.gitignore` does, what else to leave out.
IGNORE_FILE = ".plumberignore"

#: What is never sent: what others make anew, and what holds secrets.
LEFT_OUT = (
    ".git/",
    ".hg/",
    ".venv*/",
    "venv/",
    "__pycache__/",
    "*.pyc",
    "node_modules/",
    ".*_cache/",
    ".tox/",
    ".nox/",
    "*.egg-info/",
    ".DS_Store",
    ".env",
)

#: Bytes that a folder may have in all, and one file of it.
LIMIT = 100 * 2**20
_FILE_LIMIT = 20 * 2**20

_ERA = (1980, 1, 1, 0, 0, 0)  # the same files are the same bytes, which Ray keeps once


def chosen(folder: Path) -> list[Path]:
    """Return the files of `folder` that are sent, relative to it, sorted.

    Raises:
        PipelinesError: what `.plumberignore` says can't be understood, or `pathspec` is missing.
    """
    try:
        from pathspec import GitIgnoreSpec
    except ModuleNotFoundError as error:
        raise PipelinesError("plumber submit needs pip install 'pipelines[ray]'") from error
    file = folder / IGNORE_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    try:
        spec = GitIgnoreSpec.from_lines([*LEFT_OUT, *lines])
    except ValueError as error:
        raise PipelinesError(f"{file}: {error}") from error
    return sorted(_walk(folder, folder, spec.match_file))


def _walk(top: Path, folder: Path, left_out: object) -> Iterator[Path]:
    """Yield the files that are kept; what is left out is not even looked into."""
    assert callable(left_out)
    for each in folder.iterdir():
        name = each.relative_to(top)
        is_folder = each.is_dir() and not each.is_symlink()
        if left_out(f"{name.as_posix()}/" if is_folder else name.as_posix()):
            continue
        if is_folder:
            yield from _walk(top, each, left_out)
        elif each.is_file():
            yield name


def pack(folder: Path, archive: Path) -> None:
    """Write the files of `folder` that are sent into the zip file `archive`.

    Raises:
        PipelinesError: there is too much; the message names the biggest.
    """
    names = chosen(folder)
    _refuse_big({name: (folder / name).stat().st_size for name in names})
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            mode = (folder / name).stat().st_mode & 0o777
            entry = zipfile.ZipInfo(name.as_posix(), _ERA)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            opened.writestr(entry, (folder / name).read_bytes())


def _refuse_big(sizes: dict[Path, int]) -> None:
    big = [name for name, size in sizes.items() if size > _FILE_LIMIT]
    if not big and sum(sizes.values()) <= LIMIT:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    listed = ", ".join(f"{name.as_posix()} ({sizes[name] / 2**20:,.1f} MiB)" for name in largest)
    raise PipelinesError(
        f"the folder of the graph is too big to send: {sum(sizes.values()) / 2**20:,.1f} MiB, and "
        f"{LIMIT >> 20} in all and {_FILE_LIMIT >> 20} a file are the most. The biggest: {listed}. "
        f"Name what the run does not need in {IGNORE_FILE}, one pattern a line as in a .gitignore, "
        "and let the graph read data from where all workers find it."
    )
