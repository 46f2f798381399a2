"""YAML or JSON text -> plain data, with the place of every part and every fault of the text.

It reads the parser's events rather than PyYAML's finished objects: those follow YAML 1.1, in which
``on`` is a boolean and ``1:30`` a number, forget places, and let a later key silently replace an
earlier one. Here scalars are typed by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/,
section 10.3.2), keys are text and stand once, tags are refused, and aliases are bounded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from pipelines.errors import Problem
from pipelines.places import Branch, Findings, Place, Places
from pipelines.registry import did_you_mean, nearest

if TYPE_CHECKING:
    from yaml.events import AliasEvent, Event, ScalarEvent

__all__ = ["MAX_BYTES", "read_file", "read_text", "scalar"]

MAX_BYTES: Final = 8 * 2**20  # of a graph file: 80,000 nodes, and some seconds to read
MAX_DEPTH: Final = 100  # of mappings and lists in one another
MAX_ALIASED: Final = 100_000  # values that aliases may add to those that are written

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]"
)

_NO_KEY: Final = object()  # a mapping waits for a key
_MERGE: Final = object()  # a plain `<<`: its value's keys are merged into the mapping
_BAD_KEY: Final = object()  # its value is read and thrown away


class _Refused(Exception):
    """The text can't be read on; the one argument is the problem."""


class _Malformed(_Refused):
    """The text is no YAML."""


def scalar(text: str) -> Any:
    """Return what the plain YAML 1.2 scalar `text` means.

    Raises:
        ValueError: it is a number of more digits than Python converts.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text


def read_file(path: str | os.PathLike[str], findings: Findings) -> str | None:
    """Return the text of a file, or note why it can't be read."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) <= MAX_BYTES:
            return content.decode("utf-8-sig")
        findings.put(_too_large(findings))
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        line, column = _line_column(before, len(before))
        what, hint = f"the byte 0x{error.object[error.start]:02x} is no UTF-8.", "Save it as UTF-8."
        findings.put(_fault(findings, "bad-encoding", what, line, column, hint))
    except (OSError, ValueError) as error:
        findings.add("unreadable-file", *_why_unreadable(FilePath(path), error))
    return None


def _too_large(findings: Findings) -> Problem:
    what = f"the text has more than {MAX_BYTES // 2**20} MB."
    return _fault(findings, "too-large", what, None, None, "Keep data in files of their own.")


def _why_unreadable(path: FilePath, error: Exception) -> tuple[str, tuple[()], str]:
    if isinstance(error, FileNotFoundError):
        guess = nearest(path.name, _names_in(path.parent))
        hint = f"Did you mean {guess!r}?" if guess else "Check the path."
        return "no such file.", (), hint
    if isinstance(error, IsADirectoryError):
        return "this is a directory.", (), "Name a graph file in it."
    reason = getattr(error, "strerror", None) or str(error)
    return f"the file can't be read: {reason}.", (), "Check its permissions."


def _names_in(folder: FilePath) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def read_text(text: str, findings: Findings, *, aliases: bool = True) -> Any:
    """Return the data in a YAML or JSON `text`, and give `findings` its places and faults.

    Args:
        text: one document.
        findings: is given the places, and every fault.
        aliases: whether anchors may be used again; refuse them in text from a stranger.

    Returns:
        The data; what is faulty is left out of it. `None` for text that can't be read at all.
    """
    try:
        _check_characters(text, findings)
        try:
            return _Builder(findings, aliases).build(text)
        except _Malformed as malformed:
            # Some JSON is no YAML 1.1: surrogate pairs as escapes, tabs for the parser without C.
            return _read_json(text, findings, malformed)
    except _Refused as refused:
        findings.put(refused.args[0])
        return None


def _check_characters(text: str, findings: Findings) -> None:
    if len(text) > MAX_BYTES:
        raise _Refused(_too_large(findings))
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    line, column = _line_column(text, found.start())
    what = f"the character {found[0]!a} may not stand in a graph file."
    hint = 'In a text, write it as an escape between double quotes, such as "\\x07".'
    if found[0] == "\0":
        what, hint = "this is a binary file, no YAML or JSON.", "Name a graph file."
    raise _Refused(_fault(findings, "bad-character", what, line, column, hint))


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _fault(
    findings: Findings, code: str, message: str, line: int | None, column: int | None, hint: str
) -> Problem:
    return Problem(code, message, (), hint, file=findings.file, line=line, column=column)


def _read_json(text: str, findings: Findings, malformed: _Malformed) -> Any:
    named_json = (findings.file or "").lower().endswith(".json")
    if not named_json and text.lstrip()[:1] not in ("{", "["):
        raise malformed
    try:
        data = json.loads(
            text,
            object_pairs_hook=lambda pairs: _json_mapping(pairs, findings),
            parse_constant=lambda name: _no_json_constant(name, findings),
        )
        _check_json_depth(data, findings)
        return data
    except json.JSONDecodeError as error:
        if not named_json:
            raise malformed from None
        fault = _fault(
            findings, "syntax", f"{error.msg}.", error.lineno, error.colno, "Write JSON."
        )
        raise _Refused(fault) from None
    except RecursionError:
        raise _Refused(_too_deep(findings, 1, 1)) from None


def _json_mapping(pairs: list[tuple[str, Any]], findings: Findings) -> dict[str, Any]:
    data = dict(reversed(pairs))  # the first of two equal keys stays, as in YAML
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            findings.add("duplicate-key", f"the key {key!r} stands twice.", (), "Keep one of them.")
    return {key: data[key] for key, _ in pairs}


def _no_json_constant(name: str, findings: Findings) -> None:
    findings.add("syntax", f"{name} is no JSON.", (), "Write a number, or null.")


def _check_json_depth(data: Any, findings: Findings) -> None:
    level = [data]
    for _ in range(MAX_DEPTH + 1):
        owners = [each for each in level if isinstance(each, dict | list)]
        level = [m for each in owners for m in (each.values() if isinstance(each, dict) else each)]
    if level:
        raise _Refused(_too_deep(findings, 1, 1))


def _too_deep(findings: Findings, line: int, column: int) -> Problem:
    what = f"mappings and lists lie more than {MAX_DEPTH} deep in one another."
    return _fault(findings, "too-deep", what, line, column, "Write it flatter.")


@dataclass(slots=True)
class _Node:
    """A value that is read: `size` counts it and all within, `depth` how deep that goes."""

    value: Any
    place: Place | Branch
    size: int = 1
    depth: int = 0


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read.

    Attributes:
        value, places: what is read so far, and where its members stand, as in a `Branch`.
        key, key_place: the key that waits for its value, in a mapping.
        merges: the values of ``<<`` keys.
    """

    value: Any
    places: Any
    start: Place
    anchor: str | None
    key: Any = _NO_KEY
    key_place: Place = (0, 0)
    size: int = 1
    depth: int = 0
    merges: list[_Node] = field(default_factory=list)


class _Builder:
    """Builds data from the events of a parser, without recursion however deep the text goes."""

    def __init__(self, findings: Findings, aliases: bool) -> None:
        self._findings = findings
        self._aliases = aliases
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node | None] = {}  # `None` while its value is being read
        self._added = 0  # values that aliases stand for
        self._root: _Node | None = None

    def build(self, text: str) -> Any:
        """Return the data in `text`, and give the findings its places and faults."""
        from yaml import events

        act: dict[type, Callable[[Any], None]] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: lambda event: self._begin(event, {}),
            events.SequenceStartEvent: lambda event: self._begin(event, []),
            events.MappingEndEvent: self._end,
            events.SequenceEndEvent: self._end,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        for event in _events(text, self._findings):
            handle = act.get(type(event))
            if handle is not None:
                handle(event)
        if self._root is None:
            return None
        self._findings.places = Places(self._root.place)
        return self._root.value

    def _scalar(self, event: ScalarEvent) -> None:
        place, value = _place(event), event.value
        plain = event.implicit[0] and not event.tag
        if event.tag:
            self._refuse_tag(event.tag, place)
        elif plain:
            try:
                value = scalar(value)
            except ValueError:
                self._note("bad-number", "the number has too many digits.", place, "Quote it.")
        if event.anchor:
            self._anchors[event.anchor] = _Node(value, place)
        self._complete(value, place, 1, 0, event.value if plain else None)

    def _begin(self, event: Any, value: Any) -> None:
        place = _place(event)
        if event.tag:
            self._refuse_tag(event.tag, place)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(value, type(value)(), place, event.anchor))
        self._check_depth(0, place)

    def _end(self, event: Event) -> None:
        opened = self._open.pop()
        for source in opened.merges:
            self._merge(opened, source)
        branch = Branch(opened.start, opened.places)
        if opened.anchor:
            self._anchors[opened.anchor] = _Node(opened.value, branch, opened.size, opened.depth)
        self._complete(opened.value, branch, opened.size, opened.depth)

    def _alias(self, event: AliasEvent) -> None:
        place, name = _place(event), event.anchor or ""
        node = self._anchors.get(name)
        if not self._aliases:
            what = f"the alias *{name} is not allowed here."
            raise self._stop("alias", what, place, "Repeat what it stands for.")
        if node is None:
            self._note_alias(name, place)
            node = _Node(None, place)
        self._added += node.size
        if self._added > MAX_ALIASED:
            what = f"aliases stand for more than {MAX_ALIASED:,} values."
            raise self._stop("alias-explosion", what, place, "Write fewer of them.")
        self._check_depth(node.depth, place)
        self._complete(node.value, node.place, node.size, node.depth)

    def _note_alias(self, name: str, place: Place) -> None:
        if name in self._anchors:
            hint = "Name another anchor."
            self._note("recursive-alias", f"*{name} stands within &{name} itself.", place, hint)
        else:
            hint = did_you_mean(name, self._anchors) or "Quote a text that begins with *."
            self._note("unknown-alias", f"no anchor &{name} stands before *{name}.", place, hint)

    def _document(self, event: Event) -> None:
        if self._root is not None:
            what, hint = (
                "a second document begins here.",
                "Put one graph in a file; remove the ---.",
            )
            raise self._stop("several-documents", what, _place(event), hint)

    def _complete(
        self,
        value: Any,
        place: Place | Branch,
        size: int,
        depth: int,
        plain: str | None = None,
    ) -> None:
        """Put a finished value where it belongs: top, list, key of a mapping, or a key's value.

        Args:
            value, place, size, depth: as of a `_Node`.
            plain: a scalar without quotes, as it is written.
        """
        if not self._open:
            self._root = _Node(value, place)
            return
        owner = self._open[-1]
        if owner.key is _NO_KEY and isinstance(owner.value, dict):
            owner.key_place = place.start if isinstance(place, Branch) else place
            owner.key = _MERGE if plain == "<<" else self._key(owner, value, plain)
            return
        owner.size += size
        if depth >= owner.depth:
            owner.depth = depth + 1
        if isinstance(owner.value, list):
            owner.value.append(value)
            owner.places.append(place)
        else:
            self._member(owner, value, place)

    def _member(self, owner: _Open, value: Any, place: Place | Branch) -> None:
        key, owner.key = owner.key, _NO_KEY
        if key is _MERGE:
            owner.merges.append(_Node(value, place))
        elif key is not _BAD_KEY:
            owner.value[key] = value
            owner.places[key] = (owner.key_place, place)

    def _key(self, owner: _Open, key: Any, plain: str | None) -> Any:
        """Return the key, or `_BAD_KEY` where it can't be used."""
        if not isinstance(key, str):
            what, hint = _bad_key(key, plain or "null")
            self._note("key-not-text", what, owner.key_place, hint)
            return _BAD_KEY
        if key in owner.value:
            line = owner.places[key][0][0]
            what = f"the key {key!r} stands twice in one mapping, first in line {line}."
            self._note("duplicate-key", what, owner.key_place, "Keep one of them.")
            return _BAD_KEY
        return key

    def _merge(self, into: _Open, source: _Node) -> None:
        """Add the keys of a `<<` value, a mapping or a list of them, that `into` does not say."""
        parts = [(source.value, source.place)]
        if isinstance(source.value, list) and isinstance(source.place, Branch):
            parts = [(source.value[int(index)], place) for index, place in source.place]
        for data, branch in parts:
            if not isinstance(data, dict) or not isinstance(branch, Branch):
                place = branch.start if isinstance(branch, Branch) else branch
                self._note("bad-merge", "<< takes a mapping.", place, "Name a mapping's anchor.")
                continue
            for key in [key for key in data if key not in into.value]:
                into.value[key] = data[key]
                into.places[key] = branch.find(key)

    def _check_depth(self, below: int, place: Place) -> None:
        if len(self._open) + below > MAX_DEPTH:
            raise _Refused(_too_deep(self._findings, *place))

    def _refuse_tag(self, tag: str, place: Place) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        self._note("tag", f"the tag {shown} may not stand here.", place, "Leave it out.")

    def _note(self, code: str, what: str, place: Place, hint: str) -> None:
        self._findings.put(_fault(self._findings, code, what, *place, hint))

    def _stop(self, code: str, what: str, place: Place, hint: str) -> _Refused:
        return _Refused(_fault(self._findings, code, what, *place, hint))


def _place(event: Event) -> Place:
    mark: Any = event.start_mark  # never missing where there is text
    return mark.line + 1, mark.column + 1


def _bad_key(key: Any, written: str) -> tuple[str, str]:
    if isinstance(key, dict | list):
        kind = "list" if isinstance(key, list) else "mapping"
        return f"a {kind} can't be a key; keys are text.", "Quote it if it is meant as text."
    kind = "nothing" if key is None else "a boolean" if isinstance(key, bool) else "a number"
    return f"the key {written} is {kind}; keys are text.", f'Quote it: "{written}".'


def _events(text: str, findings: Findings) -> Iterator[Event]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        what, hint = _explain(error.problem or "", text, line, column)
        raise _Malformed(_fault(findings, "syntax", what, line + 1, column + 1, hint)) from None
    except yaml.YAMLError as error:
        raise _Malformed(_fault(findings, "syntax", str(error), 1, 1, "Write YAML.")) from None


def _explain(problem: str, text: str, line: int, column: int) -> tuple[str, str]:
    """Say what the parser's `problem` at a 0-based place most likely comes from."""
    lines = text.split("\n", line + 1)
    here = lines[line][column : column + 1] if line < len(lines) else ""
    if here == "\t" or "\\t" in problem:
        return "a tab indents this line; YAML takes only spaces.", "Use spaces."
    if "cannot start any token" in problem:
        return f"no text can begin with {here!r}.", "Quote it."
    if "mapping values are not allowed" in problem:
        hint = 'Quote a text that holds ": ", or check the indentation.'
        return "a colon makes a key here, where none can stand.", hint
    if "end of stream" in problem:
        return "a quoted text is not closed.", "Close the quotes."
    return f"this is no YAML: {problem}.", "Check the indentation, brackets and quotes above."
