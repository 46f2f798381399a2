"""Who may come in: whoever shows the token."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from pipelines.errors import ServerError

__all__ = ["SAFE_LENGTH", "Door", "check_exposure", "new_token"]

#: Characters of a token that may be used where others than this machine can reach the server.
SAFE_LENGTH = 16


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


class Door:
    """Lets in who shows the token.

    Args:
        token: what is to be shown; `None` lets everybody in.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def opens_to(self, auth: Any) -> bool:
        """Tell whether what a client shows is the token, in a time that tells nothing of it."""
        if self._token is None:
            return True
        shown = auth.get("token") if isinstance(auth, Mapping) else None
        text = shown if isinstance(shown, str) else ""
        return hmac.compare_digest(text.encode(errors="replace"), self._token.encode())


def check_exposure(host: str, loopback: bool, token: str | None, open_seed: bool) -> None:
    """See that a server which others can reach asks for a token that they can't guess.

    Raises:
        ServerError: it does not.
    """
    if loopback:
        return
    if open_seed or token is None:
        raise ServerError(f"{host} can be reached from outside, so the server must ask for a token")
    if len(token) < SAFE_LENGTH:
        raise ServerError(
            f"{host} can be reached from outside, so the token needs {SAFE_LENGTH} characters or "
            "more; without --token a good one is made"
        )
