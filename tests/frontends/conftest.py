"""A real PostgreSQL server for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import postgres_server
import pytest


@pytest.fixture(scope="session")
def postgres_settings() -> Iterator[Mapping[str, str]]:
    """Run a server as long as there are tests, and give the variables that lead to it."""
    if why := postgres_server.missing():
        pytest.skip(why)
    with postgres_server.served() as variables:
        yield variables


@pytest.fixture
def postgres(postgres_settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find the server."""
    monkeypatch.delenv("PLUMBER_POSTGRES", raising=False)
    for name, value in postgres_settings.items():
        monkeypatch.setenv(name, value)
