"""The step that tells how a stream ended, to functions and, through apprise, to a real server."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from aiohttp import web

from pipelines import Plumber, StepError
from pipelines.registry import steps
from pipelines.steps.notifying import Notice, notify, tell

# What apprise imports with its first URL.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def graph(to: Any, step: Any = str, **args: Any) -> dict[str, Any]:
    """Return a graph of three items that tells of its middle node."""
    return {
        "nodes": {
            "items": {"func": [1, 2, 3]},
            "step": {"func": step},
            "told": {"func": "notify", "args": {"to": to, **args}},
        },
        "graph": {"items": ["step"], "step": ["told"]},
    }


def fail(value: Any) -> Any:
    """Fail on the third item."""
    if value == 3:
        raise ValueError("bad three")
    return value


async def test_a_function_is_told_of_a_good_end() -> None:
    """With the node, the number of results, and how long it took."""
    told: list[Notice] = []
    await Plumber(graph(told.append, of="step")).run()
    (notice,) = told
    assert (notice.step, notice.ok, notice.items, notice.error) == ("step", True, 3, None)
    assert notice.title == "step 'step' done"
    assert notice.text.startswith("3 results in ")


async def test_a_function_is_told_of_a_failure() -> None:
    """Of its own node's with the cause, of any with what the run raises, of another's never."""
    told: list[Notice] = []
    document = graph([told.append], fail, of="step")
    document["nodes"] |= {
        "all": {"func": "notify", "args": {"to": told.append}},
        "other": {"func": "notify", "args": {"to": told.append, "of": "items"}},
    }
    document["graph"]["step"] = ["told", "all", "other"]
    with pytest.raises(StepError):
        await Plumber(document).run()
    assert {(each.title, each.text) for each in told} == {
        ("step 'step' failed", "ValueError: bad three"),
        ("pipeline failed", "node 'step' failed on item 3: ValueError: bad three"),
    }
    assert len(told) == 2


@pytest.mark.parametrize(("only", "count"), [("done", 1), ("failed", 0), (None, 1)])
async def test_one_may_be_told_of_one_kind_only(only: str | None, count: int) -> None:
    """`only` says of which."""
    told: list[Notice] = []
    await Plumber(graph(told.append, only=only)).run()
    assert len(told) == count
    assert all(each.title == "pipeline done" for each in told)


async def test_a_cancelled_run_tells_nobody() -> None:
    """Whoever cancelled it knows."""
    told: list[Notice] = []
    plumber: Plumber | None = None

    def cancel(value: Any) -> Any:
        assert plumber is not None
        plumber.cancel()
        return value

    plumber = Plumber(graph(told.append, cancel))
    with pytest.raises(BaseException, match="cancelled"):
        await plumber.run()
    assert told == []


async def test_a_function_may_be_async_or_block() -> None:
    """One that is not async is called in a thread, so that it may block."""
    told: list[Any] = []

    async def tell(notice: Notice) -> None:
        told.append(threading.current_thread() is threading.main_thread())

    def block(notice: Notice) -> None:
        told.append(threading.current_thread() is threading.main_thread())

    await Plumber(graph([tell, block])).run()
    assert told == [True, False]


async def test_a_message_that_can_not_be_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The run is as good as without it, and the others are told."""
    told: list[Notice] = []

    def bad(notice: Notice) -> None:
        raise OSError("no line")

    report = await Plumber(graph([bad, told.append], of="step")).run()
    assert report.ok
    assert len(told) == 1
    assert "could not tell that step 'step' done: OSError: no line" in caplog.text


async def test_a_message_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """After `timeout` seconds."""
    import asyncio

    async def never(notice: Notice) -> None:
        await asyncio.Event().wait()

    assert (await Plumber(graph(never, timeout=0.01)).run()).ok
    assert "could not tell that pipeline done: TimeoutError" in caplog.text


async def test_apprise_posts_it_to_a_server(caplog: pytest.LogCaptureFixture) -> None:
    """A URL of apprise's is enough; a server that refuses is logged."""
    posted: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response(status=200 if request.path == "/good" else 500)

    runner = web.ServerRunner(web.Server(take))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    with caplog.at_level(logging.ERROR):
        await Plumber(graph([f"json://{host}/good", f"json://{host}/bad"], of="step")).run()
    await runner.cleanup()
    assert [each["title"] for each in posted] == ["step 'step' done"] * 2
    assert posted[0]["type"] == "success"
    assert posted[0]["message"].startswith("3 results in ")
    assert "could not tell that step 'step' done: RuntimeError: apprise could not" in caplog.text


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ({"to": "nonsense://user:secret@x"}, ValueError, r"of the form nonsense://… given$"),
        ({"to": 3}, ValueError, "tells an apprise URL or a function, not 3"),
        ({"to": "builtins:print"}, ValueError, "not 'builtins:print'"),
        ({"to": print, "only": "good"}, ValueError, "only is 'done' or 'failed', not 'good'"),
    ],
)
def test_who_can_not_be_told_is_refused(
    args: dict[str, Any], error: type[Exception], message: str
) -> None:
    """At the start, and without what a URL may hold of passwords."""
    with pytest.raises(error, match=message):
        notify(**args)


def test_a_function_may_be_given_by_its_name_where_names_may_be_imported() -> None:
    """To `tell`, which is not registered, so that a stranger's graph can't name it."""
    assert "tell" not in steps
    tell("builtins:print")
    tell(print)
    with pytest.raises(LookupError, match="has no 'nothing'"):
        tell("builtins:nothing")
    with pytest.raises(ValueError, match="not 3"):
        tell(3)


def test_without_apprise_the_error_names_the_extra() -> None:
    """It is imported for URLs only."""
    code = "import sys; sys.modules['apprise'] = None\n"
    code += "from pipelines.steps.notifying import notify\nnotify(print)\nnotify('json://x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: notify needs apprise: pip install 'pipelines[notify]'" in done.stderr
