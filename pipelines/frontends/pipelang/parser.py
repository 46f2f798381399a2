"""A `.pipe` text -> `Script`, with every fault of its form."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from pipelines.frontends.pipelang.chunks import Chunk, chunks_of
from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import Word

__all__ = ["parse"]

#: How people call the tokens; the others are not offered as what could stand somewhere.
_SPOKEN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "FILE": "a file such as steps.py",
    "CODE": "code between backticks",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "COLON": "`:`",
    "VBAR": "`|`",
    "EQUAL": "`=`",
    "COMMA": "`,`",
    "FOR": "`for`",
    "IN": "`in`",
    "AS": "`as`",
    "IMPORT": "`import`",
    "_NL": "the end of the line",
    "_INDENT": "an indented block",
}


def parse(text: str, faults: Faults) -> Iterator[tuple[Chunk, Tree[Token] | None]]:
    """Yield each statement of a text, with the tree of it; one that is faulty has `None`."""
    lark = _lark()
    for chunk in chunks_of(text, faults):
        yield chunk, None if chunk.broken else _tree(lark, chunk, faults)


@functools.cache
def _lark() -> Lark:
    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", postlex=_Indents())


def _tree(lark: Lark, chunk: Chunk, faults: Faults) -> Tree[Token] | None:
    try:
        tree = lark.parse(chunk.text)
    except UnexpectedInput as error:
        _note(error, chunk, faults)
        return None
    assert isinstance(tree, Tree)
    return tree


class _Indents:
    """Puts a token where a block begins and where it ends; in brackets no line ends.

    lark's own `Indenter` keeps its state in itself, so that two texts can't be read at once, and
    fails by an assertion where brackets or margins don't match.
    """

    always_accept = ("_NL",)

    def process(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Yield the tokens, and those of the blocks."""
        margins, depth, last = [0], 0, None
        for last in tokens:
            if last.type != "_NL":
                depth += {"LPAR": 1, "RPAR": -1}.get(last.type, 0)
                yield last
            elif depth <= 0:
                yield last
                yield from self._blocks(last, margins)
        if last is not None:
            yield from [Token.new_borrow_pos("_DEDENT", "", last)] * (len(margins) - 1)

    def _blocks(self, end: Token, margins: list[int]) -> Iterator[Token]:
        """Yield what the margin of the line behind `end` means; one that fits none is a block."""
        margin = len(end.rpartition("\n")[2].expandtabs(8))
        place = {"start_pos": end.end_pos, "line": end.end_line, "column": end.end_column}
        while margin < margins[-1]:
            margins.pop()
            yield Token("_DEDENT", "", **place)
        if margin > margins[-1]:
            margins.append(margin)
            yield Token("_INDENT", "", **place)


def _note(error: UnexpectedInput, chunk: Chunk, faults: Faults) -> None:
    line, column = _place(error, chunk)
    if isinstance(error, UnexpectedToken):
        what, text = _unexpected(error.token), str(error.token)
        expected: Collection[str] = error.accepts or ()
    else:
        text = getattr(error, "char", "")
        what = f"{quoted(text)} means nothing here"
        expected = set(getattr(error, "allowed", None) or ()) - {"_NL"}  # which is always allowed
    wanted = [_SPOKEN[each] for each in _SPOKEN if each in expected]
    hint = f"Expected: {', '.join(wanted)}." if wanted else ""
    word = Word(text.strip("\n"), chunk.line + line - 1, column)
    faults.add("syntax", f"{what}.", word, hint)


def _place(error: UnexpectedInput, chunk: Chunk) -> tuple[int, int]:
    """Return the place in the chunk; a block that ends too soon is faulty where its text ends."""
    token = getattr(error, "token", None)
    if token is not None and token.type in ("$END", "_DEDENT", "_NL"):
        lines = chunk.text.rstrip().split("\n")
        if token.type != "_NL" or token.line is None or token.line > len(lines):
            return len(lines), len(lines[-1]) + 1
    return max(1, error.line), max(1, error.column)


def _unexpected(token: Token) -> str:
    if token.type in ("_NL", "$END", "_DEDENT"):
        return "something is missing here"
    if token.type == "_INDENT":
        return "this line is indented otherwise than those above"
    if token.type == "CODE":
        return "code can't stand here"
    return f"{quoted(str(token))} can't stand here"
