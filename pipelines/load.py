"""A graph file, text, or mapping -> `GraphSpec`, with every fault of reading and of the schema."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.checks.schema import graph_schema, inspect_document
from pipelines.errors import GraphError, Problem, shorten
from pipelines.places import Findings, Path
from pipelines.registry import did_you_mean
from pipelines.spec import GraphSpec

__all__ = ["Draft", "Source", "load", "prune", "read"]

#: What a graph is read from: a path, YAML or JSON text, a document, or a finished spec. Text is
#: told from a path by a line break in it, or a ``{`` at its start.
Source = str | os.PathLike[str] | Mapping[str, Any] | GraphSpec


@dataclass(frozen=True, slots=True)
class Draft:
    """A graph as it was read, not checked yet.

    Attributes:
        document: the data, `None` where nothing could be read.
        findings: the faults found so far, and where each part stands.
        objects: the document was written in Python, so steps may be objects.
        missing: the paths of values that are not known, because a variable is not set.
    """

    document: Any
    findings: Findings
    objects: bool = False
    missing: set[Path] = field(default_factory=set)


def load(
    source: Source,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    trusted: bool = True,
) -> GraphSpec:
    """Read a graph, and check it against the schema; what it means is for `check`.

    Args:
        source: a path, YAML or JSON text, a document, or a `GraphSpec`, which is returned as it is.
        env: the variables for ``${NAME}`` in a file or text; by default those of the process.
        overrides: changes such as ``nodes.fetch.properties.concurrency=4``.
        trusted: false for a graph from a stranger: a string is always text, never a path;
            variables are left as they are, and aliases are refused.

    Raises:
        GraphError: with every fault of reading and of the schema.
    """
    overrides = tuple(overrides)
    if isinstance(source, GraphSpec) and not overrides:
        return source
    draft = read(source, env=env, overrides=overrides, trusted=trusted)
    drop = inspect(draft)
    if draft.findings.problems:
        raise GraphError(draft.findings.problems)
    spec = GraphSpec.from_dict(prune(draft.document, drop))
    return replace(spec, source=draft.findings.file, locations=draft.findings.places)


def inspect(draft: Draft, *, mapped: bool = False) -> set[Path]:
    """Check a draft against the schema; see `inspect_document`."""
    if draft.document is None and draft.findings.problems:
        return {()}  # nothing was read, and why is said
    return inspect_document(
        draft.document,
        draft.findings,
        objects=draft.objects,
        mapped=mapped,
        ignore=draft.missing,
    )


def read(
    source: Source,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    trusted: bool = True,
) -> Draft:
    """Return the document of `source` with `overrides` made and its own variables filled in.

    Args and what counts as trusted: as for `load`. Nothing is raised: see the draft's findings.
    """
    draft = _open(source, trusted)
    document, missing = draft.document, draft.missing
    for override in overrides:
        document = _override(document, override, draft.findings)
    if trusted and not draft.objects:
        from pipelines.variables import fill_variables

        variables = os.environ if env is None else env
        document, missing = fill_variables(document, variables, draft.findings)
    return replace(draft, document=document, missing=missing)


def _open(source: Any, trusted: bool) -> Draft:
    if isinstance(source, GraphSpec):
        return _open_spec(source)
    if isinstance(source, Mapping):
        return Draft(source, Findings(), objects=trusted)
    # Here and below, as a plain `import pipelines` would pay for what only text needs.
    from pipelines.yamltext import read_file, read_text

    findings: Findings
    if isinstance(source, str) and (not trusted or _is_text(source)):
        findings, text = Findings(), source
    elif isinstance(source, str | os.PathLike):
        findings = Findings(os.fspath(source))
        text = read_file(source, findings) or ""
    else:
        findings = Findings()
        what = f"a graph is a path, text, a mapping or a GraphSpec, not {shorten(source, 60)}."
        findings.add("not-a-graph", what, (), "Pass one of these.")
        return Draft(None, findings)
    document = None if findings.problems else read_text(text, findings, aliases=trusted)
    if document is None and not findings.problems:
        findings.add("empty", "the file holds no graph.", (), "Begin with `nodes:`.")
    return Draft(document, findings)


def _open_spec(spec: GraphSpec) -> Draft:
    findings = Findings(spec.source, spec.locations)
    try:
        return Draft(spec.to_dict(), findings, objects=True)
    except (TypeError, ValueError, AttributeError) as error:
        # A spec made by hand may hold anything; only a document can be judged by the schema.
        findings.add("bad-spec", f"the GraphSpec can't be read: {error}.", (), "Check its values.")
        return Draft(None, findings)


def _is_text(source: str) -> bool:
    return "\n" in source or source.lstrip().startswith("{")


def prune(value: Any, paths: Collection[Path]) -> Any:
    """Return a copy of `value` without what stands at `paths`; in a list, `None` replaces it."""
    branches: dict[str | int, list[Path]] = {}
    for path in paths:
        if path:
            branches.setdefault(path[0], []).append(path[1:])
    if not branches or not isinstance(value, Mapping | list | tuple):
        return value
    if not isinstance(value, Mapping):
        copy = dict(enumerate(value))
        return [
            None if () in branches.get(i, ()) else prune(copy[i], branches.get(i, ())) for i in copy
        ]
    return {
        key: prune(each, branches.get(key, ()))
        for key, each in value.items()
        if () not in branches.get(key, ())
    }


_OVERRIDE_PART = re.compile(r'(?:"(?P<quoted>[^"]*)"|(?P<plain>[^".=]+))(?P<end>[.=])')


def _override(document: Any, override: str, findings: Findings) -> Any:
    """Return `document` with one ``path=value`` changed, or as it is where that can't be."""
    parts, text = _split(override)
    if not parts:
        hint = "Write it like nodes.NAME.properties.concurrency=4."
        findings.put(
            Problem("bad-override", f"--set {override}: this is no path=value.", hint=hint)
        )
        return document
    if not isinstance(document, Mapping):
        return document
    try:
        path = _existing(parts, document)
        changed = _with(document, path, _value(text))
    except LookupError as error:
        what, hint = error.args
        findings.put(Problem("unknown-path", f"--set {override}: {what}", hint=hint))
        return document
    except GraphError as error:
        found = error.problems[0]
        findings.put(Problem("bad-override", f"--set {override}: {found.message}", hint=found.hint))
        return document
    findings.moved[_changed(document, path)] = f"--set {override}"
    return changed


def _split(override: str) -> tuple[list[str], str]:
    """Split ``a."b.c".d=text`` into its parts and the text; no parts where it has no such form."""
    parts: list[str] = []
    start = 0
    while match := _OVERRIDE_PART.match(override, start):
        parts.append(match["plain"] if match["quoted"] is None else match["quoted"])
        start = match.end()
        if match["end"] == "=":
            return parts, override[start:]
    return [], ""


def _existing(parts: list[str], document: Mapping[str, Any]) -> Path:
    """Return the path that `parts` mean; a node's name may hold dots, the longest one counts.

    Raises:
        LookupError: no such section or node; its arguments say so and give the nearest.
    """
    section, rest = parts[0], parts[1:]
    known = graph_schema()["properties"]
    if section not in known and section not in document:
        raise LookupError(f"a graph has no {section!r}.", did_you_mean(section, known))
    if section != "nodes" or not rest:
        return tuple(parts)
    nodes = document.get("nodes")
    names = nodes if isinstance(nodes, Mapping) else {}
    for length in range(len(rest), 0, -1):
        if (name := ".".join(rest[:length])) in names:
            return (section, name, *rest[length:])
    raise LookupError(f"no node is named {rest[0]!r}.", did_you_mean(rest[0], map(str, names)))


def _changed(document: Any, path: Path) -> Path:
    """Return how far `path` led before: what is made on the way comes from the override too."""
    led: Path = ()
    for key in path:
        in_list = isinstance(document, list | tuple) and str(key).isdecimal()
        part = int(key) if in_list else key
        if not in_list and (not isinstance(document, Mapping) or part not in document):
            return (*led, part)
        document = document[part]
        led = (*led, part)
    return led


def _with(value: Any, path: Path, new: Any) -> Any:
    """Return `value` with `new` at `path`; only what leads there is copied, or made.

    Raises:
        LookupError: the path leads through something that has no parts.
    """
    if not path:
        return new
    key, rest = path[0], path[1:]
    if value is None or isinstance(value, Mapping):
        inner = None if value is None else value.get(key)
        return {**(value or {}), key: _with(inner, rest, new)}
    if isinstance(value, list | tuple) and str(key).isdecimal() and int(key) < len(value):
        copy = list(value)
        copy[int(key)] = _with(copy[int(key)], rest, new)
        return copy
    raise LookupError(f"{shorten(value, 60)} has no part {key!r}.", "Check the path.")


def _value(text: str) -> Any:
    """Return the value that `text` means in YAML; only brackets and quotes make more of it.

    Raises:
        GraphError: the brackets or quotes are not closed, and the like.
    """
    if text[:1] not in ("[", "{", '"', "'"):
        return _scalar(text)
    from pipelines.yamltext import read_text

    inner = Findings()
    value = read_text(text, inner, aliases=False)
    if inner.problems:
        raise GraphError(inner.problems)
    return value


def _scalar(text: str) -> Any:
    from pipelines.yamltext import scalar

    try:
        return scalar(text)
    except ValueError:
        return text
