"""Chains at work: what they log, whom they tell, and how they fetch and upload."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import chain_steps
import pytest
from aiohttp import web
from chain_steps import negate, odd, pair, seven, square
from chain_storage import served

import pipelines
from pipelines import SKIP, GraphError, StepError
from pipelines.frontends.chain import (
    GCSUploadStep,
    HttpGetStep,
    PipelineBuilder,
    PythonStep,
    Source,
    Step,
)
from pipelines.steps.notifying import Notice

LOGGER = "pipelines.frontends.chain"

told: list[Notice] = []


def tell(notice: Notice) -> None:
    """Be told, by a name that a file can hold."""
    told.append(notice)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Return the step, the level and the first words of each line that was logged."""
    return [
        (name.removeprefix(LOGGER).removeprefix("."), logging.getLevelName(level), text)
        for name, level, text in caplog.record_tuples
        if name.startswith(LOGGER)
    ]


def words(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return each line's step and what happened to it."""
    return [f"{step} {text.split()[0]}" for step, _, text in lines(caplog)]


# The log.


def test_each_step_logs_its_beginning_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """In the order in which that happens, at level INFO, on a logger with the step's name."""
    caplog.set_level(logging.INFO)
    steps = PythonStep(seven), PythonStep(square), PythonStep(negate)
    PipelineBuilder(*steps).execute()
    assert words(caplog) == [
        *("seven began", "seven done"),
        *("square began", "square done"),
        *("negate began", "negate done"),
    ]
    assert {level for _, level, _ in lines(caplog)} == {"INFO"}


def test_a_merge_begins_when_all_its_inputs_are_there(caplog: pytest.LogCaptureFixture) -> None:
    """Not with the first of them."""
    caplog.set_level(logging.INFO)
    merge = PythonStep(seven) >> [PythonStep(square), PythonStep(negate)] >> PythonStep(pair)
    PipelineBuilder(merge).execute()
    said = words(caplog)
    assert said.index("pair began") > max(said.index("square done"), said.index("negate done"))


def test_a_step_in_a_process_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    """The log is written where the builder is, wherever its steps run."""
    caplog.set_level(logging.INFO)
    PipelineBuilder(PythonStep(seven), PythonStep(square, executor="process")).execute()
    assert words(caplog)[2:] == ["square began", "square done"]


def test_a_stream_logs_how_many_results_it_had(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins and one when it has ended, however many items it has."""
    caplog.set_level(logging.INFO)
    PipelineBuilder(Source(range(2_000)), PythonStep(odd)).execute()
    assert sorted(words(caplog)) == ["odd began", "odd done", "source began", "source done"]
    assert [text.split(", ")[1] for *_, text in lines(caplog) if "done" in text] == [
        "2,000 results",
        "1,000 results",
    ]


def test_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What ended the run at level ERROR, what was left out at WARNING, what was not reached."""
    caplog.set_level(logging.INFO)
    retry = {"attempts": 2, "backoff": "1ms"}
    with pytest.raises(StepError):
        PipelineBuilder(PythonStep(seven), PythonStep(chain_steps.fail, retry=retry)).execute()
    assert lines(caplog)[-1] == ("fail", "ERROR", "failed (attempt 2): ValueError: bad 7")

    caplog.clear()
    bad = PythonStep(chain_steps.fail, on_error="skip", retry=retry)
    assert PipelineBuilder(PythonStep(seven), bad, PythonStep(square)).execute() == [7, SKIP, SKIP]
    ends = {step: (level, text) for step, level, text in lines(caplog)}
    level, text = ends["fail"]
    assert level == "WARNING"
    assert text.endswith("1 retried, 1 failed and left out, the last one with ValueError: bad 7")
    assert ends["square"] == ("INFO", "did not run: nothing reached it")


def test_a_failure_of_the_run_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One that is no single step's comes from the chain's own logger."""
    last = [Source([1, 2], name="a"), Source([1], name="b")] >> PythonStep(pair)
    with pytest.raises(pipelines.PipelinesError):
        PipelineBuilder(last).execute()
    step, level, text = lines(caplog)[-1]
    assert (step, level) == ("", "ERROR")
    assert text.startswith("failed: ")


# Who is told.


def test_a_step_tells_how_it_ended() -> None:
    """A function, of the step that asked for it, and the builder's of the whole."""
    notices: list[Notice] = []
    builder = PipelineBuilder(
        PythonStep(seven, notify=notices.append), PythonStep(square), notify=[notices.append]
    )
    assert builder.execute() == [7, 49]
    assert sorted(notice.title for notice in notices) == ["pipeline done", "step 'seven' done"]

    notices.clear()
    builder = PipelineBuilder(
        PythonStep(seven, notify=notices.append),
        PythonStep(chain_steps.fail, notify=notices.append),
        notify=notices.append,
    )
    with pytest.raises(StepError):
        builder.execute()
    assert {notice.title: notice.text for notice in notices if not notice.ok} == {
        "step 'fail' failed": "ValueError: bad 7",
        "pipeline failed": "node 'fail' failed on item 7: ValueError: bad 7",
    }


def test_a_pipeline_with_several_ends_tells_once() -> None:
    """When all of them have ended."""
    notices: list[Notice] = []
    first = PythonStep(seven)
    first >> [PythonStep(square), PythonStep(negate)]
    assert PipelineBuilder(first, notify=notices.append).execute() == [7]
    assert [(notice.title, notice.items) for notice in notices] == [("pipeline done", 2)]


def test_the_last_step_still_makes_one_call_at_a_time() -> None:
    """An async one, that tells somebody, and whose results are gathered."""
    steps = [Source(range(3)), PythonStep(negate, notify=tell)]
    assert PipelineBuilder(*steps).spec().properties("negate").concurrency == 1
    steps = [Source(range(3)), PythonStep(negate, notify=tell)]
    builder = PipelineBuilder(*steps, defaults={"concurrency": 5})
    assert builder.spec().properties("negate").concurrency == 5


def test_a_file_tells_as_well() -> None:
    """The notification is a node of the graph, with the name of the function."""
    told.clear()
    spec = PipelineBuilder(PythonStep(seven, notify=tell), name="told").spec()
    text = spec.to_yaml()
    assert f"{tell.__module__}:tell" in text
    pipelines.run(text)
    assert [notice.title for notice in told] == ["step 'seven' done"]


# Pages and uploads.


async def test_a_page_is_fetched_and_uploaded(tmp_path: Path) -> None:
    """From a real server to a bucket, and to a folder, by the same step."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"page": request.path})

    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with served("box") as storage:
        client = {"storage": {"token": "anon", "endpoint_url": storage.url}}
        steps = [
            HttpGetStep(f"{url}/a", parse="json", retry={"attempts": 2}),
            PythonStep(lambda page: page["page"] * 2),
            GCSUploadStep("box", "pages/a.txt", args=client),
        ]
        assert (await PipelineBuilder(*steps).run())[1:] == ["/a/a", "gs://box/pages/a.txt"]
        assert storage.objects == {("box", "pages/a.txt"): b"/a/a"}

    pages = [
        Source(["x", "y"]),
        HttpGetStep(f"{url}/{{item}}"),
        GCSUploadStep(f"file://{tmp_path}", "{number}.json"),
    ]
    urls = (await PipelineBuilder(*pages).run())[2]
    assert urls == [f"file://{tmp_path}/{number}.json" for number in (1, 2)]
    assert [read(tmp_path / f"{n}.json") for n in (1, 2)] == ['{"page": "/x"}', '{"page": "/y"}']
    await runner.cleanup()


def read(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text()


async def test_a_page_is_fetched_once_with_a_cache() -> None:
    """The step of the library is cached as any other."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="page")

    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/once"
    for _ in range(2):
        assert await PipelineBuilder(HttpGetStep(url, cache=True)).run() == ["page"]
    await runner.cleanup()
    assert asked == ["/once"]


# Odd ends.


def test_a_step_that_takes_a_stream_can_not_come_first() -> None:
    """Nor be cached; behind a source its results are a list."""

    class Stopped(Step):
        def run(self, *inputs: Any) -> Any:
            raise StopIteration

    with pytest.raises(StepError, match="node 'Stopped' failed"):
        PipelineBuilder(Stopped()).execute()


def test_a_dead_letter_may_be_a_step(tmp_path: Path) -> None:
    """Or a name, a function, or a mapping as in a document."""
    for number, letter in enumerate(
        [
            PythonStep("write_jsonl", args={"path": str(tmp_path / "0")}),
            {"func": "write_jsonl", "args": {"path": str(tmp_path / "1")}},
        ]
    ):
        bad = PythonStep(chain_steps.fail, on_error="dead_letter")
        PipelineBuilder(Source([1]), bad, dead_letter=letter).execute()
        assert '"node": "fail"' in (tmp_path / str(number)).read_text()
    with pytest.raises(GraphError, match="func"):
        PipelineBuilder(Source([1]), dead_letter=3).execute()
