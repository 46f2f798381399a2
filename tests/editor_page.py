"""The editor's page as a person uses it: what can be seen and done there, by name."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

PATIENCE = 15_000  # milliseconds; a page that is slower than that does not work


class EditorPage:
    """One visitor's page, in a browser context of their own.

    Attributes:
        errors: what the browser complained about, such as a script's error or a refused style.
    """

    def __init__(self, context: Any, link: str) -> None:
        self.context = context
        context.set_default_timeout(PATIENCE)
        self.page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(link)

    def _hear(self, message: Any) -> None:
        # That a connection broke is said by the browser itself; the tests break some on purpose.
        if message.type == "error" and "WebSocket" not in message.text:
            self.errors.append(message.text)

    def close(self) -> None:
        """End the visit."""
        self.context.close()

    def ready(self) -> EditorPage:
        """Wait until the page is connected and shows a graph."""
        self.see(self.page.get_by_text("Connected", exact=True))
        self.see(self.page.locator(".card").first)
        return self

    # What is seen.

    def see(self, what: Any) -> Any:
        """Wait until something is visible, and return it."""
        what.wait_for(state="visible", timeout=PATIENCE)
        return what

    def see_text(self, text: str | re.Pattern[str]) -> Any:
        """Wait until some text is visible."""
        return self.see(self.page.get_by_text(text).first)

    def miss(self, what: Any) -> None:
        """Wait until something is not visible."""
        what.wait_for(state="hidden", timeout=PATIENCE)

    def card(self, name: str) -> Any:
        """Return a node's card."""
        named = self.page.locator(f".card-name[title={json.dumps(name, ensure_ascii=False)}]")
        return self.page.locator(".card").filter(has=named)

    def place(self, name: str) -> dict[str, float]:
        """Return where a node's card is, once it no longer moves."""
        card = self.card(name)
        card.element_handle().wait_for_element_state("stable")
        found: dict[str, float] = card.bounding_box()
        return found

    def see_at(self, name: str, place: dict[str, float]) -> None:
        """Wait until a node's card is at a place, give or take two pixels."""
        self.page.wait_for_function(
            """([card, place]) => {
                const now = card.getBoundingClientRect();
                return Math.hypot(now.x - place.x, now.y - place.y) <= 2;
            }""",
            arg=[self.card(name).element_handle(), place],
            timeout=PATIENCE,
        )

    def cards(self) -> list[str]:
        """Return the names of all nodes."""
        return self.page.locator(".card-name").all_inner_texts()

    def edge(self, source: str, target: str) -> Any:
        """Return an edge, as assistive technology finds it."""
        return self.page.locator(f'[aria-label="from {source} to {target}"]')

    def details(self) -> Any:
        """Return the form at the right."""
        return self.page.get_by_role("complementary", name="Details")

    def field(self, label: str) -> Any:
        """Return a field of the form, by its whole label."""
        return self.details().get_by_label(label, exact=True)

    def output(self) -> list[Any]:
        """Return the items of the output, which are shown as Python writes them."""
        return [
            ast.literal_eval(text) for text in self.page.locator(".output code").all_inner_texts()
        ]

    def received(self, node: str) -> int:
        """Return how many items a node has received."""
        return int(self.card(node).locator(".card-total").inner_text().replace(",", ""))

    def see_more_than(self, count: int, node: str) -> int:
        """Wait until a node has received more than `count` items; return how many."""
        self.page.wait_for_function(
            """([name, count]) => [...document.querySelectorAll('.card')].some((card) =>
                card.querySelector('.card-name').title === name &&
                Number(card.querySelector('.card-total')?.textContent.replaceAll(',', '')) > count)
            """,
            arg=[node, count],
            timeout=PATIENCE,
        )
        return self.received(node)

    # What is done.

    def press(self, label: str) -> None:
        """Click a button by its whole label."""
        self.page.get_by_role("button", name=label, exact=True).click()

    def choose(self, menu: str, entry: str) -> None:
        """Open a menu and click an entry, by how it begins."""
        self.press(menu)
        self.page.locator(".menu-list").get_by_role("button", name=re.compile(f"^{entry}")).click()

    def tab(self, name: str) -> None:
        """Show another part of the results."""
        self.page.get_by_role("tab", name=re.compile(f"^{name}")).click()

    def offer(self, step: str) -> Any:
        """Return the button of an offered step."""
        name = self.page.locator("strong").get_by_text(step, exact=True)
        return self.page.locator(".offer").filter(has=name)

    def select(self, name: str) -> None:
        """Click a node's card."""
        self.card(name).locator(".card-name").click()

    def load(self, graph: Any, *, name: str = "graph.yaml") -> None:
        """Import a file: a graph, or its text as it stands."""
        text = graph if isinstance(graph, str) else json.dumps(graph)
        file = {"name": name, "mimeType": "application/yaml", "buffer": text.encode()}
        self.page.set_input_files("input[type=file]", files=[file])

    def show(self, graph: dict[str, Any]) -> None:
        """Import a graph, and wait until it is shown."""
        self.load(graph)
        self.see_text("Opened graph.yaml")
        for name in graph["nodes"]:
            self.see(self.card(name))

    def end(self) -> None:
        """Stop the run, and wait until it has ended."""
        self.press("Stop")
        self.see(self.page.get_by_role("button", name="Run", exact=True))
