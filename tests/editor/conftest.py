"""A real server and a real browser for the flows; many tests use them, and they end with those."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from editor_page import EditorPage

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "pipelines/server/static/index.html"
#: Without a sandbox, since root may not have one; and nothing that calls home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """Leave out what other tests are asked: a browser starts and ends processes as it likes.

    That the server and the browser end is seen where they are started, below.
    """


@pytest.fixture(scope="session")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve from an empty folder; give the link that is printed, and see that a signal ends it."""
    if not PAGE.exists():
        pytest.skip("the editor is not built: make editor")
    command = [sys.executable, "-m", "pipelines", "serve", "--port", "0"]
    folder = tmp_path_factory.mktemp("served")
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = re.search(r"http\S+", server.stdout.readline())
        yield found[0] if found else pytest.fail("no link was printed")
        server.terminate()
        assert server.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the browser, once for all flows of a module."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or pytest.skip("no chromium here: .ci/services")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, link: str) -> Iterator[Callable[..., EditorPage]]:
    """Give what opens the editor as a new visitor; see that no page of them had an error."""
    pages: list[EditorPage] = []

    def visit(to: str = link, **options: Any) -> EditorPage:
        options = {"viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce"} | options
        pages.append(EditorPage(browser.new_context(**options), to))
        return pages[-1]

    yield visit
    for page in pages:
        page.close()
    assert not [error for page in pages for error in page.errors]


@pytest.fixture
def editor(opened: Callable[..., EditorPage]) -> EditorPage:
    """Open the editor on a first visit."""
    return opened().ready()
