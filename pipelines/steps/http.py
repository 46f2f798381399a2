"""A step that fetches pages over HTTP, with aiohttp."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from pipelines.errors import PipelinesError
from pipelines.registry import steps

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HttpError", "HttpStatusError", "HttpTemporaryError", "http_get"]

_CHUNK = 65_536  # bytes read at a time, so that `max_bytes` holds without reading all of a body
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpError(PipelinesError):
    """A page could not be used; the message names its URL."""


class HttpStatusError(HttpError):
    """The server answered with a status of 400 or more.

    Attributes:
        url, status: what was asked for, and the answer.
    """

    def __init__(self, message: str, url: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.url = url
        self.status = status


class HttpTemporaryError(HttpStatusError):
    """The server answered with a status that may be another one next time, such as 429 or 503."""


@steps.register("http_get")
class http_get:  # noqa: N801  # a step is named as graphs spell it
    """Fetch a page over HTTP, all of them in one session of the run.

    How many at a time is the node's `concurrency`. Worth trying again are::

        retry: {attempts: 4, on: [HttpTemporaryError, ClientConnectionError, TimeoutError]}

    Args:
        url: a template, such as ``https://example.org/{item}``, or ``…/{key}`` where items are
            mappings; what is filled in is quoted. By default the item itself is the URL.
        timeout: seconds that one page may take in all.
        headers: sent with every request.
        parse: what to make of the body: ``text`` (in the charset that the server says, or UTF-8;
            wrong bytes are replaced), ``json`` or ``bytes``.
        max_bytes: the largest body accepted.

    Returns:
        The body.

    Raises:
        HttpStatusError: the status is 400 or more; an `HttpTemporaryError` where it may pass.
        HttpError: the body is larger than `max_bytes`, or not the JSON it should be.
        TimeoutError: the page took longer than `timeout`.
        aiohttp.ClientError: the server can't be reached, or broke off.
        ImportError: aiohttp is not installed.
    """

    def __init__(
        self,
        url: str | None = None,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
        parse: Literal["text", "json", "bytes"] = "text",
        max_bytes: int = 100_000_000,
    ) -> None:
        if parse not in ("text", "json", "bytes"):
            raise ValueError(f"parse is 'text', 'json' or 'bytes', not {parse!r}")
        self._aiohttp = _import_aiohttp()
        self._template = url
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._parse = parse
        self._max_bytes = max_bytes

    async def __aenter__(self) -> Self:
        self._session: aiohttp.ClientSession = self._aiohttp.ClientSession(
            headers=self._headers,
            timeout=self._aiohttp.ClientTimeout(total=self._timeout),
            # The node's `concurrency` is the limit, not a second one here.
            connector=self._aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def __call__(self, item: Any) -> Any:
        """Fetch one page."""
        url = str(item) if self._template is None else _fill(self._template, item)
        try:
            async with self._session.get(url) as response:
                _check_status(url, response)
                body = await self._read(url, response)
        except TimeoutError as error:  # aiohttp's own says nothing
            raise TimeoutError(f"GET {url} took longer than {self._timeout} s") from error
        return self._parsed(url, body, response.charset)

    async def _read(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise HttpError(f"GET {url}: the body is larger than max_bytes ({self._max_bytes})")
        return bytes(body)

    def _parsed(self, url: str, body: bytes, charset: str | None) -> Any:
        if self._parse == "bytes":
            return body
        if self._parse == "text":
            return _decode(body, charset)
        try:
            return json.loads(body)
        except ValueError as error:
            raise HttpError(f"GET {url}: the body is no JSON: {error}") from error


def _import_aiohttp() -> ModuleType:
    try:
        import aiohttp
    except ModuleNotFoundError as error:
        raise ImportError("http_get needs aiohttp: pip install aiohttp") from error
    return aiohttp


def _fill(template: str, item: Any) -> str:
    fields = item if isinstance(item, Mapping) else {"item": item}
    try:
        return template.format_map({key: quote(str(fields[key]), safe="") for key in fields})
    except KeyError as error:
        text = f"the url template {template!r} wants {error}, an item has {list(fields)}"
        raise HttpError(text) from error


def _check_status(url: str, response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        kind = HttpTemporaryError if response.status in _TEMPORARY else HttpStatusError
        message = f"GET {url} answered {response.status} {response.reason or ''}".rstrip()
        raise kind(message, url, response.status)


def _decode(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except LookupError:  # a charset that Python doesn't know
        return body.decode("utf-8", errors="replace")
