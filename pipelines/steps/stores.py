"""Stores of objects, each written to as it best is: in the event loop, or in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

__all__ = ["Store", "opened"]

_FOLDERS = ("file", "local")
_GOOGLE = ("gs", "gcs")
_AMAZON = ("s3", "s3a")
# Bytes of one request: aiohttp warns of more than 2**20 at once, Google wants a multiple of 2**18.
_CHUNK = 3 * 2**18
_BOUNDARY = b"--==0=="  # between the parts of a request of gcsfs
_SMALL = 5 * 2**20  # bytes of a file that the clients send in one request


class Store(Protocol):
    """A place for objects."""

    async def write(self, url: str, content: bytes | os.PathLike[str], kind: str | None) -> None:
        """Write one object, whole.

        Args:
            url: where to.
            content: it, or the file that holds it.
            kind: its type, such as ``text/csv``, if it is known.
        """


@contextlib.asynccontextmanager
async def opened(
    fsspec: ModuleType, protocol: str, storage: Mapping[str, Any]
) -> AsyncIterator[Store]:
    """Open the store that a protocol names, and close it at the end.

    Args:
        fsspec: the package.
        protocol: what stands before ``://``.
        storage: arguments for the store's client.

    Raises:
        ValueError: no store has that protocol.
        ImportError: the package of the store is not installed.
    """
    kind = fsspec.get_filesystem_class(protocol)
    if protocol in _FOLDERS:
        yield _Folder(kind(auto_mkdir=True, **storage))
    elif not kind.async_impl:
        yield _Threads(kind(**storage))
    else:
        async with _session(_without_grpc(kind, protocol, storage), storage) as client:
            yield _Loop(client, protocol)


@contextlib.asynccontextmanager
async def _session(kind: Any, storage: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Make an async client of our own loop, and close its connections, which it leaves to us."""
    loop = asyncio.get_running_loop()
    client = kind(asynchronous=True, loop=loop, skip_instance_cache=True, **storage)
    start = getattr(client, "set_session", None) or getattr(client, "_set_session", None)
    session = None if start is None else await start()
    try:
        yield client
    finally:
        if session is not None:
            await session.close()


def _without_grpc(kind: Any, protocol: str, storage: Mapping[str, Any]) -> Any:
    """Return the client that speaks HTTP alone, for an emulator of Google's store.

    The usual one asks for the kind of each bucket over gRPC first, which no emulator answers.
    """
    emulated = storage.get("endpoint_url") or os.environ.get("STORAGE_EMULATOR_HOST")
    if protocol not in _GOOGLE or not emulated:
        return kind
    from gcsfs.core import GCSFileSystem

    return GCSFileSystem


class _Loop:
    """A store with an async client."""

    def __init__(self, client: Any, protocol: str) -> None:
        self._client = client
        self._protocol = protocol

    async def write(self, url: str, content: bytes | os.PathLike[str], kind: str | None) -> None:
        """Write one object, whole."""
        if not isinstance(content, bytes):
            content = await asyncio.to_thread(_read_small, content)
        if isinstance(content, bytes):
            await self._client._pipe_file(url, content, **self._options(content, kind))
        else:
            await self._client._put_file(os.fspath(content), url, **self._options(b"", kind))

    def _options(self, content: bytes, kind: str | None) -> dict[str, Any]:
        if self._protocol in _GOOGLE:
            # What holds the client's fixed boundary must not be sent between two of them; it is not
            # where it fills a whole chunk.
            chunk = min(_CHUNK, len(content)) if _BOUNDARY in content else _CHUNK
            return {"content_type": kind or "application/octet-stream", "chunksize": chunk}
        return {"ContentType": kind} if self._protocol in _AMAZON and kind else {}


def _read_small(path: os.PathLike[str]) -> bytes | os.PathLike[str]:
    """Return the content of a file, or if that is much, its path."""
    return Path(path).read_bytes() if Path(path).stat().st_size <= _SMALL else path


class _Threads:
    """A store with a blocking client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def write(self, url: str, content: bytes | os.PathLike[str], kind: str | None) -> None:
        """Write one object, whole."""
        await asyncio.to_thread(self._write, url, content)

    def _write(self, url: str, content: bytes | os.PathLike[str]) -> None:
        if isinstance(content, bytes):
            self._client.pipe_file(url, content)
        else:
            self._client.put_file(os.fspath(content), url)


class _Folder(_Threads):
    """Files of this machine: each gets its name once it is whole."""

    def _write(self, url: str, content: bytes | os.PathLike[str]) -> None:
        folder, slash, name = url.rpartition("/")
        if not name or self._client.isdir(url):
            raise IsADirectoryError(f"{url} is a folder: say what the file is called")
        part = f"{folder}{slash}.{name}.{uuid.uuid4().hex}.part"
        try:
            super()._write(part, content)
            self._client.mv(part, url)
        except BaseException:
            with contextlib.suppress(OSError):
                self._client.rm_file(part)
            raise
