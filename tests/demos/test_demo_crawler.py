"""The demo that crawls a service, as the document it comes from shows it."""

from __future__ import annotations

import pytest
from running_demos import DEMOS, run_python


def test_it_fetches_all_details_five_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 300 services are there once, their actions add up, and five were asked for at once."""
    monkeypatch.syspath_prepend(str(DEMOS / "crawler"))
    from site_of_services import actions_of

    actions = {f"service{number}": len(actions_of(number)) for number in range(300)}
    done = run_python("demos/crawler/offline.py", PYTHONUTF8="1")

    *services, total, served = done.stdout.splitlines()
    assert sorted(services) == sorted(f"✅ {name}: {n} actions" for name, n in actions.items())
    assert total.startswith(f"Done! {sum(actions.values())} actions across 300 services in ")
    assert served == "served 301 requests, up to 5 at once"
