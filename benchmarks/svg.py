"""The few shapes that the pictures are made of, as SVG that reads well on light and on dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# No background: the page shows through. Marks are of middle tone; ink follows the theme where the
# reader's program tells it, and is grey enough for both where not.
_STYLE = """\
:root { --ink: #57606a; --strong: #1f2328; --grid: #8c959f; --ours: #2f81f7; --other: #8c959f;
  --a: #2f81f7; --b: #d1722c; --c: #3fa45b; --d: #a371f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #9198a1; --strong: #f0f6fc; --grid: #656c76; --other: #767d87; } }
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
.title { font-weight: 600; font-size: 13px; fill: var(--strong); }
.strong { font-weight: 600; fill: var(--strong); }
.small { font-size: 10.5px; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: var(--grid); stroke-opacity: .35; }
.bar { fill: var(--other); fill-opacity: .75; }
.ours { fill: var(--ours); }
.key-a { fill: var(--a); } .key-b { fill: var(--b); }
.key-c { fill: var(--c); } .key-d { fill: var(--d); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
"""


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return a line of text whose base line starts at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}"{_class(kind)}>{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a bar with round corners."""
    size = f'width="{max(width, 1):.1f}" height="{height:.1f}" rx="2"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size}{_class(kind)}/>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{_class(kind)}/>'


def curve(points: Sequence[tuple[float, float]], color: str) -> Iterable[str]:
    """Yield a line through points, and a dot at each."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{through}" class="line" style="stroke: var(--{color})"/>'
    for x, y in points:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill: var(--{color})"/>'


def picture(width: int, height: int, title: str, marks: Iterable[str]) -> str:
    """Return a whole SVG file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    body = "\n".join(marks)
    return (
        f'{head} width="{width}" height="{height}">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
