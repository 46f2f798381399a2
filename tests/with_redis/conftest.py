"""A Redis server for the tests of a module, empty for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server for the tests of a module."""
    if why := redis_server.missing():
        pytest.skip(why)
    with redis_server.served() as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    """Give a client of an empty server."""
    with redis.Redis.from_url(server, protocol=2, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def url(server: str, client: Any) -> str:
    """Give the URL of an empty server."""
    return server
