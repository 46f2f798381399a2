"""The options of steps and files, ``!name value``: which there are, and what each takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import Option, Quantity, Step, Word
from pipelines.spec import parse_rate, parse_share

__all__ = ["FILE_OPTIONS", "LANGUAGES", "STEP_OPTIONS", "Settings", "read_options", "settings_of"]

LANGUAGES: Final = ("python", "sqlite3", "postgres")

#: Where a value stands in a node's document.
_Path = tuple[str, ...]
_Value = Word | Quantity | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """One option: where its value goes, what it takes in words, and how that is read.

    `read` raises ValueError for what is none.
    """

    path: _Path
    takes: str
    read: Callable[[_Value], Any]


def _name(value: _Value) -> str:
    if not isinstance(value, Word) or not value.text:
        raise ValueError
    return value.text


def _whole(least: int | None) -> Callable[[_Value], int]:
    def read(value: _Value) -> int:
        if not isinstance(value, Quantity) or not isinstance(value.value, int):
            raise ValueError
        if least is not None and value.value < least:
            raise ValueError
        return value.value

    return read


def _seconds(value: _Value) -> float:
    if not isinstance(value, Quantity) or not value.value > 0:
        raise ValueError
    return value.value


def _wait(value: _Value) -> float:
    if not isinstance(value, Quantity) or not value.value >= 0:
        raise ValueError
    return value.value


def _choice(*known: str) -> Callable[[_Value], str]:
    def read(value: _Value) -> str:
        if _name(value) not in known:
            raise ValueError
        return _name(value)

    return read


def _flag(value: _Value) -> bool:
    return _choice("true", "false")(value) == "true"


def _rate(value: _Value) -> str:
    return str(parse_rate("".join(_name(value).split())))


def _share(value: _Value) -> int | str:
    if isinstance(value, Quantity):
        return _whole(0)(value)
    text = "".join(_name(value).split())
    parse_share(text)
    return text


def _names(value: _Value) -> list[str]:
    found = [each.strip() for each in _name(value).split(",")]
    if not all(each.replace(".", "_").isidentifier() for each in found):
        raise ValueError
    return found


_POLL = _Kind(("args", "poll"), "the seconds between two polls, such as 30 or 2m", _wait)

#: Every option that a step may have.
STEP_OPTIONS: Final[Mapping[str, _Kind]] = {
    "scope": _Kind(("args", "scope"), "the name of a scope", _name),
    "priority": _Kind(("args", "priority"), "a whole number", _whole(None)),
    "timeout": _Kind(("args", "timeout"), "seconds above 0, such as 20 * 60 or 20m", _seconds),
    "poll": _POLL,
    "executor": _Kind(
        ("args", "executor"), "thread, process or inline", _choice("thread", "process", "inline")
    ),
    "retries": _Kind(
        ("properties", "retry", "attempts"), "a whole number from 0", lambda v: _whole(0)(v) + 1
    ),
    "backoff": _Kind(("properties", "retry", "backoff"), "seconds, such as 0.5 or 2s", _wait),
    "max_backoff": _Kind(("properties", "retry", "max_backoff"), "seconds, such as 1m", _wait),
    "jitter": _Kind(("properties", "retry", "jitter"), "true or false", _flag),
    "retry_on": _Kind(
        ("properties", "retry", "on"),
        'the names of errors, such as "TimeoutError, OSError"',
        _names,
    ),
    "on_error": _Kind(
        ("properties", "on_error"),
        "fail, skip or dead_letter",
        _choice("fail", "skip", "dead_letter"),
    ),
    "concurrency": _Kind(("properties", "concurrency"), "a whole number from 1", _whole(1)),
    "buffer_size": _Kind(("properties", "buffer_size"), "a whole number from 1", _whole(1)),
    "waiting_limit": _Kind(("properties", "waiting_limit"), "a whole number from 1", _whole(1)),
    "rate_limit": _Kind(("properties", "rate_limit"), "a rate such as 20/s or 100/m", _rate),
    "ordered": _Kind(("properties", "ordered"), "true or false", _flag),
    "on_missing": _Kind(
        ("properties", "join", "on_missing"), "drop, none or fail", _choice("drop", "none", "fail")
    ),
}

#: Those of the whole file; they stand at its left margin.
FILE_OPTIONS: Final[Mapping[str, _Kind]] = {
    "workers": _Kind(("workers",), "a whole number from 1", _whole(1)),
    "dead_letter": _Kind(("dead_letter",), "the file to write to, such as dead.jsonl", _name),
    "max_failures": _Kind(("runtime", "max_failures"), "a number, or a share such as 5%", _share),
    "shutdown_timeout": _Kind(("runtime", "shutdown_timeout"), "seconds, such as 20 or 1m", _wait),
}

#: Properties of a node that a step of this language can't have, and why.
_REFUSED: Final = {
    "batch": "a step takes one value at a time",
    "aggregate_inputs": "a step takes all its values together",
}

#: What only functions in Python heed.
_PYTHON_ONLY: Final = frozenset({"executor", "poll"})


@dataclass(slots=True)
class Settings:
    """What options say: parts of a node's document, and where each was said."""

    document: dict[str, Any] = field(default_factory=dict)
    places: dict[_Path, Word] = field(default_factory=dict)

    def put(self, path: _Path, value: Any, place: Word) -> None:
        """Take in one value."""
        owner = self.document
        for part in path[:-1]:
            owner = owner.setdefault(part, {})
        owner[path[-1]] = value
        self.places[path] = place

    def get(self, *path: str, default: Any = None) -> Any:
        """Return the value at a path."""
        value: Any = self.document
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value


def read_options(
    options: Iterable[Option], table: Mapping[str, _Kind], settings: Settings, faults: Faults
) -> None:
    """Put the values of options into `settings`, and note what is wrong with them."""
    said: dict[str, Word] = {}
    for option in options:
        name = option.name.text
        if name in said:
            what = f"!{name} is said twice, first in line {said[name].line}."
            faults.add("option-twice", what, option.name, "Keep one of them.")
        elif name not in table:
            _note_unknown(option.name, table, faults)
        else:
            _read(option, table[name], settings, faults)
        said[name] = option.name


def _read(option: Option, kind: _Kind, settings: Settings, faults: Faults) -> None:
    if option.value is None and kind is _POLL:
        return
    place = option.value or option.name
    try:
        value = kind.read(option.value)
    except ValueError:
        given = "" if option.value is None else f", not {quoted(str(option.value))}"
        what = f"!{option.name.text} takes {kind.takes}{given}."
        faults.add("bad-option", what, place.word if isinstance(place, Quantity) else place)
        return
    settings.put(kind.path, value, option.name)


def _note_unknown(name: Word, table: Mapping[str, _Kind], faults: Faults) -> None:
    if name.text in _REFUSED:
        what = f"!{name.text} can't be had here: {_REFUSED[name.text]}."
        hint = "Known: " + ", ".join(table) + "."
    elif name.text in FILE_OPTIONS:
        what, hint = f"!{name.text} is an option of the whole file.", "Write it at the left margin."
    else:
        what = f"there is no option !{name.text}."
        hint = faults.guess(name.text, [*table, *([] if table is FILE_OPTIONS else FILE_OPTIONS)])
    faults.add("unknown-option", what, name, hint)


def settings_of(step: Step, faults: Faults) -> Settings:
    """Return what the options of a step say, over those that hold for all steps below them.

    The defaults themselves are judged once, by `read_options`, wherever they stand.
    """
    settings = Settings()
    last = {option.name.text: option for option in step.defaults}
    known = [each for name, each in last.items() if name in STEP_OPTIONS]
    if step.language.text != "python":
        known = [each for each in known if each.name.text not in _PYTHON_ONLY]
        for option in step.options:
            if option.name.text in _PYTHON_ONLY:
                what = f"!{option.name.text} is for functions in python."
                faults.add("bad-option", what, option.name, "Remove it.")
    quiet = Faults("")
    read_options(known, STEP_OPTIONS, settings, quiet)
    read_options(step.options, STEP_OPTIONS, settings, faults)
    return settings
