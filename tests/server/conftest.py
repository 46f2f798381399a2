"""A real server on loopback, and clients of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from raw_client import RawClient, raw_client

from pipelines.server.app import Server
from pipelines.server.limits import Limits

TOKEN = "a token for the tests"

#: Like the real ones, but nobody waits for what must end.
LIMITS = Limits(grace=0.2)

Serve = Callable[..., AbstractAsyncContextManager[Server]]
Join = Callable[..., AbstractAsyncContextManager[RawClient]]


def url_of(server: Server) -> str:
    """Return the address that clients connect to."""
    return f"http://127.0.0.1:{server.port}"


@contextlib.asynccontextmanager
async def serving(limits: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Server]:
    """Run a server; frames come quickly."""
    options = {"port": 0, "token": TOKEN, "interval": 0.02, **options}
    async with Server(limits=replace(LIMITS, **(limits or {})), **options) as server:
        yield server


@pytest.fixture
def serve() -> Serve:
    """Return what runs a server."""
    return serving


@pytest.fixture
async def server(no_task_left: None) -> AsyncIterator[Server]:
    """Run a server with the default offer."""
    async with serving() as server:
        yield server


@pytest.fixture
async def join(no_task_left: None) -> AsyncIterator[Callable[..., Any]]:
    """Return what connects a client to a namespace of a server."""
    async with AsyncExitStack() as stack:

        async def connect(server: Server, namespace: str = "/v1") -> RawClient:
            client = await stack.enter_async_context(raw_client(url_of(server)))
            granted, said = await client.connect(namespace, {"token": TOKEN})
            assert granted, said
            return client

        yield connect


@pytest.fixture
async def client(server: Server, join: Callable[..., Any]) -> RawClient:
    """Connect an editor to the server."""
    client: RawClient = await join(server)
    return client
