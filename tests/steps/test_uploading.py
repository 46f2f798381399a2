"""The step that writes to object stores and folders, against a server that speaks Google's API."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from chain_storage import Storage, served
from gcsfs.core import GCSFileSystem

from pipelines.steps.uploading import UploadError, upload


@pytest.fixture
async def storage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storage]:
    """Serve a bucket, and say where as users of an emulator do."""
    async with served("bucket") as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def contents(folder: Path) -> dict[str, str]:
    """Return the text of each file in a folder."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


class Vanishing(os.PathLike[str]):
    """A path that is a file when one looks, and is gone when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = False

    def __fspath__(self) -> str:
        if not self._looked:
            self._looked = True
            return __file__
        return str(self._path)


async def put(item: Any, url: str, **args: Any) -> str:
    """Upload one item with a step of its own."""
    if url.startswith("gs:"):
        args.setdefault("storage", {"token": "anon"})
    async with upload(url, **args) as step:
        return await step(item)


async def test_an_object_is_written_to_the_bucket(storage: Storage) -> None:
    """It has the name, the content and the type that the URL says; the step gives the URL."""
    assert await put({"a": "ü"}, "gs://bucket/in/a.json") == "gs://bucket/in/a.json"
    assert storage.objects == {("bucket", "in/a.json"): '{"a": "ü"}'.encode()}
    assert storage.kinds == {("bucket", "in/a.json"): "application/json"}
    assert storage.requests == ["multipart"]


async def test_googles_client_reads_it_again(storage: Storage) -> None:
    """What was written is what any other client of the same API finds there."""
    await put(b"--==0==\nwhole", "gs://bucket/x.bin", content_type="image/png")
    assert storage.requests == ["resumable", "chunk"]  # it holds what gcsfs puts between parts
    client = GCSFileSystem(
        token="anon",
        endpoint_url=storage.url,
        asynchronous=True,
        loop=asyncio.get_running_loop(),
        skip_instance_cache=True,
    )
    session = await client._set_session()
    assert await client._cat_file("bucket/x.bin") == b"--==0==\nwhole"
    assert storage.kinds["bucket", "x.bin"] == "image/png"
    await session.close()


async def test_a_large_file_goes_in_pieces(storage: Storage, tmp_path: Path) -> None:
    """A path is uploaded as the file's content, resumably, in chunks as Google wants them."""
    content = bytes(range(256)) * 40_000
    (tmp_path / "big.bin").write_bytes(content)
    await put(tmp_path / "big.bin", "gs://bucket/big")
    await put(content[: 2**20], "gs://bucket/medium")
    assert storage.objects["bucket", "big"] == content
    assert storage.objects["bucket", "medium"] == content[: 2**20]
    assert storage.requests == ["resumable"] + ["chunk"] * 14 + ["resumable", "chunk", "chunk"]


async def test_a_busy_store_is_asked_again(storage: Storage) -> None:
    """The client retries what may pass by itself."""
    storage.failures = 1
    await put("x", "gs://bucket/x")
    assert storage.objects == {("bucket", "x"): b"x"}


async def test_a_bucket_that_is_not_there_is_an_error(storage: Storage) -> None:
    """It is that of a missing file, as for every store."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await put("x", "gs://nowhere/x")


async def test_the_loop_goes_on_during_an_upload(storage: Storage, tmp_path: Path) -> None:
    """Uploads to one store, and to a folder, are under way at the same time."""
    async with upload("gs://bucket/{number}", storage={"token": "anon"}) as step:
        urls = await asyncio.gather(*(step(str(n)) for n in range(20)))
    assert urls == [f"gs://bucket/{n}" for n in range(1, 21)]
    assert {storage.objects["bucket", f"{n + 1}"] for n in range(20)} == {
        str(n).encode() for n in range(20)
    }
    async with upload(f"{tmp_path}/{{number}}") as step:
        await asyncio.gather(*(step(str(n)) for n in range(20)))
    assert sorted(map(int, contents(tmp_path).values())) == list(range(20))


@pytest.mark.parametrize("prefix", ["", "file://"])
async def test_a_folder_is_a_store_too(tmp_path: Path, prefix: str) -> None:
    """Folders are made, a file replaces the one before, and no half file is left."""
    url = f"{prefix}{tmp_path}/new/a.txt"
    assert await put("one", url) == url
    await put(b"two", url)
    assert contents(tmp_path / "new") == {"a.txt": "two"}


async def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """Also the part that was written is gone."""
    (tmp_path / "a").mkdir()
    for url in (f"{tmp_path}/a", f"{tmp_path}/a/"):
        with pytest.raises(IsADirectoryError, match="say what the file is called"):
            await put("x", url)
    (tmp_path / "b").write_text("old")
    with pytest.raises(FileNotFoundError):
        async with upload(f"{tmp_path}/b") as step:
            await step(Vanishing(tmp_path / "none"))
    assert contents(tmp_path) == {"b": "old"}
    assert contents(tmp_path / "a") == {}


async def test_any_store_of_fsspec_will_do() -> None:
    """One with a blocking client is written to in threads."""
    import fsspec

    assert await put("hi", "memory://box/a") == "memory://box/a"
    store = fsspec.filesystem("memory")
    assert store.cat_file("/box/a") == b"hi"
    await put(Path(__file__), "memory://box/b")
    assert store.cat_file("/box/b").startswith(b'"""The step that writes')
    store.rm("/box", recursive=True)


async def test_a_template_is_filled_in(tmp_path: Path) -> None:
    """By what items hold, with a format, and by their number."""
    async with upload(f"{tmp_path}/{{day:%Y/%m}}/{{id}}-{{number:03}}.txt", body="text") as step:
        for number in (7, 8):
            await step({"day": date(2026, 11, 21), "id": number, "text": f"t{number}"})
    assert (tmp_path / "2026/11/8-002.txt").read_text() == "t8"
    assert await put({"id": "a/b"}, f"{tmp_path}/{{id}}") == f"{tmp_path}/a/b"


@pytest.mark.parametrize(
    ("item", "args", "message"),
    [
        ({"id": "../../etc"}, {}, r"'id' of an item is '\.\./\.\./etc', which would leave"),
        ({"id": ".."}, {}, "would leave"),
        ({"no": 1}, {}, r"wants 'id', an item has \['number', 'no'\]"),
        ("text", {}, r"wants 'id', an item has \['number'\]"),
        ({"id": 1}, {"body": "text"}, r"writes the 'text' of items; \{'id': 1\} has none"),
        ({"id": 1, "x": object()}, {}, "can't write an item of type dict: Object of type object"),
    ],
)
async def test_what_can_not_be_written_is_refused(
    tmp_path: Path, item: Any, args: dict[str, Any], message: str
) -> None:
    """No item can leave the place that the template says, and nothing is written of a bad one."""
    with pytest.raises(UploadError, match=message):
        await put(item, f"{tmp_path}/{{id}}", **args)
    assert contents(tmp_path) == {}


async def test_a_second_item_does_not_replace_the_first(tmp_path: Path) -> None:
    """Without a template there is one object; one that failed may come again."""
    async with upload(f"{tmp_path}/a") as step:
        with pytest.raises(UploadError, match="is no file"):
            await step(tmp_path / "none")
        await step("first")
        with pytest.raises(UploadError, match=r"replaced by a second item: .*/a-\{number\}$"):
            await step("second")
    assert (tmp_path / "a").read_text() == "first"


@pytest.mark.parametrize(
    ("url", "message"),
    [("a/{", "is no template: .*Write {{ for a {"), ("a/{x.y}", "wants 'x.y', which is no name")],
)
def test_what_is_no_template_is_refused(url: str, message: str) -> None:
    """The error says how to write it."""
    with pytest.raises(ValueError, match=message):
        upload(url)


async def test_a_store_that_nobody_knows_is_refused() -> None:
    """It names the protocol."""
    with pytest.raises(ValueError, match="Protocol not known: nowhere"):
        await put("x", "nowhere://a")


def test_without_fsspec_the_error_names_the_extra() -> None:
    """The package is imported by those who upload only."""
    code = "import sys; sys.modules['fsspec'] = None\n"
    code += "from pipelines.steps.uploading import upload\nupload('a')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: upload needs fsspec: pip install 'pipelines[storage]'" in done.stderr
