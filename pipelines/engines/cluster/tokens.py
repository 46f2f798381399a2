"""The secret that a cluster asks of all who come: where it is found, and how a new one is made."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import PipelinesError

__all__ = ["VARIABLES", "applied", "default_file", "found", "head_token", "new_token", "throw_away"]

#: What Ray reads of the environment: whether tokens are asked for, the token, or the file it is in.
VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_MODE, _TEXT, _FILE = VARIABLES
_ENOUGH = 16  # characters of a token that nobody guesses


def default_file() -> Path:
    """Return the file in which Ray looks when the environment names neither token nor file."""
    return Path.home() / ".ray" / "auth_token"


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_hex(32)


def throw_away() -> dict[str, str]:
    """Return the settings of a cluster that this process alone uses: a token of its own."""
    return {_MODE: "token", _TEXT: new_token()}


def found(token_file: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return the settings with which to come to a cluster; none where there is no token.

    Args:
        token_file: read this file; by default what `RAY_AUTH_TOKEN` says, then the file that
            `RAY_AUTH_TOKEN_PATH` names, then `~/.ray/auth_token`.

    Raises:
        PipelinesError: the file can't be read, or holds no token.
    """
    if token_file is not None:
        return _of_file(Path(token_file))
    if os.environ.get(_MODE, "token").lower() != "token":
        return {_MODE: os.environ[_MODE]}
    if os.environ.get(_TEXT):
        return {_MODE: "token", _TEXT: os.environ[_TEXT]}
    if named := os.environ.get(_FILE):
        return _of_file(Path(named))
    return _of_file(default_file()) if default_file().exists() else {}


def head_token(token_file: str | os.PathLike[str] | None = None) -> tuple[dict[str, str], str]:
    """Return the settings of a new cluster, and where others find its token.

    Where there is no token yet, a new one is written to `token_file`, or to the file in which Ray
    looks; nobody else may read it.

    Raises:
        PipelinesError: the file can't be read or written, or tokens are switched off.
    """
    file = Path(token_file) if token_file is not None else default_file()
    settings = {} if token_file is not None and not file.exists() else found(token_file)
    if not settings:
        _write(file)
        settings = _of_file(file)
    if settings[_MODE] != "token":
        raise PipelinesError(
            f"{_MODE}={settings[_MODE]}: whoever reaches a cluster can run code in it, so one is "
            f"not started without a token; unset {_MODE}"
        )
    return settings, settings.get(_FILE, f"${_TEXT}")


def _of_file(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PipelinesError(
            f"can't read the token in {file}: {why}. Copy it from the first node, or name "
            "its file with --token-file."
        ) from error
    if len(text) < _ENOUGH:
        raise PipelinesError(f"{file} holds no token: {_ENOUGH} characters are the least")
    return {_MODE: "token", _FILE: str(file.absolute())}


def _write(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_token())
    except OSError as error:
        raise PipelinesError(f"can't write a new token to {file}: {error.strerror}") from error


def applied(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with these settings, and no others of their kind."""
    rest = {name: value for name, value in environment.items() if name not in VARIABLES}
    return {**rest, **settings}
