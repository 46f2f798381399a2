"""The harness that plays the documentation: what holds passes, and what does not hold fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_blocks import Command, PageError, blocks_of, commands_of, matches
from test_docs import broken_links, play

GOOD = """
Some prose with `code`.

```python
# file: steps.py
def double(x):
    return 2 * x
```

```python
import asyncio
from steps import double
await asyncio.sleep(0)
print(double(21))
```

```text
42
```

```python
def ask():
    return asyncio.run(asyncio.sleep(0, result=answer))

answer = double(4)
assert ask() == 8
assert __import__("__main__").ask is ask
```

<!-- file: data/in.json -->
```json
[1, 2]
```

1. A list item

   ```console
   $ cd data && export WHO=me
   $ cat in.json; echo \\
     "and $WHO"
   [1, 2]
   and ...
   $ cat <<END
   > one
   > two
   > END
   one
   …
   ```

<!-- exit: 3 -->
```bash
$ false
$ echo $?
1
$ pwd
.../data
$ (exit 3)
```

<!-- run: no because there is no network -->
```sh
$ sudo FOO=1 git clone somewhere
$ make PYTHON=python3.12 test
```

```mermaid
flowchart LR
    a --> b
```

```yaml
a: [b]
```
"""

WRONG = {
    "an exception": "```python\n1 / 0\n```",
    "a syntax error": "<!-- run: no because -->\n```python\n1 /\n```",
    "an unknown name later": "```python\nx = 1\n```\n```python\nawait y\n```",
    "other output of python": "```python\nprint(1)\n```\n```text\n2\n```",
    "text without a use": "```text\n2\n```",
    "other output": "```console\n$ echo a\nb\n```",
    "more output": "```console\n$ echo a; echo b\na\n```",
    "less output": "```console\n$ echo a\na\nb\n```",
    "a failing command": "```console\n$ false\n```",
    "a failing command before the last": "<!-- exit: 1 -->\n```console\n$ false\n$ false\n```",
    "a command that should fail": "<!-- exit: 1 -->\n```console\n$ true\n```",
    "a command that ends the shell": "```console\n$ exit 0\n```",
    "no command": "```bash\necho a\n```",
    "no language": "```\nanything\n```",
    "an unknown language": "```haskell\nanything\n```",
    "a fence that is never closed": "```python\nx = 1\n",
    "bad json": "```json\n{'a': 1}\n```",
    "bad yaml": "```yaml\na: [\n```",
    "no diagram": "```mermaid\nA --> B\n```",
    "an unknown note": "<!-- exist: 1 -->\n```console\n$ false\n```",
    "a note that does nothing": "<!-- exit: 1 -->\n```json\n1\n```",
    "no reason": "<!-- run: no -->\n```console\n$ false\n```",
    "no such program": "<!-- run: no because I say so -->\n```console\n$ no-such-program\n```",
    "no such target": "<!-- run: no because I say so -->\n```console\n$ make coffee\n```",
    "a file that nothing uses": "```python\n# file: unused.py\nx = 1\n```",
}


def test_a_page_that_holds_passes(tmp_path: Path) -> None:
    """Files, python, shells, data and diagrams, in one page and in order."""
    page = tmp_path / "page.md"
    page.write_text(GOOD)
    run = play(page, tmp_path)
    assert (run.returncode, run.stdout.strip()) == (0, "")


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG.keys())
def test_a_page_that_does_not_hold_fails(page: str, tmp_path: Path) -> None:
    """Whatever is wrong in it."""
    file = tmp_path / "page.md"
    file.write_text(page)
    run = play(file, tmp_path)
    assert run.returncode == 1
    assert "line " in run.stdout


def test_a_graph_is_validated(tmp_path: Path) -> None:
    """A graph that holds passes; one with a fault passes only where the page says so."""
    graph = "```yaml\nnodes: {a: {func: 'builtins:range'}}\ngraph: {a: [b]}\n```\n"
    page = tmp_path / "page.md"
    page.write_text("```yaml\nnodes: {a: {}}\n```\n<!-- exit: 78 -->\n" + graph)
    run = play(page, tmp_path)
    assert run.returncode == 0, run.stdout
    page.write_text(graph)
    run = play(page, tmp_path)
    assert run.returncode == 1
    assert "plumber validate exits 78" in run.stdout


def test_blocks_are_found_with_their_notes() -> None:
    """A note belongs to the fence right below it, blank lines apart."""
    page = "<!-- exit: 2 -->\n\n~~~sh\n$ a\n~~~\n<!-- exit: 3 -->\nprose\n```json\n```\n"
    first, second = blocks_of(page)
    assert (first.line, first.language, first.text, first.exit) == (3, "sh", "$ a\n", 2)
    assert (second.line, second.language, second.text, second.exit) == (8, "json", "", 0)


def test_a_fence_may_hold_a_shorter_one() -> None:
    """Four marks are closed by four."""
    (block,) = blocks_of("````yaml\n```\nx\n```\n````\n")
    assert block.text == "```\nx\n```\n"


def test_commands_are_told_from_output() -> None:
    """Lines that continue a command are part of it."""
    (block,) = blocks_of("```sh\n$ a \\\n  b\n$ c <<X\n> d\n> X\nout\n> out\n```")
    assert commands_of(block) == [
        Command("a \\\n  b", []),
        Command("c <<X\nd\nX", ["out", "> out"]),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a"], ["a  "], True),
        (["a"], ["b"], False),
        (["a"], [], False),
        ([], ["a"], False),
        (["a ... c"], ["a b c"], True),
        (["a ... c"], ["a b d"], False),
        (["… s"], ["0.1 s"], True),
        (["...", "z"], ["x", "y", "z"], True),
        (["...", "z"], ["z"], True),
        (["a", "…"], ["a"], True),
        (["(x)"], ["x"], False),
    ],
)
def test_wildcards(shown: list[str], printed: list[str], same: bool) -> None:
    """Three dots stand for any text in a line, and for any lines when alone."""
    assert matches(shown, printed) is same


def test_an_unclosed_fence_is_refused() -> None:
    """A page can't hide its end in a block."""
    with pytest.raises(PageError, match="line 2"):
        blocks_of("\n```sh\n")


def test_links(tmp_path: Path) -> None:
    """Links to pages, headings and files are followed; those to other hosts and in code are not."""
    (tmp_path / "Other.md").write_text("# A heading: `with` code\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](Other.md) [b](Other#a-heading-with-code) [c](#here) [d](https://x.test/y)\n"
        "[e](None.md) [f](Other.md#no-heading) ![g](pic.png) `[h](code)`\n"
        "```sh\n[i](fence)\n```\n"
    )
    assert broken_links(page) == ["None.md", "Other.md#no-heading", "pic.png"]
