"""What people do with the editor, in a real browser on a real server."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from editor_page import EditorPage

Opened = Callable[..., EditorPage]

pytestmark = pytest.mark.slow

ENDLESS = {
    "nodes": {"ticks": {"func": "ticks", "args": {"every": 0.05}}, "show": {"func": "show"}},
    "graph": {"ticks": ["show"]},
}


def line(*steps: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a graph of steps in a row, each node named as its step."""
    names = [name for name, _ in steps]
    nodes = {name: {"func": name, "args": args} for name, args in steps}
    return {"nodes": nodes, "graph": {a: [b] for a, b in itertools.pairwise(names)}}


def empty(editor: EditorPage) -> None:
    """Remove every node, as a person would."""
    for name in editor.cards():
        editor.select(name)
        editor.press("Delete node")
    editor.see_text("Add a step from the list")


def test_the_first_visit_is_one_click_from_back_pressure(editor: EditorPage) -> None:
    """Three nodes are there; after Run the queue before the slow one is full, and it is marked."""
    assert len(editor.cards()) == 3
    editor.press("Run")
    editor.see_text("32/32")
    editor.see(editor.card("slow").get_by_text("bottleneck"))
    editor.see(editor.card("numbers").get_by_text("blocked"))
    editor.see(editor.page.locator(".output code").first)
    editor.end()
    editor.see_text("Stopped")


def test_a_graph_is_drawn_by_mouse(editor: EditorPage) -> None:
    """Two steps are dragged into the picture and joined by a line; the graph runs."""
    empty(editor)
    canvas = editor.page.locator(".canvas")
    editor.offer("words").drag_to(canvas, target_position={"x": 200, "y": 200})
    editor.offer("show").drag_to(canvas, target_position={"x": 600, "y": 300})
    editor.card("words").get_by_label("items out").drag_to(
        editor.card("show").get_by_label("items in")
    )
    editor.edge("words", "show").wait_for(state="attached")
    editor.press("Run")
    editor.see_text("every item accounted for")
    assert " ".join(editor.output()) == "the quick brown fox jumps over the lazy dog"


def test_a_graph_is_drawn_without_a_mouse(editor: EditorPage) -> None:
    """Enter adds a step, Tab and Enter select a card, a choice connects, Ctrl+Enter runs."""
    page = editor.page
    for name in editor.cards():
        page.get_by_label(re.compile(f"^{name}, ")).focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Delete")
    search = page.get_by_label("Search steps")
    for step in ("words", "upper", "show"):
        search.fill(step)
        search.press("Enter")
        editor.see(editor.card(step))
    for source, target in (("words", "upper"), ("upper", "show")):
        page.get_by_label(f"{source}, {source}").focus()
        page.keyboard.press("Enter")
        choice = editor.field("Connect to…")
        assert source not in choice.inner_text()
        choice.focus()
        choice.press_sequentially(target)
        editor.edge(source, target).wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    editor.see_text("every item accounted for")
    assert editor.output()[:3] == ["THE", "QUICK", "BROWN"]


def test_wiring_that_can_not_be_is_refused_with_a_reason(editor: EditorPage) -> None:
    """A line back to a node that leads here would be a circle, and it is said."""
    editor.show(line(("count", {}), ("square", {}), ("total", {}), ("show", {})))
    out, into = editor.card("total"), editor.card("square")
    out.get_by_label("items out").drag_to(into.get_by_label("items in"))
    editor.see_text("That would be a circle: square leads to total.")
    assert editor.edge("total", "square").count() == 0


def test_what_the_form_says_is_in_the_graph(editor: EditorPage) -> None:
    """Slider, choice, number and name reach the YAML; undo takes each back."""
    editor.show(line(("count", {"stop": 9}), ("slow", {}), ("arithmetic", {}), ("show", {})))
    editor.tab("YAML")
    text = editor.page.get_by_label("The graph as YAML")
    details = editor.details()

    editor.select("slow")
    editor.field("Seconds").fill("0.5")
    details.get_by_text("Properties", exact=True).click()
    editor.field("Concurrency").fill("3")
    editor.field("Name").fill("später")
    editor.field("Name").press("Enter")
    editor.select("arithmetic")
    editor.field("Operation").select_option("multiply")
    editor.page.wait_for_function(
        "(box) => box.value.includes('multiply')", arg=text.element_handle()
    )
    nodes = yaml.safe_load(text.input_value())["nodes"]
    assert nodes["später"]["args"] == {"seconds": 0.5}
    assert nodes["später"]["properties"] == {"concurrency": 3}
    assert nodes["arithmetic"]["args"] == {"operation": "multiply"}

    editor.field("Operand").fill("many")
    editor.see(details.get_by_role("alert"))
    for _ in range(4):
        editor.press("Undo")
    editor.see(editor.card("slow"))


def test_an_error_stands_on_its_node(editor: EditorPage) -> None:
    """The failing node says why, so do the problems, and a click there goes to the node."""
    divide = {"operation": "divide", "operand": 0}
    editor.show(line(("count", {"stop": 3}), ("arithmetic", divide), ("show", {})))
    editor.press("Run")
    editor.see(editor.card("arithmetic").get_by_text(re.compile("ZeroDivisionError")))
    editor.see(editor.card("arithmetic").get_by_text("error", exact=True))
    editor.see(editor.page.locator(".outcome").get_by_text("Failed"))
    editor.tab("Problems")
    editor.page.locator(".problem button").first.click()
    editor.see(editor.field("Operand"))


def test_a_faulty_graph_says_so_before_it_runs(editor: EditorPage) -> None:
    """What the server finds wrong is on the node, at the field, and counted."""
    graph = line(("words", {}), ("show", {}))
    graph["nodes"]["words"]["args"] = {"test": "a"}
    editor.load(graph)
    editor.see(editor.card("words").get_by_text("takes no argument"))
    editor.tab("Problems")
    editor.page.locator(".problem button").first.click()
    editor.field("Reset test").click()
    editor.see_text("No problems")


def test_draining_loses_nothing(editor: EditorPage) -> None:
    """The source stops, what is under way comes through, and the timeline shows the run."""
    editor.show(line(("count", {}), ("slow", {"seconds": 0.01}), ("show", {})))
    editor.press("Run")
    editor.see_more_than(20, "show")
    editor.press("Drain")
    editor.see_text("every item accounted for")
    assert editor.received("count") == editor.received("slow") == editor.received("show")
    editor.press("Timeline")
    plots = editor.page.locator(".timeline li")
    assert plots.count() == 3
    assert plots.nth(1).get_by_role("img", name="queue from count").count() == 1


def test_items_are_pushed_into_a_running_graph(editor: EditorPage) -> None:
    """What is written is sent, one item a line; what is no JSON is refused, and the line named."""
    editor.choose("Examples", "Push items yourself")
    editor.see(editor.card("reverse"))
    editor.press("Run")
    editor.tab("Push")
    items = editor.page.get_by_label("Items, one a line")
    items.fill('"abc"\noops')
    editor.press("Push")
    editor.see_text("Line 2 is no JSON")
    items.fill('"abc"\n12')
    editor.press("Push")
    editor.see_text("2 taken.")
    editor.tab("Output")
    editor.see_text("cba")
    assert editor.output() == ["cba", "21"]
    editor.end()


def test_a_graph_goes_to_a_file_and_back(editor: EditorPage) -> None:
    """What is exported is what `plumber run` takes, and importing it gives the same picture."""
    with editor.page.expect_download() as download:
        editor.choose("Import / Export", "Export")
    text = download.value.path().read_text()
    assert list(yaml.safe_load(text)["nodes"]) == ["numbers", "slow", "show"]
    place = editor.place("slow")
    empty(editor)
    editor.load(text, name="again.yaml")
    editor.see_text("Opened again.yaml")
    assert editor.cards() == ["numbers", "slow", "show"]
    editor.see_at("slow", place)
    editor.load("nodes: [", name="broken.yaml")
    editor.see_text("broken.yaml can't be opened.")
    assert len(editor.cards()) == 3


def test_a_fault_of_the_graph_before_is_not_said_of_the_one_opened(editor: EditorPage) -> None:
    """Nor does it push the cards about: the page has time stand still, so none is judged again."""
    with editor.page.expect_download() as download:
        editor.choose("Import / Export", "Export")
    text = download.value.path().read_text()
    place = editor.place("slow")
    editor.select("numbers")
    editor.press("Delete node")
    fault = editor.see_text("slow() needs an argument 'item'.")
    editor.page.clock.install()
    editor.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
    editor.load(text, name="again.yaml")
    editor.see_text("Opened again.yaml")
    editor.miss(fault)
    editor.page.clock.resume()
    editor.see_at("slow", place)


def test_the_graph_is_edited_as_text(editor: EditorPage) -> None:
    """A node that is typed appears, half a line says what is wrong, and what was drawn stays."""
    editor.tab("YAML")
    text = editor.page.get_by_label("The graph as YAML")
    editor.page.wait_for_function("(box) => box.value !== ''", arg=text.element_handle())
    whole = text.input_value()
    text.fill(whole.replace("nodes:", "nodes:\n  more: {func: upper}"))
    editor.see(editor.card("more"))
    text.fill("nodes: {")
    editor.see(editor.page.locator(".yaml .field-fault"))
    editor.see(editor.card("more"))


def test_a_lost_connection_is_resumed(opened: Opened, link: str) -> None:
    """The run goes on while the connection is away, and is seen again with all that it counted."""
    editor = opened("about:blank")
    sockets: list[Any] = []
    ends: list[Any] = []

    def through(socket: Any) -> None:
        sockets.append(socket)
        ends.append(socket.connect_to_server())

    editor.page.route_web_socket(re.compile("socket.io"), through)
    editor.page.goto(link)
    editor.ready().show(ENDLESS)
    editor.press("Run")
    before = editor.see_more_than(5, "show")
    sockets[-1].close()
    ends[-1].close()
    editor.see_text("Reconnecting…")
    editor.see_text("Connected")
    assert len(sockets) > 1
    assert editor.see_more_than(before, "show") > before
    editor.end()


def test_a_reloaded_page_finds_its_run_again(editor: EditorPage) -> None:
    """The graph and the run are those from before."""
    editor.show(ENDLESS)
    editor.press("Run")
    before = editor.see_more_than(5, "show")
    editor.page.reload()
    editor.ready()
    assert editor.see_more_than(before, "show") > before
    editor.end()


def test_two_visitors_see_only_their_own(opened: Opened) -> None:
    """Each has a graph, a run and an output of their own, at the same time."""
    one, other = opened().ready(), opened().ready()
    one.show(line(("words", {"text": "one " * 50}), ("slow", {"seconds": 0.02}), ("show", {})))
    other.show(line(("words", {"text": "two " * 50}), ("slow", {"seconds": 0.02}), ("show", {})))
    one.press("Run")
    other.press("Run")
    for page, word in ((one, "one"), (other, "two")):
        page.see_text("every item accounted for")
        assert set(page.output()) == {word}
        assert page.received("show") == 50


def test_a_running_graph_is_changed(editor: EditorPage) -> None:
    """Apply sends the change into the run, which goes on with it; until then nothing changes."""
    editor.show(line(("ticks", {"every": 0.05}), ("reverse", {}), ("show", {})))
    apply = editor.page.get_by_role("button", name="Apply", exact=True)
    editor.press("Run")
    before = editor.see_more_than(3, "show")
    editor.miss(apply)
    editor.select("ticks")
    editor.field("Every").fill("0.1")
    editor.see(apply)
    editor.press("Apply")
    editor.see_text(re.compile("Applied: replaced ticks"))
    editor.miss(apply)
    editor.see_more_than(before, "show")
    editor.end()


def test_a_shared_link_shows_a_graph_and_does_not_run_it(
    editor: EditorPage, opened: Opened
) -> None:
    """The link holds the graph and no token; whoever opens it with a token sees it, not running."""
    editor.show(ENDLESS)
    editor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.choose("Import / Export", "Copy link")
    editor.see_text("Copied a link")
    shared = editor.page.evaluate("navigator.clipboard.readText()")
    assert "token" not in shared
    token = editor.page.evaluate("sessionStorage.getItem('pipelines.token')")
    visitor = opened(f"{shared}&token={token}").ready()
    visitor.see_text("This graph came from a link.")
    assert visitor.cards() == ["ticks", "show"]
    assert visitor.page.url.endswith("/")
    visitor.see(visitor.page.get_by_role("button", name="Run", exact=True))
    damaged = opened(f"{shared[:-9]}&token={token}").ready()
    damaged.see_text("The graph in the link is damaged")


def test_without_a_token_nothing_is_shown(opened: Opened, link: str) -> None:
    """The page asks for the token, and takes a good one."""
    address, _, token = link.partition("#token=")
    visitor = opened(f"{address}#token=wrong")
    visitor.see_text("The server did not let this page in")
    visitor.page.get_by_label("Token").fill(token)
    visitor.press("Connect")
    visitor.ready()


def test_what_a_stranger_wrote_is_only_text(editor: EditorPage) -> None:
    """Markup in names and items is shown as it stands; names of prototypes are refused."""
    evil = "<img src=x onerror=document.title='caught'>"
    graph = line(("words", {"text": evil.replace(" ", "\u00a0")}), ("show", {}))
    graph["nodes"]["<b>bold</b>"] = {"func": "show"}
    graph["graph"]["words"] = ["show", "<b>bold</b>"]
    editor.show(graph)
    editor.press("Run")
    editor.see_text("every item accounted for")
    assert editor.page.locator(".output img, .card b").count() == 0
    assert editor.page.title() == "Pipelines"
    editor.load('{"nodes": {"__proto__": {"func": "show"}}}')
    editor.see_text("graph.yaml can't be opened.")
    editor.select("show")
    editor.field("Name").fill("__proto__")
    editor.see(editor.details().get_by_role("alert"))
