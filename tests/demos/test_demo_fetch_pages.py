"""The demo that fetches pages from a server of its own."""

from __future__ import annotations

import re

import pytest
from running_demos import DEMOS, run_demo


def test_it_fetches_all_pages_and_the_flaky_one_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page's words are right, sixteen pages come at a time, and one was asked for again."""
    monkeypatch.syspath_prepend(str(DEMOS / "fetch_pages"))
    from fetch_pages import text_of

    words = {f"/page/{number}": len(text_of(number).split()) for number in range(1, 65)}
    done = run_demo("fetch_pages")

    heading, *pages, total = [line.rsplit(maxsplit=1) for line in done.stdout.splitlines()]
    assert heading == ["page", "words"]
    assert total == ["all 64 pages", str(sum(words.values()))]
    longest = sorted(words.items(), key=lambda page: -page[1])[:10]
    assert [(page, int(count)) for page, count in pages] == longest
    assert done.count("fetch", "retried") == 1
    served = re.search(r"served 65 requests, up to (\d+) at once", done.stderr)
    assert served
    assert 2 <= int(served[1]) <= 16


def test_it_fetches_as_many_pages_as_asked_for() -> None:
    """`PAGES` says how many, and without the flaky one nothing is tried again."""
    done = run_demo("fetch_pages", PAGES="3")
    assert "all 3 pages" in done.stdout
    assert done.count("table", "received") == 3
    assert done.count("fetch", "retried") == 0
