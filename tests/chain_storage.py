"""A server with the JSON API of Google Cloud Storage, as far as objects are written and read.

After https://cloud.google.com/storage/docs/json_api/v1/objects: uploads of the types ``media``,
``multipart`` and ``resumable``; an object's metadata and content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

UPLOAD = "/upload/storage/v1/b/{bucket}/o"


@dataclass
class Upload:
    """A resumable upload that has begun."""

    bucket: str
    name: str
    kind: str
    content: bytearray = field(default_factory=bytearray)


class Storage:
    """A server of buckets.

    Attributes:
        url: where it is.
        objects: the content of each object, by bucket and name.
        kinds: the content type of each.
        requests: the upload requests, as their type or ``chunk``, in their order.
        failures: how many of the next uploads it answers with a 503.
    """

    def __init__(self, *buckets: str) -> None:
        self.url = ""
        self.objects: dict[tuple[str, str], bytes] = {}
        self.kinds: dict[tuple[str, str], str] = {}
        self.requests: list[str] = []
        self.failures = 0
        self._buckets = buckets
        self._uploads: dict[str, Upload] = {}

    async def upload(self, request: web.Request) -> web.Response:
        """Take an object, begin a resumable upload, or take a chunk of one."""
        bucket, query = request.match_info["bucket"], request.query
        if bucket not in self._buckets:
            return _error(404, "The specified bucket does not exist.")
        if self.failures:
            self.failures -= 1
            return _error(503, "Backend Error")
        if "upload_id" in query:
            return await self._chunk(request)
        self.requests.append(query["uploadType"])
        if query["uploadType"] == "media":
            content = await request.read()
            return self._keep(bucket, query["name"], content, request.content_type)
        if query["uploadType"] == "multipart":
            about, kind, content = _parts(request, await request.read())
            return self._keep(bucket, about["name"], content, kind)
        return await self._begin(request)

    async def _begin(self, request: web.Request) -> web.Response:
        about = await request.json() if request.can_read_body else {}
        name = about.get("name") or request.query["name"]
        kind = request.headers.get("X-Upload-Content-Type", "application/octet-stream")
        key, bucket = uuid.uuid4().hex, request.match_info["bucket"]
        self._uploads[key] = Upload(bucket, name, kind)
        path = UPLOAD.format(bucket=bucket)
        location = f"{self.url}{path}?uploadType=resumable&upload_id={key}"
        return web.Response(headers={"Location": location})

    async def _chunk(self, request: web.Request) -> web.Response:
        self.requests.append("chunk")
        upload = self._uploads[request.query["upload_id"]]
        place = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["Content-Range"])
        assert place
        first, last, size = map(int, place.groups())
        assert first == len(upload.content)
        upload.content += await request.read()
        assert last + 1 == len(upload.content)
        if len(upload.content) < size:
            assert last % 2**18 == 2**18 - 1, "a chunk that is not the last has n * 256 KiB"
            return web.Response(status=308, headers={"Range": f"bytes=0-{last}"})
        del self._uploads[request.query["upload_id"]]
        return self._keep(upload.bucket, upload.name, bytes(upload.content), upload.kind)

    async def read(self, request: web.Request) -> web.Response:
        """Give an object's metadata, or with ``alt=media`` its content."""
        key = (request.match_info["bucket"], request.match_info["name"])
        if key not in self.objects:
            return _error(404, f"No such object: {'/'.join(key)}")
        if request.query.get("alt") == "media":
            return web.Response(body=self.objects[key], content_type=self.kinds[key])
        return web.json_response(self._about(*key))

    def _keep(self, bucket: str, name: str, content: bytes, kind: str) -> web.Response:
        self.objects[bucket, name] = content
        self.kinds[bucket, name] = kind
        return web.json_response(self._about(bucket, name))

    def _about(self, bucket: str, name: str) -> dict[str, Any]:
        content = self.objects[bucket, name]
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/1",
            "bucket": bucket,
            "name": name,
            "generation": "1",
            "contentType": self.kinds[bucket, name],
            "size": str(len(content)),
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }


def _parts(request: web.Request, body: bytes) -> tuple[dict[str, Any], str, bytes]:
    """Return the metadata, the type and the content that a multipart upload holds."""
    match = re.search(r'boundary="?([^";]+)"?', request.headers["Content-Type"])
    assert match
    _, about, content, end = body.split(f"--{match[1]}".encode())
    assert end.strip() == b"--"
    header, data = re.split(rb"\r?\n\r?\n", content.lstrip(b"\r\n"), maxsplit=1)
    kind = header.decode().partition("Content-Type:")[2].strip()
    return json.loads(re.split(rb"\r?\n\r?\n", about, maxsplit=1)[1]), kind, data[:-1]


def _error(status: int, message: str) -> web.Response:
    answer = {"error": {"code": status, "message": message, "errors": []}}
    return web.json_response(answer, status=status)


@asynccontextmanager
async def served(*buckets: str) -> AsyncIterator[Storage]:
    """Serve buckets on a free port of this machine."""
    storage = Storage(*buckets)
    app = web.Application(client_max_size=64 * 2**20)
    for verb in ("POST", "PUT"):
        app.router.add_route(verb, UPLOAD, storage.upload)
    for prefix in ("", "/download"):
        app.router.add_get(f"{prefix}/storage/v1/b/{{bucket}}/o/{{name:.+}}", storage.read)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    storage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield storage
    finally:
        await runner.cleanup()
