"""The script of the original's document, whole and unchanged, on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines import load
from pipelines.frontends import pipelang

ROOT = Path(__file__).parents[2]

DOCUMENT = """\
# the defailt scope is set to `production` for all steps (imports)
$ production

# step 1: `accounts`
accounts:
    python  # <-- select the language to be run. currently only python, sqlite3 and postgres are available
    accounts  # define the function or table name that will be used
    example.py  # either provide a file or write code directly using the "`" char (see below example)

request:
    python
    request_report
    example.py

status:
    python
    $ testing  # <-- "scope" a lower scope will be given less priority over higher scopes. See PIPE_WORKER_SCOPES in `.env` file
    get_status
    example.py

download:
    python
    !9  # <-- "priority" higher numbers are more important and run first within their scope.
    get_report
    example.py

manipulate_data:
    sqlite3
    some_table  # *vvvv* see below for writing code directly *vvvv*
    `
SELECT
    *,
    CASE
        WHEN sales = 0
        THEN 0.0
        ELSE spend / sales
    END AS acos
FROM some_table
`

# this one's just to show postgres as well
manipulate_data_again:
    postgres
    another_table
    `
select
    *,
    case
        when spend = 0
        then 0.0
        else sales / spend
    end AS roas
from another_table
`

upload:
    python
    upload_to_db
    example.py


# these are pipe and what will be run
# each step will be run individually and could be run on a different computer each time
accounts_pipe = | accounts  # single pipes currently need a `|` before or behind the value
api_pipe = request | status | download | manipulate_data | manipulate_data_again | upload


# currently there are only two syntax's for "running" pipes.
# either by itself: `pipe()`
# or in a loop:
# `for value in pipe1():
#     pipe2(value)

# v = pipe(accounts_pipe)  # <-- single call
# pipe2(v)

# right not you cannot pass arguments within the pipe being used for the for loop.
for account in accounts_pipe():
    api_pipe(account)
"""  # noqa: E501 (as it stands in the document)

#: The functions that the document names: an API that has each report ready at the third question.
EXAMPLE = '''
import json
from pathlib import Path

from pipelines.frontends.pipelang import Result, pending

asked = {}


def accounts():
    """Yield, for a loop to go over."""
    for number in range(1, 6):
        yield f"account-{number}"


def request_report(account):
    asked[account] = 0
    return {"account": account}


def get_status(report):
    asked[report["account"]] += 1
    if asked[report["account"]] < 3:
        return Result(status=pending, delay=0.01)
    return report


def get_report(report):
    number = float(report["account"].partition("-")[2])
    return [
        {"account": report["account"], "sales": 10 * number, "spend": 2.0},
        {"account": report["account"], "sales": 0.0, "spend": 0.0},
    ]


def upload_to_db(rows):
    with Path("uploaded.jsonl").open("a") as file:
        file.write(json.dumps(rows) + chr(10))
'''

NODES = ["accounts", "for-account", "request", "status", "download", "manipulate_data"]
NODES += ["manipulate_data_again", "upload"]


@pytest.fixture
def folder(
    postgres_settings: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Write the document's files into a folder, and go there."""
    (tmp_path / "script.pipe").write_text(DOCUMENT)
    (tmp_path / "example.py").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    for name in ("PIPE_WORKER_SCOPES", "PLUMBER_POSTGRES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in postgres_settings.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def plumber(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program in the current folder."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )


def uploaded(folder: Path) -> list[tuple[str, float, float]]:
    """Return the account, the acos and the roas of the rows that were uploaded."""
    lines = (folder / "uploaded.jsonl").read_text().splitlines()
    (folder / "uploaded.jsonl").unlink()
    rows = [row for line in lines for row in json.loads(line)]
    return sorted((row["account"], row["acos"], row["roas"]) for row in rows if row["sales"])


EXPECTED = [(f"account-{n}", 2 / (10 * n), 5.0 * n) for n in range(1, 6)]


def test_the_documents_script_runs_whole(folder: Path) -> None:
    """Each account's report is asked for until it is ready, worked on in both databases, sent."""
    done = plumber("run", "script.pipe", "--scopes", "production,testing", "--json")
    assert done.returncode == 0, done.stderr
    nodes = json.loads(done.stdout)["nodes"]
    assert [nodes[name]["emitted"] for name in NODES] == [1, 5, 5, 5, 5, 5, 5, 5]
    assert uploaded(folder) == EXPECTED


def test_the_document_is_without_a_fault(folder: Path) -> None:
    """All that it says is checked, its functions looked up."""
    done = plumber("validate", "script.pipe")
    assert (done.returncode, done.stdout) == (0, "script.pipe: ok (9 nodes, 8 edges)\n")


def test_the_document_as_a_graph(folder: Path) -> None:
    """It is one line, from the accounts to the upload."""
    spec = pipelang.load("script.pipe")
    line = ["start", *NODES]
    edges = [(edge.source, edge.target) for edge in spec.edges]
    assert edges == list(itertools.pairwise(line))
    assert spec.nodes["status"].args["scope"] == 1
    assert spec.nodes["download"].args["priority"] == 9


def test_the_document_as_yaml_runs_the_same(folder: Path) -> None:
    """Converted, it needs the program no more, only what its steps name."""
    assert plumber("convert", "script.pipe", "-o", "script.yaml").returncode == 0
    (folder / "script.pipe").unlink()
    done = plumber("run", "-q", "script.yaml")
    assert done.returncode == 0, done.stderr
    assert uploaded(folder) == EXPECTED
    assert load("script.yaml").nodes["accounts"].args["file"] == "example.py"


def test_a_worker_of_other_scopes_refuses_the_document(folder: Path) -> None:
    """By the variable that the document names, which may stand in a file of variables."""
    (folder / ".env").write_text("PIPE_WORKER_SCOPES=production\n")
    done = plumber("run", "-e", ".env", "script.pipe")
    assert done.returncode == 78
    assert "script.pipe:17:5  error[scope-not-served]  step 'status' has the scope 'testing'" in (
        done.stderr
    )
    (folder / ".env").write_text("PIPE_WORKER_SCOPES=production,testing\n")
    assert plumber("run", "-q", "-e", ".env", "script.pipe").returncode == 0
    assert uploaded(folder) == EXPECTED
