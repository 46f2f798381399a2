"""Every code block in the README and the wiki does what it says, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import ROOT, blocks_of

HARNESS = Path(__file__).with_name("docs_blocks.py")
README = ROOT / "README.md"
PAGES = [*([README] if README.exists() else []), *sorted((ROOT / "wiki").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
SECONDS = 120  # that one page may take

_LINK = re.compile(
    r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)|^\[[^\]]+\]: (\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE
)


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


def play(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Play a page in a process of its own, with our programs on PATH, and end all it started."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    command = [sys.executable, str(HARNESS), str(page)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **told},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed = f"{process.communicate()[0]}\nnot done after {SECONDS} s"
    return subprocess.CompletedProcess(command, process.returncode, printed)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made for a reader."""
    headings = re.findall(r"^#+ +(.+?) *#*$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def without_code(page: str) -> str:
    """Return a page without its fenced blocks; inline code keeps its words."""
    return re.sub(r"^( *)(```|~~~).*?^\1\2`*~*$", "", page, flags=re.MULTILINE | re.DOTALL)


def broken_links(page: Path) -> list[str]:
    """Return each link of a page to a file, a page or a heading that is not there."""
    text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text()))
    broken = []
    for target in map("".join, _LINK.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() and file.suffix != ".md":
            file = file.with_name(f"{file.name}.md")  # as a wiki links its pages
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    return broken


def test_there_is_a_readme() -> None:
    """The front page exists, so the tests below have something to test."""
    assert README.exists()


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """Its blocks, played from top to bottom in an empty folder, all hold."""
    blocks_of(page.read_text())
    run = play(page, tmp_path)
    assert run.returncode == 0, f"{name_of(page)}\n{run.stdout}"


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a page, a heading or a file of the repository leads to one that exists."""
    assert not broken_links(page)
