"""A step that writes items to object stores and folders, with fsspec."""

from __future__ import annotations

import contextlib
import json
import mimetypes
import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from pipelines.errors import PipelinesError, shorten
from pipelines.registry import steps
from pipelines.steps.stores import Store, opened

__all__ = ["UploadError", "upload"]


class UploadError(PipelinesError):
    """An item can't be uploaded; the message says where to, or why not."""


@steps.register("upload")
class upload:  # noqa: N801  # a step is named as graphs spell it
    """Write each item to an object store or a folder, as an object of its own.

    A string is written as UTF-8, bytes as they are, a `pathlib.Path` as the content of that file,
    anything else as JSON. An object is there when it is whole, or not at all. A store with an async
    client is written to in the event loop, any other one in threads.

    Args:
        url: a path, or a URL such as ``gs://bucket/name`` or ``s3://bucket/name``, for which the
            package of that store must be installed. It is a template: ``{number}`` counts the calls
            from 1, and where items are mappings, ``{key}`` is what they hold there.
        body: of items that are mappings, write only what they hold under this key.
        content_type: such as ``text/csv``, for Google's and Amazon's stores; by default what the
            end of the URL says.
        storage: arguments for the store's client in `fsspec`, such as ``{token: anon}``.

    Returns:
        The URL.

    Raises:
        UploadError: a second item would replace the first one, an item lacks what is wanted of it,
            what it holds would lead out of the place that the template says, or it can't be said in
            JSON.
        ValueError: the template is none, or nobody knows such a URL.
        ImportError: fsspec or the package of the store is not installed.
        OSError: the object can't be written; a store's client may raise errors of its own.
    """

    def __init__(
        self,
        url: str,
        body: str | None = None,
        content_type: str | None = None,
        storage: Mapping[str, Any] | None = None,
    ) -> None:
        self._fsspec = _import_fsspec()
        self._template = os.fspath(url)
        self._is_template = bool(_wanted(self._template))
        self._body = body
        self._content_type = content_type
        self._storage = dict(storage or {})
        self._number = 0
        self._taken = False
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        protocol, _ = self._fsspec.core.split_protocol(self._template)
        context = opened(self._fsspec, protocol or "file", self._storage)
        self._store: Store = await self._stack.enter_async_context(context)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def __call__(self, item: Any) -> str:
        """Write one item."""
        self._number += 1
        held = item if isinstance(item, Mapping) else {}
        url = _fill(self._template, {"number": self._number, **held})
        content = _content(item if self._body is None else _part(item, self._body))
        kind = self._content_type or mimetypes.guess_type(url)[0]
        with self._alone(url):
            await self._store.write(url, content, kind)
        return url

    @contextlib.contextmanager
    def _alone(self, url: str) -> Any:
        """Refuse to write where an item has been written before; a failed one may come again."""
        if self._is_template:
            yield
            return
        if self._taken:
            raise UploadError(
                f"{url} would be replaced by a second item: write a template, such as "
                f"{url}-{{number}}"
            )
        self._taken = True
        try:
            yield
        except BaseException:
            self._taken = False
            raise


def _import_fsspec() -> ModuleType:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ImportError("upload needs fsspec: pip install 'pipelines[storage]'") from error
    return fsspec  # type: ignore[no-any-return]


# Which object.


def _wanted(template: str) -> list[str]:
    """Return the names that a template wants.

    Raises:
        ValueError: it is no template.
    """
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"{template!r} is no template: {error}. Write {{{{ for a {{.") from error
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"{template!r} wants {name!r}, which is no name: write {{number}}")
    return names


def _fill(template: str, fields: Mapping[str, Any]) -> str:
    url = ""
    for literal, name, form, _ in string.Formatter().parse(template):
        url += literal
        if name is not None:
            url += _value(template, name, form or "", fields)
    return url


def _value(template: str, name: str, form: str, fields: Mapping[str, Any]) -> str:
    if name not in fields:
        raise UploadError(f"the url template {template!r} wants {name!r}, an item has {[*fields]}")
    text = format(fields[name], form)
    if ".." in re.split(r"[/\\]", text):
        raise UploadError(f"{name!r} of an item is {shorten(text)}, which would leave {template!r}")
    return text


# What is written.


def _part(item: Any, key: str) -> Any:
    if not isinstance(item, Mapping) or key not in item:
        raise UploadError(f"upload writes the {key!r} of items; {shorten(item, 60)} has none")
    return item[key]


def _content(value: Any) -> bytes | os.PathLike[str]:
    if isinstance(value, os.PathLike):
        if not Path(value).is_file():
            raise UploadError(f"{os.fspath(value)} is no file")
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(value).__name__
        raise UploadError(f"upload can't write an item of type {kind}: {error}") from error
