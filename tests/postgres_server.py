"""A PostgreSQL server for tests: made anew in a folder, reached by a socket there, and ended."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["missing", "served"]

_SETTINGS = ["listen_addresses=", "fsync=off", "max_connections=20", "logging_collector=off"]


def missing() -> str:
    """Return what keeps a server from running here; empty where nothing does."""
    if not _program("initdb"):
        return "PostgreSQL is not installed (on Debian: apt-get install postgresql)"
    return (
        "" if os.geteuid() or _user() else "PostgreSQL does not run as root, and no other user is"
    )


def _program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, which Debian keeps off PATH."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"]])) or ""


def _user() -> str:
    users = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in users), "")


@contextlib.contextmanager
def served() -> Iterator[dict[str, str]]:
    """Run a server; yield the variables by which it is found."""
    # Not under pytest's own folder: the path of a socket may have a hundred letters.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = {} if os.geteuid() else {"user": _user(), "group": pwd.getpwnam(_user()).pw_gid}
    if user:
        shutil.chown(folder, user["user"])
    try:
        _make(folder, user)
        with _running(folder, user):
            yield {"PGHOST": str(folder), "PGUSER": "tests", "PGDATABASE": "postgres"}
    finally:
        shutil.rmtree(folder)


def _make(folder: Path, user: dict[str, object]) -> None:
    options = ["--auth=trust", "--username=tests", "--no-sync", "--encoding=UTF8", "--locale=C"]
    command = [_program("initdb"), *options, f"--pgdata={folder / 'data'}"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]


@contextlib.contextmanager
def _running(folder: Path, user: dict[str, object]) -> Iterator[None]:
    settings = [f"-c{each}" for each in [*_SETTINGS, f"unix_socket_directories={folder}"]]
    command = [_program("postgres"), "-D", str(folder / "data"), *settings]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **user,  # type: ignore[call-overload]
    ) as server:
        try:
            _await_ready(server.stderr)
            yield
        finally:
            server.send_signal(signal.SIGINT)  # ends the connections, and then itself
            server.communicate()


def _await_ready(log: object) -> None:
    said: list[str] = []
    for line in log or ():  # type: ignore[attr-defined]
        said.append(line)
        if "ready to accept connections" in line:
            return
    raise RuntimeError(f"PostgreSQL does not start: {''.join(said)}")
