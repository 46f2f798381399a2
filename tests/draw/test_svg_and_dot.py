"""SVG and DOT: well formed whatever the names are, and nothing lies on anything else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

from pipelines.draw import to_dot, to_svg
from pipelines.spec import GraphSpec

NASTY = 'a "b" <c> & \\N {d}\n[e]'
SVG = "{http://www.w3.org/2000/svg}"


def graph() -> GraphSpec:
    """Return a diamond with a nasty name, a long edge and an edge that drops items."""
    names = ["urls", NASTY, "lang", "merge", "store"]
    return GraphSpec.from_dict(
        {
            "name": NASTY,
            "nodes": {name: {"func": "some.module:step"} for name in names},
            "graph": {
                "urls": [NASTY, "lang", "store"],
                NASTY: ["merge"],
                "lang": ["merge"],
                "merge": [{"to": "store", "when_full": "drop_oldest"}],
            },
        }
    )


def test_svg_is_well_formed_and_complete() -> None:
    """Each node is a titled box, each edge a path; an edge that drops items is dashed."""
    root = ET.fromstring(to_svg(graph()))
    titles = {group.findtext(f"{SVG}title") for group in root.findall(f"{SVG}g")}
    edges = [path.get("class") for path in root.findall(f"{SVG}path")]
    assert titles == {"urls", NASTY, "lang", "merge", "store"}
    assert sorted(edges) == ["edge"] * 5 + ["edge drops"]


def test_svg_knows_a_dark_page() -> None:
    """Colours follow what the page's reader prefers."""
    assert "prefers-color-scheme:dark" in to_svg(graph())


def test_svg_boxes_do_not_overlap_and_lie_in_the_picture() -> None:
    """No box covers another one, however many there are."""
    names = [f"n{index}" for index in range(40)]
    edges = {
        name: [names[i * 2 + 1 + k] for k in (0, 1) if i * 2 + 1 + k < 40]
        for i, name in enumerate(names)
    }
    spec = GraphSpec.from_dict({"nodes": {n: {"func": "len"} for n in names}, "graph": edges})
    root = ET.fromstring(to_svg(spec))
    boxes = [
        tuple(float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
        for rect in root.iterfind(f"{SVG}g/{SVG}rect")
    ]
    assert len(boxes) == 40
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    assert all(
        x >= 0
        and x + w <= float(root.get("width", "0"))
        and y >= 0
        and y + h <= float(root.get("height", "0"))
        for x, y, w, h in boxes
    )


def test_svg_of_nothing_is_a_picture() -> None:
    """An empty graph gives an empty page, not an error."""
    assert ET.fromstring(to_svg(GraphSpec(nodes={}))).tag == f"{SVG}svg"


def test_dot_quotes_every_name() -> None:
    """Names are labels of numbered nodes, with quotes and backslashes escaped."""
    dot = to_dot(graph())
    label = re.search(r'n1 \[label="((?:[^"\\]|\\.)*)"', dot, re.DOTALL)
    assert label is not None
    assert label[1] == 'a \\"b\\" <c> & \\\\N {d}\\n[e]'
    assert "n3 -> n4 [style=dashed" in dot
    assert 'n0 [label="urls", style=rounded];' in dot
