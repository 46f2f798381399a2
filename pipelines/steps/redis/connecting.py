"""One Redis server: its errors in our words, and its absences borne for a while."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from pipelines.errors import PipelinesError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisError", "RedisUnreachableError", "Server", "without_password"]

T = TypeVar("T")

_CONNECTIONS = 32  # at a time; who wants another one waits
_ANSWER = 10.0  # seconds that the server may take to answer, beyond what it is asked to wait
_PAUSES = (0.05, 2.0)  # seconds between the first attempts to reach it again, and at most


class RedisError(PipelinesError):
    """A Redis server refused what was asked of it; the message says which server, and why."""


class RedisUnreachableError(RedisError):
    """A Redis server can't be reached, or broke off; it may answer the next time."""


class Server:
    """A Redis server, connected to from entering to leaving.

    Args:
        url: such as ``redis://:password@host:6379/0``; also ``rediss://`` and ``unix://``.
        patience: seconds for which `ask` tries again to reach a server that is away.
        wait: seconds that a command may ask the server to wait.

    Attributes:
        client: sends commands; each goes through `ask`.
        url: it, without its password.

    Raises:
        ValueError: the URL is none of a Redis server.
        ImportError: redis is not installed.
    """

    def __init__(self, url: str, *, patience: float = 0.0, wait: float = 0.0) -> None:
        self._redis = _import_redis()
        self.url = without_password(url)
        self._patience = patience
        self._timeout = _ANSWER + wait
        self.client: Redis = self._client(url)

    def _client(self, url: str) -> Any:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=None,
                # That one uses `asyncio.wait_for`, which before Python 3.12 may forget that it was
                # cancelled; see `ask`.
                socket_timeout=None,
                socket_connect_timeout=_ANSWER,
                # Whether a command may be sent twice only its sender knows; see `ask`.
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.url} is no URL of a Redis server: {error}") from error
        return Redis.from_pool(pool)

    async def __aenter__(self) -> Self:
        try:
            await self.ask(self._greet)
        except BaseException:
            await self.close()
            raise
        return self

    async def _greet(self) -> None:
        try:
            await self.client.ping()
        except TypeError as error:  # an option of the URL is first used here
            raise RedisError(f"{self.url}: its URL has an option that is none: {error}") from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections; none need be left."""
        with contextlib.suppress(self._redis.RedisError, OSError):
            await self.client.aclose()

    async def ask(
        self, make: Callable[[], Awaitable[T]], key: str = "", *, patience: float | None = None
    ) -> T:
        """Await what `make` makes; make and await it again where the connection was lost.

        What it asks for may have been done already, and only the answer have been lost.

        Args:
            make: sends commands of `client`.
            key: what they are about, for errors.
            patience: seconds, if other than the server's.

        Raises:
            RedisUnreachableError: the server was away for longer than `patience`.
            RedisError: it refused.
        """
        patience = self._patience if patience is None else patience
        until = time.monotonic() + patience
        pauses = _pauses()
        while True:
            try:
                with self._translated(key, patience):
                    async with asyncio.timeout(self._timeout):
                        return await make()
            except RedisUnreachableError:
                left = until - time.monotonic()
                if left <= 0:
                    raise
            await asyncio.sleep(min(next(pauses), left))

    @contextlib.contextmanager
    def _translated(self, key: str, patience: float) -> Iterator[None]:
        known = self._redis.exceptions
        try:
            yield
        except (known.AuthenticationError, known.AuthorizationError) as error:
            raise RedisError(
                f"{self.url} refuses the user or the password: {error}. They stand in the URL: "
                "redis://user:password@host"
            ) from error
        except (known.ConnectionError, known.TimeoutError, OSError) as error:
            tried = f" (tried for {patience:g} s)" if patience else ""
            why = str(error) or f"it does not answer within {self._timeout:g} s"
            raise RedisUnreachableError(
                f"the Redis server {self.url} can't be reached{tried}: {why}"
            ) from error
        except known.RedisError as error:
            raise RedisError(self._refusal(str(error), key)) from error

    def _refusal(self, said: str, key: str) -> str:
        about = f"{key!r} at {self.url}" if key else self.url
        if said.startswith("WRONGTYPE"):
            return f"{about} is no stream: it holds another type; take another name"
        if said.startswith("NOGROUP"):
            return f"{about} has lost its consumer group, or all of it was deleted: {said}"
        if said.startswith("unknown command"):
            return f"{self.url} is too old, version 6.2 is needed: {said}"
        return f"{about}: the server says: {said}"


def _pauses() -> Iterator[float]:
    pause, most = _PAUSES
    while True:
        yield random.uniform(pause / 2, pause)
        pause = min(2 * pause, most)


def without_password(url: str) -> str:
    """Return a URL as it may be shown: no password, and none of its options, which may hold one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what is given"
    user, at, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"{parts.scheme}://{name}{at if name else ''}{host}{parts.path}"


def _import_redis() -> ModuleType:
    try:
        import redis
    except ModuleNotFoundError as error:
        raise ImportError("this needs redis: pip install 'pipelines[redis]'") from error
    return redis
