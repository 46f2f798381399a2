"""Pictures of a graph, drawn offline: text for a terminal, SVG for a page, DOT for Graphviz.

Nothing here runs or imports a step: a drawing needs a `GraphSpec` that has no cycle, and no more.
"""

from pipelines.draw.dot import to_dot
from pipelines.draw.svg import to_svg
from pipelines.draw.text import to_text

__all__ = ["to_dot", "to_svg", "to_text"]
