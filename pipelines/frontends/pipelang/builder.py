"""The parser's trees -> `Script`, each by itself, and without recursion, however deep it is."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from lark import Token, Tree
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive

from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import (
    Assign,
    Call,
    Loop,
    Option,
    Pipe,
    Quantity,
    Run,
    Script,
    Source,
    Step,
    Word,
)
from pipelines.frontends.pipelang.options import FILE_OPTIONS
from pipelines.frontends.pipelang.parser import parse
from pipelines.spec import parse_duration

__all__ = ["read"]

_DEEPEST: Final = 50  # calls in calls, and loops in loops
_LARGEST: Final = 1e15  # number that is worked out

_Part = TypeVar("_Part", Call, Loop)


def read(text: str, faults: Faults) -> Script:
    """Return what a text says; what is faulty in it is noted and left out."""
    script = Script()
    for chunk, tree in parse(text, faults):
        said = None if tree is None else _built(tree, chunk.line - 1, faults)
        if said is None:
            script.doubtful |= chunk.names
        else:
            _add(said, script, faults)
    return script


def _built(tree: Tree[Token], offset: int, faults: Faults) -> Any:
    try:
        return _Builder(offset).transform(tree)
    except VisitError as error:
        if not isinstance(error.orig_exc, _Refused):
            raise
        faults.add(*error.orig_exc.args)
        return None


class _Refused(Exception):
    """A statement can't be had; its arguments are those of `Faults.add`."""


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Any:
    def work_out(self: _Builder, operands: list[Quantity]) -> Quantity:
        left, right = operands
        try:
            value = operation(left.value, right.value)
        except ZeroDivisionError:
            raise _Refused("arithmetic", "this divides by zero.", right.word) from None
        if abs(value) > _LARGEST:
            raise _Refused("arithmetic", "this number is too large.", left.word)
        return Quantity(value, left.word)

    return work_out


class _Builder(Transformer_NonRecursive[Token, Any]):
    """Makes the parts of the model, each from its parts; lines are counted from `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self._offset = offset

    def _word(self, token: Token) -> Word:
        return Word(str(token), (token.line or 1) + self._offset, token.column or 1)

    def NAME(self, token: Token) -> Word:  # noqa: N802 (named as in the grammar)
        return self._word(token)

    FILE = RATE = SHARE = BANG = DOLLAR = NAME

    def STRING(self, token: Token) -> Word:  # noqa: N802
        word = self._word(token)
        return Word(word.text[1:-1], word.line, word.column)

    def CODE(self, token: Token) -> Source:  # noqa: N802
        before, _, code = str(token).partition("`")
        line = (token.line or 1) + self._offset + before.count("\n")
        margin = 0 if "\n" in before else (token.column or 1) - 1
        column = margin + len(before.rpartition("\n")[2]) + 1
        return Source(Word(code[:-1], line, column), inline=True)

    def NUMBER(self, token: Token) -> Quantity:  # noqa: N802
        return Quantity(float(token) if "." in token else int(token), self._word(token))

    def DURATION(self, token: Token) -> Quantity:  # noqa: N802
        return Quantity(parse_duration(str(token)), self._word(token))

    add = _arithmetic(operator.add)
    sub = _arithmetic(operator.sub)
    mul = _arithmetic(operator.mul)
    div = _arithmetic(operator.truediv)

    def number(self, parts: list[Quantity]) -> Quantity:
        return parts[0]

    def neg(self, parts: list[Quantity]) -> Quantity:
        return Quantity(-parts[0].value, parts[0].word)

    def scope(self, parts: list[Word]) -> Option:
        mark, value = parts
        return Option(Word("scope", mark.line, mark.column), value)

    def priority(self, parts: list[Any]) -> Option:
        mark, value = parts
        return Option(Word("priority", mark.line, mark.column), value)

    def bare(self, parts: list[Word]) -> Option:
        return Option(parts[1])

    def named(self, parts: list[Any]) -> Option:
        return Option(parts[1], parts[2])

    def source(self, parts: list[Any]) -> Source:
        (part,) = parts
        return part if isinstance(part, Source) else Source(part)

    def defaults(self, parts: list[Option]) -> list[Option]:
        return parts

    def step(self, parts: list[Any]) -> list[Step]:
        options = tuple(each for each in parts if isinstance(each, Option))
        name, language, target, source = [each for each in parts if not isinstance(each, Option)]
        return [Step(name, language, target, source, options)]

    def imported(self, parts: list[Any]) -> tuple[Word, Word, tuple[Option, ...]]:
        target, name, *options = parts
        return target, name or target, tuple(options)

    def imports(self, parts: list[Any]) -> list[Step]:
        language, *rest = parts
        source = next(each for each in rest if isinstance(each, Source))
        common = tuple(each for each in rest if isinstance(each, Option))
        found = [each for each in rest if isinstance(each, tuple)]
        return [Step(name, language, target, source, common + own) for target, name, own in found]

    def pipe(self, parts: list[Word]) -> Pipe:
        name, *members = parts
        return Pipe(name, tuple(members))

    def call(self, parts: list[Any]) -> Call:
        pipe, *arguments = parts
        depth = 1 + max((each.depth for each in arguments if isinstance(each, Call)), default=0)
        return _not_too_deep(Call(pipe, tuple(arguments), depth), pipe)

    def assign(self, parts: list[Any]) -> Assign:
        return Assign(*parts)

    def run(self, parts: list[Call]) -> Run:
        return Run(*parts)

    def loop(self, parts: list[Any]) -> Loop:
        name, over, *body = parts
        depth = 1 + max((each.depth for each in body if isinstance(each, Loop)), default=0)
        return _not_too_deep(Loop(name, over, tuple(body), depth), name)

    def start(self, parts: list[Any]) -> Any:
        return parts[0]


def _not_too_deep(part: _Part, word: Word) -> _Part:
    if part.depth > _DEEPEST:
        raise _Refused("too-deep", f"this holds more than {_DEEPEST} others within others.", word)
    return part


def _add(said: Any, script: Script, faults: Faults) -> None:
    """Put what one statement says into a script."""
    if isinstance(said, Assign | Run | Loop):
        script.statements.append(said)
    elif isinstance(said, Pipe):
        _define(said, script.pipes, script, faults)
    elif isinstance(said[0], Step):
        for step in said:
            _define(replace(step, defaults=tuple(script.defaults)), script.steps, script, faults)
    else:
        for option in said:
            of_file = option.name.text in FILE_OPTIONS
            (script.options if of_file else script.defaults).append(option)


def _define(thing: Any, table: dict[str, Any], script: Script, faults: Faults) -> None:
    known = script.find(thing.name.text)
    if known is None:
        table[thing.name.text] = thing
        return
    kind = "step" if isinstance(known, Step) else "pipe"
    what = f"{quoted(thing.name.text)} is a {kind} already, in line {known.name.line}."
    faults.add("defined-twice", what, thing.name, "Give one of them another name.")
