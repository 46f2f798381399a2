"""The batteries in graphs that run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiohttp import web

from pipelines.plumber import Plumber
from pipelines.steps.files import read_csv, read_jsonl, read_lines


def line(*nodes: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the graph of nodes one after the other."""
    names = [name for name, _ in nodes]
    edges = {name: [after] for name, after in pairwise(names)}
    return {"nodes": dict(nodes), "graph": {**edges, names[-1]: None}, **more}


def test_many_files_become_one(tmp_path: Path) -> None:
    """A path is an item as well as an argument, and a writer may stand in the middle."""
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text(f'{{"n": {number}}}\n{{"n": 9}}\n')
    report = Plumber(
        line(
            ("find", {"func": "glob", "args": {"pattern": "*.jsonl", "root": str(tmp_path)}}),
            ("read", {"func": "read_jsonl"}),
            ("new", {"func": "dedupe", "args": {"key": "n"}}),
            ("save", {"func": "write_jsonl", "args": {"path": str(tmp_path / "all.out")}}),
            ("table", {"func": "write_csv", "args": {"path": str(tmp_path / "all.csv.gz")}}),
        )
    ).run_sync()
    assert report.nodes["read"].emitted == 6
    assert report.nodes["new"].skipped == 2
    expected = [{"n": 0}, {"n": 9}, {"n": 1}, {"n": 2}]
    assert list(read_jsonl(tmp_path / "all.out")) == expected
    assert list(read_csv(tmp_path / "all.csv.gz")) == [{"n": str(row["n"])} for row in expected]


def test_batch_and_flatten_undo_each_other(tmp_path: Path) -> None:
    """The property gathers, the step passes the lists on, and the rest comes at the end."""
    sizes: list[int] = []

    def note(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    Plumber(
        line(
            ("count", {"func": lambda: range(10)}),
            ("gather", {"func": "batch", "properties": {"batch": {"size": 4}}}),
            ("note", {"func": note}),
            ("spread", {"func": "flatten"}),
            ("save", {"func": "write_lines", "args": {"path": str(tmp_path / "out")}}),
        )
    ).run_sync()
    assert sizes == [4, 4, 2]
    assert list(read_lines(tmp_path / "out")) == [str(number) for number in range(10)]


def test_what_a_step_skips_leaves_its_gap_in_a_join() -> None:
    """`sample` and `dedupe` may stand in one branch of a join: pairs still belong together."""
    pairs: list[tuple[int, int]] = []
    Plumber(
        {
            "nodes": {
                "count": {"func": lambda: iter([1, 2, 2, 3, 1, 4])},
                "new": {"func": "dedupe"},
                "pair": {"func": lambda left, right: pairs.append((left, right))},
            },
            "graph": {"count": ["new", "pair"], "new": ["pair"], "pair": None},
        }
    ).run_sync()
    assert pairs == [(number, number) for number in (1, 2, 3, 4)]


def test_dead_letters_go_to_a_file(tmp_path: Path) -> None:
    """A dead letter is one JSON line that says what failed and why."""
    (tmp_path / "in").write_text('{"a": 1}\nno json\n3\n')
    report = Plumber(
        line(
            ("read", {"func": "read_lines", "args": {"path": str(tmp_path / "in")}}),
            ("parse", {"func": json.loads, "properties": {"on_error": "dead_letter"}}),
            ("save", {"func": "write_jsonl", "args": {"path": str(tmp_path / "good")}}),
            dead_letter={"func": "write_jsonl", "args": {"path": str(tmp_path / "dead")}},
        )
    ).run_sync()
    assert report.nodes["parse"].dead_lettered == 1
    assert list(read_jsonl(tmp_path / "good")) == [{"a": 1}, 3]
    (letter,) = read_jsonl(tmp_path / "dead")
    assert (letter["node"], letter["item"]) == ("parse", "no json")
    assert letter["error"].startswith("JSONDecodeError")


async def test_http_get_is_tried_again_by_the_name_of_its_error() -> None:
    """A status that may pass is retried, pages come in the order of their URLs."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(
            text=request.path,
            status=503 if asked.count("/3") == 1 and request.path == "/3" else 200,
        )

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/{{item}}"
    retry = {"attempts": 2, "backoff": 0.001, "on": ["HttpTemporaryError"]}
    pages: list[str] = []
    try:
        report = await Plumber(
            line(
                ("count", {"func": lambda: range(5)}),
                ("get", {"func": "http_get", "args": {"url": url}, "properties": {"retry": retry}}),
                ("keep", {"func": pages.append}),
            )
        ).run()
    finally:
        await runner.cleanup()
    assert pages == [f"/{number}" for number in range(5)]
    assert report.nodes["get"].retried == len(asked) - 5 == 1
