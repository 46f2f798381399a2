"""A graph in the DOT language of Graphviz."""

from __future__ import annotations

from pipelines.spec import EdgeSpec, GraphSpec

__all__ = ["to_dot"]


def to_dot(spec: GraphSpec) -> str:
    """Return the graph as DOT text; input nodes are rounded, edges that may drop items dashed."""
    ids = {name: f"n{index}" for index, name in enumerate(spec.nodes)}
    fed = {edge.target for edge in spec.edges}
    lines = [f"digraph {_quoted(spec.name or 'pipeline')} {{", "    rankdir=LR;"]
    lines.append("    node [shape=box, fontname=monospace];")
    for name, key in ids.items():
        style = "" if name in fed else ", style=rounded"
        lines.append(f"    {key} [label={_quoted(name)}{style}];")
    lines += [f"    {ids[edge.source]} -> {ids[edge.target]}{_style(edge)};" for edge in spec.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _style(edge: EdgeSpec) -> str:
    if edge.when_full == "block":
        return ""
    return f" [style=dashed, tooltip={_quoted(edge.when_full)}]"


def _quoted(text: str) -> str:
    # In a quoted string of DOT a backslash starts an escape (\n, \N, \l), so it is doubled.
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'
