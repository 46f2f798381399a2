"""What is built holds what it must, and works where there is nothing but it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_COPIED = (".git", ".venv*", ".*_cache", "__pycache__", "build", "dist", "*.egg-info", "out")
NOT_COPIED += ("node_modules",)
PAGE = Path("pipelines/server/static/index.html")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = """
def numbers():
    yield from range(1, 4)


def double(number):
    return 2 * number
"""

GRAPH = """
nodes:
  numbers: {func: "steps:numbers"}
  double: {func: "steps:double"}
  show: {func: "builtins:print"}
graph:
  numbers: [double]
  double: [show]
"""


def version() -> str:
    """Return the version that setup.cfg says."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["metadata"]["version"]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as if no environment were active, and return its output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    # Two builds of the same files shall be the same bytes.
    env |= {"SOURCE_DATE_EPOCH": "1577836800", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    """Build the wheel or the sdist of a source tree and return the file."""
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "-o", out, source, cwd=out)
    (built,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree, since a build leaves files in it."""
    copied = tmp_path_factory.mktemp("source") / "pipelines"
    shutil.copytree(ROOT, copied, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copied


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the tree."""
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution from the tree."""
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing but what it asks for, in an environment of its own."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=venv.parent)
    pins = ["--constraint", ROOT / "constraints.txt"]
    run(venv / "bin/pip", "install", "--quiet", *pins, wheel, cwd=venv.parent)
    return venv / "bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a small graph and its steps into an empty folder."""
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def names_in(wheel: Path) -> set[str]:
    """Return the names of all files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_all_of_the_package(wheel: Path) -> None:
    """Every module, the schema, the typing mark and the licence; see `packages` in setup.cfg."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pipelines").rglob("*.py")}
    data = {"pipelines/py.typed", "pipelines/_schemas/graph.schema.json"}
    names = names_in(wheel)
    assert not (modules | data) - names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def page_parts() -> set[str]:
    """Return the files of the built editor: the page, and all that it names."""
    if not (ROOT / PAGE).exists():
        pytest.skip("the editor is not built: make editor")
    named = re.findall(r'(?:src|href)="/([^"]+)"', (ROOT / PAGE).read_text())
    assert {Path(name).suffix for name in named} == {".js", ".css", ".svg"}
    return {str(PAGE), *(str(PAGE.parent / name) for name in named)}


def test_the_wheel_and_the_sdist_have_the_editor(wheel: Path, sdist: Path) -> None:
    """The page, and all that it names; the sdist has what it is made of too, and no packages."""
    assert page_parts() <= names_in(wheel)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert page_parts() | {"editor/package-lock.json", "editor/src/main.tsx"} <= names
    assert not {name for name in names if "node_modules" in name}


def test_an_installed_wheel_serves_the_editor(wheel: Path, tmp_path: Path) -> None:
    """From an empty folder, with the page and its script as they are in the wheel."""
    parts = page_parts()
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # What the extra `server` installs is taken from here.
    code = "import pipelines.cli as cli; print(cli.__file__, flush=True); cli.main()"
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", code, "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=empty, env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdout.readline().startswith(str(site))
        link = server.stdout.readline().split()[-1].partition("#")[0]
        for part in parts:
            path = "" if part == str(PAGE) else part.removeprefix(f"{PAGE.parent}/")
            with urllib.request.urlopen(link + path, timeout=20) as answer:
                assert answer.read() == (ROOT / part).read_bytes()
        server.terminate()
        assert server.wait(timeout=20) == 0


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    """No tests, demos or pages are installed, under whatever name."""
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pipelines"}


def test_the_metadata_say_what_pipelines_is(wheel: Path) -> None:
    """Licence, Python versions and the front page are told to package indexes."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = archive.read(name).decode()
    assert "License-Expression: MIT\n" in said
    assert "Requires-Python: >=3.11\n" in said
    assert (ROOT / "README.md").read_text().strip() in said


def test_the_sdist_has_what_developers_need(sdist: Path) -> None:
    """Tests, demos, pages, the schema and the tools' configuration are in it."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "constraints.txt", "CHANGELOG.md", "CONTRIBUTING.md", ".ci/run"}
    needed |= {"schemas/graph.schema.json", "tests/conftest.py"}
    assert not needed - names
    assert not {name for name in names if "__pycache__" in name or "/out/" in name}
    for part in ("demos", "wiki", "tests"):
        kept = {str(p.relative_to(ROOT)) for p in (ROOT / part).rglob("*.*") if p.is_file()}
        assert {n for n in kept if "__pycache__" not in n and "/out/" not in n} <= names


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the source distribution is the one built from the tree, byte for byte."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build("wheel", unpacked, tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        assert all(one.read(name) == other.read(name) for name in one.namelist())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], version()),
        (["schema"], '"$schema"'),
        (["validate", "graph.yaml"], ""),
        (["run", "graph.yaml"], "2\n4\n6\n"),
    ],
    ids=["version", "schema", "validate", "run"],
)
def test_the_installed_program_works(
    bin_folder: Path, folder: Path, arguments: Sequence[str], said: str
) -> None:
    """Each verb does its work with the wheel alone, away from the repository."""
    assert said in run(bin_folder / "plumber", *arguments, cwd=folder)


def test_the_installed_package_works(bin_folder: Path, folder: Path) -> None:
    """The package is imported from the wheel, is typed, and runs a graph."""
    code = "import pathlib, pipelines as p; at = pathlib.Path(p.__file__).parent; "
    code += "p.Plumber('graph.yaml').run_sync(); print((at / 'py.typed').exists(), at)"
    *printed, last = run(bin_folder / "python", "-c", code, cwd=folder).splitlines()
    assert printed == ["2", "4", "6"]
    assert last == f"True {next(bin_folder.parent.glob('lib/*/site-packages'))}/pipelines"


def test_the_version_is_said_once() -> None:
    """`setup.cfg` has it; the change log has an entry for it; no module repeats it."""
    assert f"## [{version()}]" in (ROOT / "CHANGELOG.md").read_text()
    modules = (path.read_text() for path in (ROOT / "pipelines").rglob("*.py"))
    assert not any(f'"{version()}"' in text for text in modules)
