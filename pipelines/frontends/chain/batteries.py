"""Steps that are ready to use: your function, a stream, a page, an upload."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Literal

from pipelines.errors import shorten
from pipelines.frontends.chain.record import is_given_inputs
from pipelines.frontends.chain.step import Step, record_of
from pipelines.spec import parse_duration
from pipelines.step import is_iterable_source

__all__ = ["GCSUploadStep", "HttpGetStep", "PythonStep", "Source", "UploadStep", "adopt"]


class PythonStep(Step):
    """Call a function, or anything else that the ``func`` of a graph's node may be.

    It gets one argument for each step that leads here. Where none does it is called once, without
    any; a generator function then is a source, and each value that it yields an item.

    Args:
        func: the callable, a ``module:qualname``, or the name of a registered step.
        args: keyword arguments for it.
        options: as of every `Step`.

    Raises:
        TypeError: `func` can't be called.
    """

    def __init__(self, func: Any, args: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(func, Step) or not (callable(func) or isinstance(func, str)):
            what = "a step already" if isinstance(func, Step) else "nothing that can be called"
            raise TypeError(f"PythonStep takes a function; {shorten(func, 60)} is {what}")
        record = record_of(self)
        record.title, record.target, record.args = _title(func), func, dict(args or {})


class Source(Step):
    """Make a stream: each item goes through the chain by itself, many of them at a time.

    Args:
        items: an iterable or async iterable; a callable, ``module:qualname`` or registered name
            that gives one. An iterator can be run through once only.
        args: keyword arguments for a callable.
        options: as of every `Step`, but for `cache`.

    Raises:
        TypeError: `items` gives no items.
    """

    def __init__(self, items: Any, args: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        if not (callable(items) or isinstance(items, str) or is_iterable_source(items)):
            raise TypeError(
                f"Source takes an iterable, or a function that gives one, not {shorten(items, 60)}"
            )
        record = record_of(self)
        record.title = _title(items) if callable(items) or isinstance(items, str) else "source"
        record.target, record.args, record.first = items, dict(args or {}), "source"


class HttpGetStep(Step):
    """Fetch a page over HTTP, with the step `http_get`.

    Args:
        url: the page; or a template such as ``https://example.org/{item}``, which the input fills
            in; by default the input is the URL itself.
        headers: sent with every request.
        parse: what to make of the body: ``text``, ``json`` or ``bytes``.
        timeout: how long one page may take, in seconds or as text such as ``10s``.
        max_bytes: the largest body accepted.
        options: as of every `Step`.
    """

    def __init__(
        self,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        parse: Literal["text", "json", "bytes"] = "text",
        timeout: float | str = 30.0,
        max_bytes: int = 100_000_000,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        said = {
            "url": url,
            "headers": None if headers is None else dict(headers),
            "parse": None if parse == "text" else parse,
            "timeout": None if timeout == 30.0 else parse_duration(timeout),
            "max_bytes": None if max_bytes == 100_000_000 else max_bytes,
        }
        record = record_of(self)
        record.title, record.target = type(self).__name__, "http_get"
        record.args = {key: value for key, value in said.items() if value is not None}
        record.first = "item" if url is not None and "{" not in url else "never"


class UploadStep(Step):
    """Write what comes in to a file or object store, with the step `upload`; give its URL.

    Args:
        url: where to, such as ``s3://bucket/key``, ``gs://bucket/key`` or a path; a template
            such as ``out/{number}.json`` where many items come.
        args: the other arguments of the step `upload`, such as ``content_type``.
        options: as of every `Step`.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        record = record_of(self)
        record.title, record.target, record.first = type(self).__name__, "upload", "never"
        record.args = {"url": os.fspath(url), **(args or {})}


class GCSUploadStep(UploadStep):
    """Upload what comes in to a bucket of Google Cloud Storage; give its URL.

    Args:
        bucket: its name; or a URL or folder that takes the place of one, such as ``s3://bucket``
            or ``file:///tmp/bucket``.
        path: the object's name in it, a template as for `UploadStep`.
        args: the other arguments of the step `upload`, such as ``content_type``.
        options: as of every `Step`.
    """

    def __init__(
        self,
        bucket: str,
        path: str,
        args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        root = bucket if "://" in bucket else f"gs://{bucket}"
        super().__init__(f"{root.rstrip('/')}/{path.lstrip('/')}", args, **options)


def adopt(thing: object) -> Step | None:
    """Return a step for an object with a `run` or `execute` of its own; `None` for any other.

    The run calls this very object. Where its method takes no input, it only waits its turn.
    """
    logic = getattr(thing, "run", None) or getattr(thing, "execute", None)
    if isinstance(thing, type) or not callable(logic):
        return None
    step = PythonStep(logic, name=None)
    record = record_of(step)
    record.title, record.inputs = type(thing).__name__, is_given_inputs(logic)
    return step


def _title(func: Any) -> str:
    """Return what a node with this step is called: as the function, without its module."""
    while isinstance(func, functools.partial):
        func = func.func
    if isinstance(func, str):
        return func.rpartition(":")[2].rpartition(".")[2]
    name = getattr(func, "__name__", type(func).__name__)
    return "lambda" if name == "<lambda>" else name
