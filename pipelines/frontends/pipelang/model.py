"""What a `.pipe` text says: its words with their places, and its statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Assign", "Call", "Loop", "Option", "Pipe", "Quantity", "Run", "Script", "Source"]
__all__ += ["Statement", "Step", "Word", "numbered"]


def numbered(name: str, counts: dict[str, int]) -> str:
    """Return `name`, or with a number behind it what it is called for the second time and so on.

    No name in a program has a hyphen, so that these are new ones.
    """
    counts[name] = counts.get(name, 0) + 1
    return name if counts[name] == 1 else f"{name}-{counts[name]}"


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of the text and its 1-based place."""

    text: str
    line: int
    column: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that was written out or worked out; `word` is its first part.

    A whole number stays an `int`; a duration, and what is worked out with one, is in seconds.
    """

    value: int | float
    word: Word

    def __str__(self) -> str:
        return f"{self.value:.12g}"


@dataclass(frozen=True, slots=True)
class Option:
    """One ``!name value`` of a step, also where it is spelt ``$ scope`` or ``!9``.

    Attributes:
        value: `None` where there is none; a text in quotes comes without them.
    """

    name: Word
    value: Word | Quantity | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a step's code is: in the file that `word` names, or in the text, where `word` it is."""

    word: Word
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step, as a block or an import says it.

    Attributes:
        target: the function, or the table.
        defaults: the options above it that hold for all steps that follow.
    """

    name: Word
    language: Word
    target: Word
    source: Source
    options: tuple[Option, ...]
    defaults: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipe:
    """``name = a | b | c``."""

    name: Word
    members: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """``pipe(value, …)``; an argument may be a call itself.

    Attributes:
        depth: how deep calls stand in calls, from 1 on.
    """

    pipe: Word
    arguments: tuple[Word | Call, ...] = ()
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Assign:
    """``name = call``."""

    name: Word
    call: Call


@dataclass(frozen=True, slots=True)
class Run:
    """A call by itself."""

    call: Call


@dataclass(frozen=True, slots=True)
class Loop:
    """``for name in over: body``.

    Attributes:
        depth: how deep loops and calls stand in it, from 1 on.
    """

    name: Word
    over: Call | Word
    body: tuple[Statement, ...]
    depth: int = 1


Statement = Assign | Run | Loop


@dataclass(slots=True)
class Script:
    """All of a text; of two steps or pipes of one name the first.

    Attributes:
        options: those of the whole file.
        defaults: the options that hold for the steps that follow.
        doubtful: names that stand in statements that could not be read.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    pipes: dict[str, Pipe] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    defaults: list[Option] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)

    def find(self, name: str) -> Step | Pipe | None:
        """Return what can be called by a name, if anything can."""
        return self.steps.get(name) or self.pipes.get(name)

    def names(self) -> Iterator[str]:
        """Iterate over the names of all that can be called."""
        yield from self.steps
        yield from self.pipes
