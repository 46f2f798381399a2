"""Find the code blocks of a Markdown page, and do what they say, as a reader would.

As a program (``python docs_blocks.py PAGE``) it plays one page in the current folder, from top to
bottom, and prints each block that does not hold. What it asks of a page:

- Every fence names its language, one of `PLAYERS`.
- A block whose first line is ``# file: NAME``, or that stands below ``<!-- file: NAME -->``, shows
  a file. All files are written before anything runs, and some other block must use them.
- ``python`` blocks run in one namespace, with top-level ``await``; a ``text`` block right below
  shows what one prints. ``yaml`` with ``nodes:`` is a graph that `plumber validate` accepts.
- In ``console`` (``bash``, ``sh``) a line that starts with ``$ `` is a command, lines that start
  with ``> `` continue it, and what follows is its output, where any is shown. All commands of a
  page run in one shell and must succeed, unless ``echo $?`` comes next.
- In shown output ``...`` or ``…`` stands for any text, and alone on a line for any lines.
- ``<!-- exit: 78 -->`` says with what the last command of the block (or the graph) fails.
- ``<!-- run: no because REASON -->`` marks a block that can't be run here; its programs, plumber
  verbs and make targets must exist all the same.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,}) *(?P<language>[^\s`]*)[^`]*$")
_NOTE = re.compile(r"^<!-- *(?P<key>[a-z]+): *(?P<value>.*?) *-->$")
_FILE_LINE = re.compile(r"^# file: (\S+)$")
_DIAGRAMS = re.compile(
    r"\s*(flowchart|graph|sequenceDiagram|classDiagram|stateDiagram(-v2)?|erDiagram|gantt|pie|"
    r"mindmap|timeline|gitGraph|journey|quadrantChart|(xychart|block|sankey)-beta)\b"
)
_NOTES = {"file", "exit", "run"}
_ENDING = {"bash", "console", "sh", "yaml"}  # what a page can say the exit status of


class PageError(Exception):
    """A page breaks a rule of this harness, or does not do what it shows."""


@dataclass(frozen=True)
class Block:
    """One fenced block: the 1-based line of its fence, its language, its text, and its notes."""

    line: int
    language: str
    text: str
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if it shows one."""
        first = _FILE_LINE.match(self.text.partition("\n")[0])
        return self.notes.get("file") or (first[1] if first else None)

    @property
    def exit(self) -> int:
        """The status that the block's last command ends with."""
        return int(self.notes.get("exit", "0"))

    @property
    def runs(self) -> bool:
        """Whether the block can be run here."""
        return "run" not in self.notes


def blocks_of(page: str) -> list[Block]:
    """Return every fenced block of a page's text.

    Raises:
        PageError: a fence is never closed, or a note is unknown or gives no reason.
    """
    found: list[Block] = []
    notes: dict[str, str] = {}
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        if fence := _FENCE.match(line):
            text = "".join(f"{each}\n" for each in _inside(fence, number, lines))
            found.append(Block(number, fence["language"], text, notes))
            notes = {}
        elif note := _NOTE.match(line.strip()):
            _refuse_bad(note, number)
            notes = {**notes, note["key"]: note["value"]}
        elif line.strip():
            notes = {}
    return found


def _inside(fence: re.Match[str], number: int, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    indent = len(fence["indent"])
    for _, line in lines:
        if line.strip().startswith(fence["marks"]) and not line.strip().strip(fence["marks"][0]):
            return
        yield line[min(indent, len(line) - len(line.lstrip())) :]
    raise PageError(f"line {number}: the fence is never closed")


def _refuse_bad(note: re.Match[str], number: int) -> None:
    if note["key"] not in _NOTES:
        raise PageError(f"line {number}: no note is named {note['key']!r}; known: {sorted(_NOTES)}")
    if note["key"] == "run" and not re.match(r"no because \S", note["value"]):
        raise PageError(f"line {number}: say why: <!-- run: no because … -->")


def matches(shown: list[str], printed: list[str]) -> bool:
    """Tell whether output is as shown: ``...`` is any text, and alone on a line any lines."""
    if not shown:
        return not printed
    if shown[0].strip() in ("...", "…"):
        return any(matches(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    line = ".*".join(re.escape(part) for part in re.split(r"\.\.\.|…", shown[0].rstrip()))
    return (
        bool(printed)
        and re.fullmatch(line, printed[0].rstrip()) is not None
        and matches(shown[1:], printed[1:])
    )


@dataclass(frozen=True)
class Command:
    """One command of a console block, and the lines that are shown below it."""

    text: str
    shown: list[str]


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console block.

    Raises:
        PageError: there are none, or lines stand before the first.
    """
    found: list[Command] = []
    for line in block.text.splitlines():
        continued = found and not found[-1].shown and (found[-1].text.endswith("\\"))
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        elif found and (continued or (line.startswith("> ") and not found[-1].shown)):
            added = line if continued else line[2:]
            found[-1] = Command(f"{found[-1].text}\n{added}", [])
        elif found:
            found[-1].shown.append(line)
        elif line.strip():
            raise PageError(f"line {block.line}: a command starts with '$ '; this does not: {line}")
    if not found:
        raise PageError(f"line {block.line}: no line starts with '$ '")
    return found


def _as_shown(shown: list[str], printed: str) -> None:
    expected = "\n".join(shown).strip("\n").splitlines()
    got = printed.strip("\n").splitlines()
    if not matches(expected, got):
        raise PageError("\n".join(["it prints:", *got, "and the page shows:", *expected]))


class Shell:
    """One bash for all commands of a page, so that `cd` and variables last as in a terminal."""

    _MARK = "\x1e"  # a character that no output has

    def __init__(self) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._bash.stdin
        assert self._bash.stdout
        self._in, self._out = self._bash.stdin, self._bash.stdout
        # Tells the status of the last command, and keeps it for an `echo $?` that comes next.
        self._in.write("_told() { local s=$?; printf '\\036%s\\036\\n' $s; return $s; }\n")

    def run(self, command: str) -> tuple[int, str]:
        """Return the status of a command, and what it printed."""
        self._in.write(f"{{ {command}\n}} </dev/null\n_told\n")
        self._in.flush()
        printed = ""
        while self._MARK not in printed:
            line = self._out.readline()
            if not line:
                raise PageError(f"$ {command}\nends the shell")
            printed += line
        text, status, _ = printed.split(self._MARK)
        return int(status), text

    def close(self) -> None:
        """End the shell."""
        self._in.close()
        self._out.close()
        self._bash.wait()


class Reader:
    """Does what the blocks of one page say, in the current folder."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._shell = Shell()
        self._loop = asyncio.Runner()
        self._names = names  # of the page's python blocks
        self._printed: str | None = None  # by the last python block, until a text block shows it

    def close(self) -> None:
        """End the shell and the event loop."""
        self._shell.close()
        self._loop.close()

    def play(self, block: Block) -> None:
        """Do what one block says.

        Raises:
            PageError: it does not hold.
        """
        player = PLAYERS.get(block.language)
        if player is None:
            known = ", ".join(PLAYERS)
            raise PageError(f"no harness for {block.language or 'no language'!r}; known: {known}")
        if "exit" in block.notes and block.language not in _ENDING:
            raise PageError("an exit note is for commands and graphs only")
        if block.file:
            Path(block.file).write_text(block.text)
        printed, self._printed = self._printed, None
        if block.language == "text" and not block.file:
            self._show(block, printed)
        else:
            player(self, block)

    def _show(self, block: Block, printed: str | None) -> None:
        if printed is None:
            raise PageError("a text block shows a file, or what the python block above prints")
        _as_shown(block.text.splitlines(), printed)

    def text(self, block: Block) -> None:
        """Hold any text."""

    def python(self, block: Block) -> None:
        """Run Python in the page's namespace; a file, and what can't run, is compiled only."""
        name = f"<line {block.line}>"
        code = compile(block.text, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if block.file or not block.runs:
            return
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if code.co_flags & inspect.CO_COROUTINE:
                self._loop.run(eval(code, self._names))
            else:
                exec(code, self._names)
        self._printed = out.getvalue()

    def yaml(self, block: Block) -> None:
        """Parse YAML, and have `plumber` validate what is a graph."""
        import yaml

        if not block.runs or not re.search(r"^nodes\s*:", block.text, re.MULTILINE):
            list(yaml.safe_load_all(block.text))
            return
        file = Path(block.file or f"line-{block.line}.yaml")
        file.write_text(block.text)
        status, printed = self._shell.run(f"plumber validate {shlex.quote(str(file))}")
        if status != block.exit:
            raise PageError(f"plumber validate exits {status}, not {block.exit}:\n{printed}")
        if not block.file:
            file.unlink()

    def json(self, block: Block) -> None:
        """Parse JSON."""
        json.loads(block.text)

    def jsonl(self, block: Block) -> None:
        """Parse JSON, one value a line."""
        for line in block.text.splitlines():
            json.loads(line)

    def mermaid(self, block: Block) -> None:
        """See that a diagram starts with a kind of diagram."""
        if not _DIAGRAMS.match(block.text):
            raise PageError("no kind of Mermaid diagram stands first")

    def console(self, block: Block) -> None:
        """Run commands, and compare what they print and how they end."""
        commands = commands_of(block)
        if not block.runs:
            for command in commands:
                _refuse_unknown(command.text)
            return
        for index, command in enumerate(commands):
            status, printed = self._shell.run(command.text)
            last = index == len(commands) - 1
            told = not last and commands[index + 1].text == "echo $?"
            expected = block.exit if last else 0
            if status != expected and not told:
                raise PageError(f"$ {command.text}\nexits {status}, not {expected}:\n{printed}")
            if command.shown:
                _as_shown(command.shown, printed)


#: What is done with a block of each language; any other fails.
PLAYERS = {
    "bash": Reader.console,
    "console": Reader.console,
    "json": Reader.json,
    "jsonl": Reader.jsonl,
    "mermaid": Reader.mermaid,
    "python": Reader.python,
    "sh": Reader.console,
    "text": Reader.text,
    "yaml": Reader.yaml,
}


def _refuse_unknown(command: str) -> None:
    """Refuse a command that can't be run here if no reader could run it either."""
    words = shlex.split(command, comments=True)
    while words and ("=" in words[0] or words[0] == "sudo"):
        words.pop(0)
    program, *rest = words
    verbs = [word for word in rest if re.fullmatch(r"[a-z][a-z-]*", word)]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        if unknown := set(verbs) - targets:
            raise PageError(f"$ {command}\nno target in the Makefile: {', '.join(unknown)}")
    elif subprocess.run(
        ["bash", "-c", f"type {shlex.quote(program)}"], capture_output=True
    ).returncode:
        raise PageError(f"$ {command}\nno such program: {program}")
    elif program == "plumber" and verbs:
        said = subprocess.run(["plumber", verbs[0], "--help"], capture_output=True, text=True)
        if said.returncode:
            raise PageError(f"$ {command}\n{said.stderr}")


def _prepare(page: str, blocks: list[Block]) -> None:
    """Write the files that a page shows, and copy those of the repository that it names."""
    if "demos/" in page:
        shutil.copytree(ROOT / "demos", "demos", ignore=shutil.ignore_patterns("out"))
    for block in reversed(blocks):  # of two versions of one file the first
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)


def _unused(blocks: list[Block]) -> Iterator[tuple[Block, str]]:
    for block in blocks:
        if not block.file or not block.runs:
            continue
        file = Path(block.file)
        name = re.escape(file.stem if file.suffix == ".py" else file.name)
        others = (other.text for other in blocks if other.file != block.file)
        if not any(re.search(rf"\b{name}\b", text) for text in others):
            yield block, f"{block.file} is shown, but no other block uses it"


def play_page(page: str, names: dict[str, Any]) -> list[str]:
    """Play the text of a page in the current folder and return what does not hold.

    Args:
        page: its text.
        names: the namespace of its python blocks.
    """
    try:
        blocks = blocks_of(page)
    except PageError as error:
        return [str(error)]
    _prepare(page, blocks)
    faults = [f"line {block.line}: {fault}" for block, fault in _unused(blocks)]
    reader = Reader(names)
    for block in blocks:
        try:
            reader.play(block)
        except PageError as error:
            faults.append(f"line {block.line}: {error}")
        except Exception:
            faults.append(f"line {block.line}: {traceback.format_exc()}")
    reader.close()
    return faults


def main() -> int:
    """Play the page that the command line names, and print what does not hold."""
    sys.path[0] = ""  # modules are those of the page, not of the tests
    module = sys.modules["__main__"] = ModuleType("__main__")  # where a step can be found again
    faults = play_page(Path(sys.argv[1]).read_text(), vars(module))
    print("\n\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
