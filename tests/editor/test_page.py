"""How the page looks: for everybody, on a phone, in light and dark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from editor_page import EditorPage

Opened = Callable[..., EditorPage]

AXE = Path(__file__).parents[2] / "editor/node_modules/axe-core/axe.min.js"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
PICTURES = os.environ.get("PIPELINES_PICTURES")
LONG = "ein Name, der in keine Karte passt, mit 日本語 und W" + "W" * 12

pytestmark = pytest.mark.slow

#: Every part of one element that lies over a part of another one, among elements of some kinds.
OVERLAPS = """(kinds) => {
    const boxes = [...document.querySelectorAll(kinds)]
        .map((each) => [each, each.getBoundingClientRect()]);
    const over = (a, b) =>
        a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    return boxes.flatMap(([one, a], index) => boxes.slice(index + 1)
        .filter(([other, b]) => over(a, b) && !one.contains(other) && !other.contains(one))
        .map(([other]) => `${one.textContent} / ${other.textContent}`));
}"""

#: What a script finds once the page has settled: a card that has just gained a line is measured,
#: and the labels move with the next picture.
SETTLED = """async (argument) => {
    const find = %s;
    let found = find(argument);
    for (let picture = 0; found.length && picture < 60; picture++) {
        await new Promise(requestAnimationFrame);
        found = find(argument);
    }
    return found;
}"""

#: Texts that are wider than the element they stand in, and are not cut off with an ellipsis.
SPILLED = """() => [...document.querySelectorAll('.card *, .inspector *, .topbar *, .dock-bar *')]
    .filter((each) => each.children.length === 0 && each.textContent.trim() !== ''
        && each.scrollWidth > each.clientWidth + 1
        && each.clientWidth > 0 && getComputedStyle(each).overflowX === 'visible'
        && getComputedStyle(each).display !== 'inline')
    .map((each) => each.outerHTML)"""


def findings(editor: EditorPage, rule: str | None = None) -> list[str]:
    """Return what axe finds serious or critical, by all its rules or by one."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make editor")
    editor.page.evaluate(AXE.read_text())
    rules = {"runOnly": [rule]} if rule else {}
    found: list[dict[str, Any]] = editor.page.evaluate(
        "async (rules) => (await axe.run(rules)).violations", rules
    )
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html']}" for each in serious for node in each["nodes"]]


def large_graph() -> dict[str, Any]:
    """Return a graph of several ways, with names of all lengths, that runs until it is stopped."""
    ways = [LONG, "x", "zwei\u0323te Rei\u0301he", "a_name_of_middling_length_00"]
    nodes: dict[str, Any] = {"numbers": {"func": "count"}, "both": {"func": "pair"}}
    nodes |= {name: {"func": "slow", "properties": {"buffer_size": 32}} for name in ways}
    nodes["luck"] = {"func": "flaky", "properties": {"on_error": "skip"}}
    nodes |= {"show": {"func": "show"}, "swallow": {"func": "discard"}}
    edges: dict[str, Any] = {"numbers": [*ways, "both"], ways[0]: ["both", "luck"]}
    edges |= {name: ["both"] for name in ways[1:]}
    return {"nodes": nodes, "graph": {**edges, "luck": ["swallow"], "both": ["show"]}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(opened: Opened, scheme: str) -> None:
    """Axe finds nothing serious: at first, in a run with an error, and in each part of it."""
    editor = opened(color_scheme=scheme).ready()
    rule = "color-contrast" if scheme == "dark" else None  # the rest is the same
    assert findings(editor, rule) == []
    editor.choose("Examples", "Steps that fail")
    editor.press("Run")
    editor.see(editor.card("luck").locator(".card-error"))
    editor.select("luck")
    assert findings(editor, rule) == []
    for tab in ("Problems", "Timeline", "YAML", "Push"):
        editor.tab(tab)
        assert findings(editor, rule) == []
    editor.end()


def test_it_is_used_on_a_phone(opened: Opened) -> None:
    """One part is seen at a time, nothing is wider than the screen, and a run is watched."""
    editor = opened(**PHONE).ready()
    parts = editor.page.get_by_role("navigation")
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    editor.press("Run")
    editor.see_text("32/32")
    first, last = (editor.card(name).bounding_box() for name in ("numbers", "show"))
    assert first["x"] >= 0
    assert first["x"] + first["width"] <= 390
    assert last["y"] > first["y"] + first["height"]
    editor.card("slow").tap()
    for part, seen in (
        ("Details", editor.field("Seconds")),
        ("Results", editor.page.locator(".output code").first),
        ("Steps", editor.offer("words")),
    ):
        parts.get_by_role("button", name=part).tap()
        editor.see(seen)
        assert not editor.page.evaluate(wide)
        assert findings(editor) == []
    editor.offer("words").tap()
    editor.see(editor.card("words"))
    editor.see(editor.page.get_by_role("button", name="Apply", exact=True))
    assert not editor.page.evaluate(wide)
    editor.end()


@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_nothing_covers_anything(opened: Opened, screen: str) -> None:
    """Whatever nodes are called, no card lies on another one and no label on a label or a card."""
    editor = opened(**(PHONE if screen == "phone" else {})).ready()
    editor.show(large_graph())
    editor.press("Run")
    editor.see(editor.card("luck").locator(".card-error"))
    editor.see(editor.page.locator(".queue-label").first)
    editor.press("Tidy")
    assert editor.page.evaluate(SETTLED % OVERLAPS, ".card, .queue-label") == []
    assert editor.page.evaluate(SPILLED) == []
    editor.end()


@pytest.mark.skipif(not PICTURES, reason="make picture draws the pictures of the wiki")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_the_page_at_work(opened: Opened, scheme: str) -> None:
    """The editor in a run, as README and wiki show it."""
    editor = opened(color_scheme=scheme).ready()
    editor.press("Run")
    editor.see_more_than(100, "show")
    editor.select("slow")
    suffix = "-dark" if scheme == "dark" else ""
    editor.page.screenshot(path=Path(PICTURES or ".") / f"editor{suffix}.png")
    if scheme == "light":
        editor.tab("Timeline")
        editor.press("Drain")
        editor.see_text("every item accounted for")
        editor.page.screenshot(path=Path(PICTURES or ".") / "editor-timeline.png")
    else:
        editor.end()


@pytest.mark.skipif(not PICTURES, reason="make picture draws the pictures of the wiki")
def test_the_picture_on_a_phone(opened: Opened) -> None:
    """The editor in a run on a small screen."""
    editor = opened(**PHONE).ready()
    editor.press("Run")
    editor.see_more_than(60, "show")
    editor.page.screenshot(path=Path(PICTURES or ".") / "editor-phone.png")
    editor.end()
