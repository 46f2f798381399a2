"""Steps in SQL of `.pipe` programs: rows in, rows out, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import sqlite3
import uuid
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipe_programs import ANSWERS, calls, really_run

from pipelines import RunReport, StepError
from pipelines.frontends.pipelang.steps import Postgres, Sqlite


@dataclass
class Point:
    """A row as a dataclass."""

    x: int
    y: float


Pair = namedtuple("Pair", "x y")  # noqa: PYI024 (as people have them)


def query(language: str, sql: str, rows: Any, table: str = "t", option: str = "") -> RunReport:
    """Run a query on some rows; what it gives has been `seen` then."""
    ANSWERS.update({0: [rows]})
    code = "async def zero(): return 0"
    text = f"import python (zero) `{code}`\nimport {language} ({table} as q {option}) `{sql}`\n"
    return really_run(f"{text}p = zero | f | q | seen\np()", "scripted as f", "seen")


def result(language: str, sql: str, rows: Any, table: str = "t") -> list[dict[str, Any]]:
    """Return the rows of a query on some rows."""
    query(language, sql, rows, table)
    (found,) = calls("seen")
    return found  # type: ignore[no-any-return]


@pytest.fixture(scope="session", params=["sqlite3", "postgres"])
def database(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, str]]:
    """Return a language, and the variables that lead to its server, if it needs one."""
    if request.param == "sqlite3":
        return "sqlite3", {}
    return "postgres", request.getfixturevalue("postgres_settings")


@pytest.fixture
def language(database: tuple[str, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the language, its server at hand."""
    name, variables = database
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return name


#: A time of day anywhere.
NAIVE = datetime.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001

ALL = "SELECT * FROM t"


@pytest.mark.parametrize(
    "rows",
    [
        [{"x": 1, "y": 2.5}, {"x": 3, "y": 4.0}],
        [{"x": 1, "y": 2.5}, {"y": 4, "x": 3}],
        [Pair(1, 2.5), Pair(3, 4.0)],
        [Point(1, 2.5), Point(3, 4)],
    ],
    ids=["dicts", "order", "named", "dataclasses"],
)
def test_rows_come_in_every_form(language: str, rows: Any) -> None:
    """The table has their columns, and the query's rows go on as dicts."""
    assert result(language, ALL, rows) == [{"x": 1, "y": 2.5}, {"x": 3, "y": 4.0}]


def test_plain_tuples_have_numbered_columns(language: str) -> None:
    """As they have no names of their own."""
    found = result(language, "SELECT column_2 AS b FROM t ORDER BY column_1", [(2, "x"), [1, "y"]])
    assert found == [{"b": "y"}, {"b": "x"}]


def test_one_mapping_is_one_row(language: str) -> None:
    """It need not stand in a list."""
    assert result(language, "SELECT x + 1 AS x FROM t", {"x": 1}) == [{"x": 2}]


def test_what_is_missing_in_a_row_is_null(language: str) -> None:
    """Columns are those of all rows, as they first appear."""
    found = result(language, ALL, [{"a": 1}, {"b": "x"}, {"a": None, "b": None}])
    assert found == [{"a": 1, "b": None}, {"a": None, "b": "x"}, {"a": None, "b": None}]


@pytest.mark.parametrize("rows", [[], ()])
def test_no_rows_stay_none(language: str, rows: Any) -> None:
    """Nothing is known of their columns, so the query is not run."""
    assert result(language, "SELECT sales / spend FROM t", rows) == []


def test_a_query_may_come_first(language: str) -> None:
    """Then it has no table, and its rows may be what a loop goes over."""
    text = f"import {language} (t as q) `SELECT 1 AS one UNION SELECT 2 ORDER BY 1`\n"
    really_run(f"{text}for row in q(): seen(row)", "seen")
    assert sorted(row["one"] for row in calls("seen")) == [1, 2]


def test_several_statements_may_stand_in_a_query(language: str) -> None:
    """The rows of the last one go on."""
    sql = """
    CREATE TEMPORARY TABLE doubled AS SELECT 2 * x AS x FROM t;  -- a comment; of its own
    UPDATE doubled SET x = x + 1;
    SELECT x, 'a;b' AS text FROM doubled
    """
    if language == "postgres":
        sql += "; DROP TABLE doubled; SELECT 5 AS x, 'a;b' AS text;"
    else:
        sql += ";\n"
    assert result(language, sql, [{"x": 2}]) == [{"x": 5, "text": "a;b"}]


def test_a_statement_without_rows_gives_none(language: str) -> None:
    """An insert, for one."""
    assert result(language, "DELETE FROM t", [{"x": 2}]) == []


def test_a_query_may_stand_in_a_file(language: str, tmp_path: Path) -> None:
    """As a function may."""
    (tmp_path / "sum.sql").write_text("SELECT sum(x) AS s FROM numbers")
    code = "async def rows(): return [{'x': 1}, {'x': 2}]"
    text = f"import python (rows) `{code}`\n"
    text += f"import {language} (numbers as total) '{tmp_path / 'sum.sql'}'\n"
    really_run(f"{text}seen(total(rows))", "seen")
    assert calls("seen") == [[{"s": 3}]]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.integers(0, 9), min_size=1, max_size=3))
@settings(max_examples=30)
def test_any_name_is_a_column_in_sqlite(row: Mapping[str, int]) -> None:
    """Quotes, spaces, words of SQL: nothing in a name is ever run."""
    if len({name.lower() for name in row}) == len(row):
        (found,) = result("sqlite3", ALL, [row])
        assert found == row


def test_any_name_is_a_column(language: str) -> None:
    """Quotes, spaces, words of SQL: nothing in a name is ever run."""
    row = {'a"; DROP TABLE t; --': 1, "select": 2, " ": 3, "grün": 4, "%s": 5, "a.b": 6}
    assert result(language, ALL, [row]) == [row]


@pytest.mark.parametrize(
    ("value", "sqlite", "postgres"),
    [
        (True, 1, True),
        (2**62, 2**62, 2**62),
        (2**70, str(2**70), decimal.Decimal(2**70)),
        (0.1, 0.1, 0.1),
        (float("inf"), float("inf"), float("inf")),
        ("é\n\t\\N", "é\n\t\\N", "é\n\t\\N"),
        ("", "", ""),
        (b"\0\xff", b"\0\xff", b"\0\xff"),
        (decimal.Decimal("1.10"), "1.10", decimal.Decimal("1.10")),
        (datetime.date(2026, 1, 2), "2026-01-02", datetime.date(2026, 1, 2)),
        (NAIVE, "2026-01-02T03:04:05", NAIVE),
        (
            datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC),
            "2026-01-02T03:00:00+00:00",
            datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC),
        ),
        (datetime.time(3, 4), "03:04:00", datetime.time(3, 4)),
        (uuid.UUID(int=5), str(uuid.UUID(int=5)), uuid.UUID(int=5)),
        ({"a": [1, None]}, '{"a": [1, null]}', {"a": [1, None]}),
        ([1, "x"], '[1, "x"]', [1, "x"]),
    ],
    ids=repr,
)
def test_values_keep_their_type(language: str, value: Any, sqlite: Any, postgres: Any) -> None:
    """As far as the database has it; SQLite holds the others as text."""
    (found,) = result(language, ALL, [{"v": value}])
    expected = sqlite if language == "sqlite3" else postgres
    assert found["v"] == expected
    assert type(found["v"]) is type(expected)


def test_a_column_of_mixed_values_is_kept_too(language: str) -> None:
    """SQLite keeps each as it is; PostgreSQL has them as text."""
    found = [row["v"] for row in result(language, ALL, [{"v": 1}, {"v": "x"}, {"v": 2.5}])]
    assert found == ([1, "x", 2.5] if language == "sqlite3" else ["1", "x", "2.5"])


def test_whole_numbers_and_others_are_numbers(language: str) -> None:
    """A column that has both holds floats, so that a division is none of integers."""
    found = result(language, "SELECT v / 2 AS v FROM t ORDER BY v", [{"v": 1}, {"v": 2.5}])
    assert found == [{"v": 0.5}, {"v": 1.25}]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("text", "TypeError: a table is made of a list of rows, not of str"),
        (None, "TypeError: a table is made of a list of rows, not of NoneType"),
        ([1], "TypeError: a row is a dict, a tuple or a dataclass, not int"),
        ([{"a": 1, "A": 2}], "ValueError: SQL takes the columns 'a' and 'A' for one"),
        ([{"": 1}], "ValueError: '' can't be the name of a table or a column"),
        ([{"a\0": 1}], "can't be the name of a table or a column"),
    ],
)
def test_what_is_no_table_is_told(language: str, rows: Any, said: str) -> None:
    """With what would be one."""
    with pytest.raises(StepError) as caught:
        query(language, ALL, rows)
    assert said in str(caught.value)


def test_two_columns_of_one_name_are_refused(language: str) -> None:
    """One of them would be lost."""
    with pytest.raises(StepError, match="the query gives more than one column 'x': rename one"):
        query(language, "SELECT x, x FROM t", [{"x": 1}])


def test_an_error_in_sql_is_that_of_its_value(language: str) -> None:
    """Others go through, on the same connection or on another."""
    code = "async def rows(x): return [{'x': 6, 'y': 2 - x, 'text': 'a' * x}]"
    sql = "SELECT x / y AS z FROM t WHERE CAST(y AS text) <> 'x'"
    if language == "sqlite3":
        sql = "SELECT json(text) AS z FROM t"
    text = f"import python (rows) `{code}`\n"
    text += f"import {language} (t as q !on_error skip !concurrency 1) `{sql}`\n"
    report = really_run(f"{text}p = rows | q | seen\nfor x in three(): p(x)", "three", "seen")
    expected = {"sqlite3": (3, "malformed JSON"), "postgres": (1, "division by zero")}[language]
    assert report.nodes["q"].skipped == expected[0]
    assert expected[1] in report.nodes["q"].last_error


# SQLite.


def test_sqlite_itself_is_told_where_statements_end() -> None:
    """A trigger has semicolons within."""
    sql = """
    CREATE TABLE log (n);
    CREATE TRIGGER noting AFTER DELETE ON t BEGIN
        INSERT INTO log VALUES (old.x);
        INSERT INTO log VALUES (old.x + 1);
    END;
    DELETE FROM t; ;
    SELECT n FROM log
    """
    assert result("sqlite3", sql, [{"x": 1}]) == [{"n": 1}, {"n": 2}]


def test_sqlite_takes_a_connection_of_another_kind_of_row() -> None:
    """What `sqlite3` itself gives as rows can go in again."""
    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT 1 AS a, 2 AS b")]
    database.close()
    assert result("sqlite3", ALL, rows) == [{"a": 1, "b": 2}]


# PostgreSQL.


def test_each_value_has_a_table_of_its_own(postgres: None) -> None:
    """On one connection after another; none is left when the query is done."""
    code = "async def rows(x): return [{'x': x}]"
    text = f"import python (rows) `{code}`\nimport postgres (t as q !concurrency 1) `{ALL}`\n"
    text += "import postgres (other as after) `SELECT to_regclass('pg_temp.t')::text AS found`\n"
    text += "p = rows | q | after | seen\nfor x in three(): p(x)"
    really_run(text, "three", "seen")
    assert calls("seen") == [[{"found": None}]] * 3


def test_a_failed_query_changes_nothing(postgres: None) -> None:
    """Each value is a transaction."""
    made = "CREATE TABLE kept (x int); SELECT 1 AS done"
    really_run(f"import postgres (t as q) `{made}`\nseen(q())", "seen")
    broken = "INSERT INTO kept SELECT x FROM t; SELECT 1 / 0 AS z"
    with pytest.raises(StepError, match="division by zero"):
        query("postgres", broken, [{"x": 1}])
    counted = "SELECT count(*) AS n FROM kept"
    really_run(f"import postgres (t as q) `{counted}`\nseen(q())", "seen")
    assert calls("seen") == [[{"n": 0}]]
    really_run("import postgres (t as q) `DROP TABLE kept`\nq()")


def test_queries_run_side_by_side(postgres: None) -> None:
    """As many as the node may have calls under way, four by default: these wait for each other."""
    code = "async def four(): return [[{'x': x}] for x in range(4)]"
    sql = """
    SELECT pg_advisory_lock_shared(1);
    DO $$ BEGIN
        WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') < 4 LOOP
            PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot();
        END LOOP;
    END $$;
    SELECT x FROM t
    """
    text = f"import python (four) `{code}`\nimport postgres (t as q !timeout 15) `{sql}`\n"
    really_run(f"{text}for rows in four(): seen(q(rows))", "seen")
    assert sorted(rows[0]["x"] for rows in calls("seen")) == [0, 1, 2, 3]


def test_a_query_that_takes_too_long_is_ended(postgres: None) -> None:
    """By !timeout, and its connection with it."""
    with pytest.raises(StepError, match=r"no result after 0\.05 s \(!timeout\)"):
        query("postgres", "SELECT pg_sleep(60) FROM t", [{"x": 1}], option="!timeout 50ms")


def test_the_server_may_be_said_by_a_url(
    postgres_settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PLUMBER_POSTGRES` goes before the usual variables."""
    monkeypatch.setenv("PGHOST", "/nowhere")
    host = postgres_settings["PGHOST"]
    monkeypatch.setenv("PLUMBER_POSTGRES", f"postgresql://tests@/postgres?host={host}")
    assert result("postgres", ALL, [{"x": 1}]) == [{"x": 1}]


def test_a_server_that_is_not_there_is_an_error_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts against the retries, and says where it was looked for."""
    monkeypatch.setenv("PLUMBER_POSTGRES", "host=/nowhere user=x")
    with pytest.raises(StepError, match=r"attempt 2\).*/nowhere"):
        query("postgres", ALL, [{"x": 1}], option="!retries 1 !backoff 0")


def test_steps_can_be_made_by_hand() -> None:
    """They are classes with plain arguments, as YAML has them."""

    async def main() -> Any:
        async with Sqlite(table="t", query="SELECT x * 2 AS x FROM t", give=["v"]) as step:
            return await step({"variables": {"v": [{"x": 4}]}})

    assert asyncio.run(main()) == {"value": [{"x": 8}], "args": [[{"x": 4}]]}
    assert Postgres(table="t", query=ALL).poll == 5.0
