"""From a file, text or dict to a `GraphSpec`: what is read, and every fault with its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sample_steps import Store, inc, source

from pipelines.checks.schema import graph_schema
from pipelines.errors import GraphError, Problem
from pipelines.load import load
from pipelines.places import Findings, Places
from pipelines.spec import GraphSpec, Properties, Rate, Retry
from pipelines.yamltext import MAX_ALIASED, MAX_BYTES, MAX_DEPTH, read_text, scalar

MINIMAL = "nodes:\n  a: {func: m:f}\n"

DESIGN_EXAMPLE = """\
# yaml-language-server: $schema=./graph.schema.json
version: 1
name: fetch-and-count
x-retry: &retry {attempts: 3, backoff: 0.5s, max_backoff: 10s, jitter: true}

nodes:
  urls:  {func: "pipelines.steps.files:read_lines", args: {path: "${URLS:urls.txt}"}}
  fetch:
    coro: myapp.steps:fetch
    args: {timeout: 5}
    properties: {concurrency: 16, timeout: 10s, retry: *retry, on_error: dead_letter}
  words: {func: "myapp.steps:count_words", properties: {executor: process}}
  store: {func: "myapp.steps:Store", args: {path: out.jsonl}}

graph:
  urls:  [fetch]
  fetch: [words, {to: store, buffer_size: 10, when_full: drop_oldest}]
  words: [store]
  store: null

defaults: {buffer_size: 100, on_error: fail}
dead_letter: {func: "pipelines.steps.files:write_jsonl", args: {path: dead.jsonl}}
runtime: {shutdown_timeout: 20s, max_failures: 5%}
"""


def faults(source: Any, **options: Any) -> tuple[Problem, ...]:
    """Return the problems with which `load` refuses `source`."""
    with pytest.raises(GraphError) as caught:
        load(source, **{"env": {}, **options})
    return caught.value.problems


def fault(source: Any, **options: Any) -> Problem:
    """Return the only problem of `source`."""
    found = faults(source, **options)
    assert len(found) == 1, found
    return found[0]


def places(source: Any, **options: Any) -> list[tuple[str, int | None, int | None]]:
    """Return the code and place of each problem."""
    return [(each.code, each.line, each.column) for each in faults(source, **options)]


def data(text: str) -> Any:
    """Return what a text holds, which must have no fault."""
    findings = Findings()
    found = read_text(text, findings)
    assert findings.problems == ()
    return found


# --- what is read -------------------------------------------------------------------------------


def test_the_example_of_the_design_loads() -> None:
    """Every part of a document arrives in the spec."""
    spec = load(DESIGN_EXAMPLE, env={})
    assert spec.name == "fetch-and-count"
    assert spec.nodes["urls"].args == {"path": "urls.txt"}
    retry = Retry(3, 0.5, 10.0, jitter=True)
    wanted = Properties(concurrency=16, timeout=10.0, retry=retry, on_error="dead_letter")
    assert spec.nodes["fetch"].properties == wanted
    assert [(e.source, e.target) for e in spec.inbound("store")] == [
        ("fetch", "store"),
        ("words", "store"),
    ]
    assert spec.dead_letter is not None
    assert spec.dead_letter.args == {"path": "dead.jsonl"}
    assert (spec.runtime.shutdown_timeout, spec.runtime.max_failures) == (20.0, 0.05)


def test_a_loaded_spec_knows_its_file_and_places(tmp_path: Path) -> None:
    """Places are 1-based, of values; those of keys are had separately."""
    file = tmp_path / "graph.yaml"
    file.write_text(DESIGN_EXAMPLE)
    spec = load(file, env={})
    assert spec.source == str(file)
    assert isinstance(spec.locations, Places)
    assert spec.locations["nodes", "fetch", "coro"] == (9, 11)
    assert spec.locations.key(("nodes", "fetch", "coro")) == (9, 5)
    assert spec.locations["graph", "fetch", 1, "to"] == (17, 23)
    assert spec.locations.key(("graph", "fetch", 1)) == (17, 18)
    assert spec.locations["nodes", "fetch", "properties", "retry"] == (4, 10)  # where it is written


def test_every_place_can_be_listed() -> None:
    """The places are a mapping whose paths all lead somewhere."""
    locations = load(MINIMAL).locations
    wanted = {(), ("nodes",), ("nodes", "a"), ("nodes", "a", "func")}
    assert set(locations) == wanted
    assert len(locations) == len(wanted)
    assert [locations[path] for path in sorted(locations, key=len)] == [
        (1, 1),
        (2, 3),
        (2, 6),
        (2, 13),
    ]
    assert ("nodes", "b") not in locations
    assert ("nodes", "a", "func", 0) not in locations
    assert isinstance(locations, Places)
    assert locations.key(()) == (1, 1)


def test_a_file_and_its_text_give_the_same(tmp_path: Path) -> None:
    """Whether it is named or given; a BOM and Windows line ends do not matter."""
    file = tmp_path / "graph.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(file) == load(str(file)) == load(MINIMAL)


def test_json_is_read_as_well(tmp_path: Path) -> None:
    """Indented by tabs or not, with surrogate pairs, from a file or from text."""
    document = {"nodes": {"a": {"func": "m:f", "args": {"smile": "😀", "n": 1e3, "s": "a/b"}}}}
    for text in (json.dumps(document), json.dumps(document, indent="\t").replace("/", "\\/")):
        file = tmp_path / "graph.json"
        file.write_text(text)
        assert load(file) == load(text) == GraphSpec.from_dict(document)


def test_a_spec_is_returned_as_it_is() -> None:
    """There is nothing to read in it."""
    spec = load(MINIMAL)
    assert load(spec) is spec


def test_a_spec_with_overrides_is_read_again() -> None:
    """The given one is not changed."""
    spec = load(MINIMAL)
    changed = load(spec, overrides=["nodes.a.properties.concurrency=2"])
    assert changed.nodes["a"].properties.concurrency == 2
    assert spec.nodes["a"].properties.concurrency is None


def test_the_dicts_of_the_seed_load() -> None:
    """Callables, tuples, None, and another order in nodes than in graph."""
    marker = object()
    spec = load(
        {
            "nodes": {
                "out": {"coro": inc},
                "inp": {"func": range(10), "args": {}},
                "mid": {"func": Store, "args": {"path": marker, "more": {1, 2}}},
                "lst": {"func": [1, 2, 3]},
            },
            "graph": {
                "inp": ("mid", {"to": "out"}),
                "mid": "out",
                "lst": {"to": "out"},
                "out": None,
            },
        }
    )
    assert spec.nodes["out"].coro is inc
    assert spec.nodes["inp"].func == range(10)
    assert spec.nodes["mid"].args["path"] is marker
    assert [(e.source, e.target) for e in spec.edges] == [
        ("inp", "mid"),
        ("inp", "out"),
        ("mid", "out"),
        ("lst", "out"),
    ]


def test_a_dict_is_not_changed() -> None:
    """Overrides and free keys copy what they change."""
    document = {
        "nodes": {"a": {"func": source, "properties": {"x-why": 1, "concurrency": 2}}},
        "graph": {"a": []},
    }
    before = json.dumps(document, default=repr)
    load(document, overrides=["nodes.a.properties.concurrency=3", "nodes.a.args.count=1"])
    assert json.dumps(document, default=repr) == before


def test_text_in_a_dict_is_not_interpolated() -> None:
    """A program has f-strings; ${V} in its dict means just that."""
    spec = load({"nodes": {"a": {"func": "m:f", "args": {"x": "${HOME} $$"}}}}, env={"HOME": "y"})
    assert spec.nodes["a"].args == {"x": "${HOME} $$"}


def test_free_keys_are_allowed_everywhere() -> None:
    """Keys that begin with x- are the user's, also among the options that a program reads."""
    spec = load(
        "x-a: 1\nnodes:\n  a:\n    x-b: 1\n    func: m:f\n    properties:\n"
        "      {x-c: 1, concurrency: 2, retry: {x-d: 1, attempts: 2}, batch: {size: 1, x-e: 1},\n"
        "       join: {x-f: 1, on_missing: drop}}\n"
        "graph:\n  a: [{to: a, x-g: 1}]\n"
        "defaults: {x-h: 1}\nruntime: {x-i: 1}\ndead_letter: {func: m:f, x-j: 1}\n"
    )
    assert spec.nodes["a"].properties.concurrency == 2
    assert spec.nodes["a"].properties.retry == Retry(attempts=2)


def test_nothing_stands_for_an_empty_mapping() -> None:
    """As a person leaves it: `args:` with nothing behind it."""
    spec = load(
        "nodes:\n  a:\n  b:\n    func: m:f\n    args:\n    properties:\n"
        "graph:\ndefaults:\nruntime:\n"
    )
    assert set(spec.nodes) == {"a", "b"}
    assert spec.nodes["a"].target is None


@pytest.mark.parametrize("value", ["20/s", "100/m", "5/10s", "0.5 / 2m"])
def test_rates(value: str) -> None:
    """What the schema lets through, `parse_rate` can read."""
    spec = load({"nodes": {"a": {"properties": {"rate_limit": value}}}})
    assert isinstance(spec.nodes["a"].properties.rate_limit, Rate)


@pytest.mark.parametrize("value", [0.25, 3, "500ms", "10s", "1.5m", "1 h"])
def test_durations(value: Any) -> None:
    """What the schema lets through, `parse_duration` can read."""
    spec = load({"nodes": {"a": {"properties": {"timeout": value}}}})
    assert spec.nodes["a"].properties.timeout


# --- YAML ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("1.", 1.0),
        (".", "."),
        ("-", "-"),
        (".inf", float("inf")),
        ("2001-01-01", "2001-01-01"),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    """Only true and false are booleans; no sexagesimal numbers, no dates."""
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    if text not in ("-", "", "="):
        assert data(f"k: {text}\n") == {"k": value}
        assert data(f"k: '{text}'\n") == {"k": text}


def test_the_traps_of_the_design() -> None:
    """{on: [no], 1: null, a: [b], a: [c]} must not silently become {True: None, 'a': ['c']}."""
    found = faults("{on: [no], 1: null, a: [b], a: [c]}")
    said = {each.code: (each.line, each.column) for each in found}
    assert said["key-not-text"] == (1, 12)
    assert said["duplicate-key"] == (1, 29)
    assert "unknown key 'on'" in str(found)


@pytest.mark.parametrize(
    ("key", "shown", "kind"),
    [
        ("1", "1", "a number"),
        ("08", "08", "a number"),
        ("1.5", "1.5", "a number"),
        ("true", "true", "a boolean"),
        ("~", "~", "nothing"),
    ],
)
def test_a_key_that_is_no_text(key: str, shown: str, kind: str) -> None:
    """It is shown as it is written, with the quotes that mend it."""
    problem = fault(f"nodes:\n  a: {{func: m:f}}\n  {key}: {{}}\n")
    assert (problem.code, problem.line, problem.column) == ("key-not-text", 3, 3)
    assert problem.message == f"the key {shown} is {kind}; keys are text."
    assert problem.hint == f'Quote it: "{shown}".'


def test_a_mapping_or_list_as_a_key() -> None:
    """YAML allows it; nothing else does."""
    found = faults(
        "nodes:\n  ? [a, b]\n  : {func: m:f}\n  ? {a: b}\n  : {func: m:g}\n  c: {func: m:h}\n"
    )
    assert [(each.line, each.column, each.message[:9]) for each in found] == [
        (2, 5, "a list ca"),
        (4, 5, "a mapping"),
    ]


def test_a_key_that_stands_twice() -> None:
    """The message says where it stood first."""
    problem = fault("nodes:\n  a: {func: m:f}\n  b: {func: m:f}\n  a: {func: m:g}\n")
    assert (problem.code, problem.line, problem.column) == ("duplicate-key", 4, 3)
    assert "'a' stands twice in one mapping, first in line 2" in problem.message


def test_merge_keys() -> None:
    """What a mapping says itself wins, then the first of several."""
    found = data(
        "x-a: &a {one: 1, two: 2}\nx-b: &b {two: 3, three: 4}\n"
        "c: {one: 9, <<: *a}\nd: {<<: [*a, *b]}\ne: {'<<': 5}\n"
    )
    assert found["c"] == {"one": 9, "two": 2}
    assert found["d"] == {"one": 1, "two": 2, "three": 4}
    assert found["e"] == {"<<": 5}


def test_a_merged_key_stands_where_it_is_written() -> None:
    """A fault in it is shown there."""
    text = "x-a: &a\n  concurency: 2\nnodes:\n  a:\n    func: m:f\n    properties:\n      <<: *a\n"
    assert places(text) == [("unknown-key", 2, 3)]


@pytest.mark.parametrize("value", ["3", "[a]", "*a"])
def test_a_merge_of_no_mapping(value: str) -> None:
    """It is said at the value."""
    problem = fault(f"x-a: &a text\nnodes:\n  a:\n    <<: {value}\n    func: m:f\n")
    assert problem.code == "bad-merge"


def test_aliases_share_what_they_stand_for() -> None:
    """Anchors under x-* keys are how a graph says a thing once."""
    spec = load(
        "x-p: &p {concurrency: 3}\nnodes: {a: {func: m:f, properties: *p}, b: {properties: *p}}\n"
    )
    assert spec.nodes["a"].properties == spec.nodes["b"].properties == Properties(concurrency=3)


def test_aliases_that_explode() -> None:
    """A few lines that stand for a billion values are refused where they pass the bound."""
    lines = ["x-0: &x0 [lol]"]
    lines += [f"x-{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]" for i in range(1, 10)]
    problem = fault("\n".join([*lines, MINIMAL]))
    assert (problem.code, problem.line) == ("alias-explosion", 6)
    assert f"{MAX_ALIASED:,}" in problem.message


def test_aliases_that_nest() -> None:
    """A chain of anchors, each within the next, is as deep as one that is written out."""
    lines = ["x-0: &x0 [lol]", *(f"x-{i}: &x{i} [*x{i - 1}]" for i in range(1, 200))]
    assert fault("\n".join([*lines, MINIMAL])).code == "too-deep"


@pytest.mark.parametrize(
    ("text", "code"),
    [("x-a: &a [*a]\n", "recursive-alias"), ("x-a: &ab 1\nx-b: *ac\n", "unknown-alias")],
)
def test_an_alias_that_leads_nowhere(text: str, code: str) -> None:
    """To itself, or to no anchor."""
    assert fault(text + MINIMAL).code == code


@pytest.mark.parametrize(
    "text", ["x-a: !!python/object:os.system {}\n", "x-a: !!str 3\n", "x-a: !x [1]\n"]
)
def test_tags_are_refused(text: str) -> None:
    """They would say what Python type to make."""
    problem = fault(text + MINIMAL)
    assert (problem.code, problem.line, problem.column) == ("tag", 1, 6)


def test_several_documents_are_refused() -> None:
    """It is said where the second begins."""
    assert places(f"{MINIMAL}---\n{MINIMAL}") == [("several-documents", 3, 1)]


def test_a_tab_as_indentation() -> None:
    """The parser's riddle is put in plain words."""
    problem = fault("nodes:\n\ta: {func: m:f}\n")
    assert (problem.code, problem.line, problem.column) == ("syntax", 2, 1)
    assert "a tab indents this line" in problem.message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("nodes:\n  a: @b\n", (2, 6), "no text can begin with '@'"),
        ("nodes:\n  a: b: c\n", (2, 7), "a colon makes a key here"),
        ("nodes: {a: 'b\n", (2, 1), "a quoted text is not closed"),
        ("nodes: {a: [b\n", (2, 1), "this is no YAML"),
        ("- a\nb: c\n", (2, 1), "this is no YAML"),
    ],
)
def test_text_that_is_no_yaml(text: str, place: tuple[int, int], words: str) -> None:
    """One problem, at its place, with a hint."""
    problem = fault(text)
    assert (problem.code, problem.line, problem.column) == ("syntax", *place)
    assert words in problem.message
    assert problem.hint


def test_a_json_file_is_told_so_by_the_words_of_json(tmp_path: Path) -> None:
    """A comma that is missing there is no fault of indentation."""
    file = tmp_path / "graph.json"
    file.write_text('{"nodes": {"a": {"func": "m:f"}\n "graph": {}}')
    problem = fault(file)
    assert (problem.code, problem.line, problem.column) == ("syntax", 2, 2)
    assert "delimiter" in problem.message


def test_json_that_only_json_can_read() -> None:
    """It has no places, but the same faults."""
    smile = '"x-smile": "\\ud83d\\ude00"'
    found = faults(f'{{{smile}, "nodes": {{"a": {{"func": "m:f"}}, "a": {{}}}}, "y": NaN}}')
    assert {each.code for each in found} == {"duplicate-key", "syntax", "unknown-key"}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000])
@pytest.mark.parametrize("smile", ["", '"x-smile": "\\ud83d\\ude00", '])
def test_deep_nesting(depth: int, smile: str) -> None:
    """Brackets without end are one clear problem, in YAML and in JSON that YAML can't read."""
    problem = fault(f'{{{smile}"x-deep": {"[" * depth}{"]" * depth}, "nodes": {{"a": {{}}}}}}')
    assert problem.code == "too-deep"


def test_nesting_up_to_the_limit() -> None:
    """It loads, and variables deep within are filled."""
    depth = MAX_DEPTH - 4
    text = f"nodes:\n  a:\n    args: {{x: {'[' * depth}'${{V}}'{']' * depth}}}\n"
    value = load(text, env={"V": "7"}).nodes["a"].args["x"]
    for _ in range(depth):
        (value,) = value
    assert value == 7


def test_a_number_of_too_many_digits() -> None:
    """Python refuses to convert it."""
    problem = fault(f"nodes:\n  a: {{args: {{n: {'9' * 5_000}}}}}\n")
    assert (problem.code, problem.line, problem.column) == ("bad-number", 2, 17)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(PLAIN)
def test_json_of_any_data_is_read_back(value: Any) -> None:
    """JSON is a subset of what is read, but for keys of more than a thousand characters."""
    findings = Findings()
    read = read_text(json.dumps({"x": value}), findings)
    assert (read, findings.problems) == ({"x": value}, ())


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but problems comes of it, each with its hint."""
    findings = Findings()
    read_text(text, findings)
    assert all(each.code and each.message and each.hint for each in findings.problems)


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                ": ",
                "\n",
                "  ",
                "- ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "&x ",
                "*x",
                "!t ",
                "'",
                '"',
                "<<",
                "|\n",
                "? ",
                "#",
                "---\n",
                "1",
                "${V}",
            ]
        )
    )
)
def test_any_pieces_of_yaml_are_read_or_refused(pieces: list[str]) -> None:
    """Also where they go together in ways that nobody would write."""
    findings = Findings()
    read = read_text("".join(pieces), findings)
    assert read is None or isinstance(read, dict | list | str | int)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.text())))
def test_what_yaml_reads_we_read_alike(document: dict[str, Any]) -> None:
    """A document without traps gives what PyYAML makes of it."""
    text = yaml.safe_dump(document, default_style='"')
    assert data(text.replace('!!int "', '"')) == {
        key: str(value) if isinstance(value, int) else value for key, value in document.items()
    }


# --- files that can't be read -------------------------------------------------------------------


def test_an_empty_file(tmp_path: Path) -> None:
    """Also one with nothing but comments."""
    for text in ("", "\n\n", "# nothing\n", "---\n"):
        (tmp_path / "graph.yaml").write_text(text)
        problem = fault(tmp_path / "graph.yaml")
        assert (problem.code, problem.file) == ("empty", str(tmp_path / "graph.yaml"))


def test_a_directory(tmp_path: Path) -> None:
    """It is no graph file."""
    problem = fault(tmp_path)
    assert (problem.code, problem.message) == ("unreadable-file", "this is a directory.")


def test_a_missing_file(tmp_path: Path) -> None:
    """The nearest name in its folder is suggested."""
    (tmp_path / "graph.yaml").write_text(MINIMAL)
    problem = fault(tmp_path / "graph.yml")
    assert (problem.code, problem.hint) == ("unreadable-file", "Did you mean 'graph.yaml'?")
    assert fault(tmp_path / "none" / "graph.yml").hint == "Check the path."
    assert fault("").code == "unreadable-file"
    assert fault("a\0b").code == "unreadable-file"
    assert fault("a" * 10_000).code == "unreadable-file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """The system's reason is given."""
    file = tmp_path / "graph.yaml"
    file.write_text(MINIMAL)
    file.chmod(0)
    assert "Permission denied" in fault(file).message


def test_a_binary_file(tmp_path: Path) -> None:
    """A picture, a pickle, or text in another encoding."""
    file = tmp_path / "graph.yaml"
    file.write_bytes(b"\x7fELF\0\0\1")
    assert fault(file).code == "bad-character"
    file.write_bytes(b"nodes:\n  a: \xff\n")
    problem = fault(file)
    assert (problem.code, problem.line, problem.column) == ("bad-encoding", 2, 6)
    file.write_text("nodes:\n  a: b\0c\n")
    problem = fault(file)
    assert (problem.code, problem.line, problem.column) == ("bad-character", 2, 7)
    assert "binary" in problem.message
    assert "'\\x07'" in fault("nodes:\n  a: \x07\n").message


def test_a_large_file(tmp_path: Path) -> None:
    """Ten megabytes are refused before they are parsed."""
    file = tmp_path / "graph.yaml"
    file.write_text("x-filler:\n" + "- {a: 1, b: two}\n" * 600_000)
    problem = fault(file)
    assert (problem.code, problem.line) == ("too-large", None)
    assert fault("\n" * (MAX_BYTES + 1)).code == "too-large"


@pytest.mark.parametrize("source", [42, None, b"nodes: {}", ["a"]])
def test_what_is_no_source(source: Any) -> None:
    """The message says what would be one."""
    assert fault(source).code == "not-a-graph"


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "42\n", "null\n"])
def test_what_is_no_mapping_at_the_top(text: str) -> None:
    """A graph is a mapping."""
    assert fault(text).code in ("not-a-graph", "empty")


# --- the schema ---------------------------------------------------------------------------------


def test_the_schema_is_one_that_editors_can_show() -> None:
    """It is valid itself, and each key has a title and a description, or what it refers to has."""
    from jsonschema import Draft202012Validator

    schema = graph_schema()
    Draft202012Validator.check_schema(schema)
    waiting = [schema, *schema["$defs"].values()]
    for each in waiting:
        assert each.get("title"), each
        for key, value in each.get("properties", {}).items():
            named = schema["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else {}
            assert value.get("title") or named.get("title"), key
            assert value.get("description") or named.get("description"), key


def test_the_schema_has_exactly_the_properties() -> None:
    """What a node may say and what a spec can hold are the same."""
    known = graph_schema()["$defs"]["properties"]["properties"]
    assert set(known) == set(Properties.__dataclass_fields__)
    assert set(known["retry"]) == {"$ref"}


def test_the_schema_itself_judges_alike() -> None:
    """A plain validator of the whole document agrees with the one that takes it apart."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(graph_schema())
    assert list(validator.iter_errors(data(DESIGN_EXAMPLE))) == []
    for text in BAD_DOCUMENTS:
        assert list(validator.iter_errors(data(text))), text


#: One fault each: code, place, and words of the message.
BAD_DOCUMENTS = {
    "version: 2\nnodes: {a: }\n": ("unknown-value", 1, 10, "version: expected 1, got 2"),
    "name: 5\nnodes: {a: }\n": ("wrong-type", 1, 7, "name: expected text, got 5"),
    "name: ''\nnodes: {a: }\n": ("empty-text", 1, 1, "name: this text is empty"),
    "graph: {a: [a]}\n": ("missing-key", 1, 1, "the key 'nodes' is missing"),
    "nodes: {}\n": ("no-nodes", 1, 8, "at least one node"),
    "nodes: []\n": ("wrong-type", 1, 8, "nodes: expected a mapping, got a list"),
    "nodes:\n": ("wrong-type", 1, 7, "nodes: expected a mapping, got nothing"),
    "nodse: {a: }\nnodes: {a: }\n": ("unknown-key", 1, 1, "unknown key 'nodse'"),
    "nodes: {'': {func: f}}\n": ("empty-text", 1, 9, "a name is empty"),
    "nodes:\n  a: [b]\n": ("wrong-type", 2, 6, "nodes.a: expected a mapping, got a list"),
    "nodes:\n  a: {func: 5}\n": ("not-callable", 2, 13, "nodes.a.func: expected a callable"),
    "nodes:\n  a: {coro: ''}\n": ("empty-text", 2, 7, "nodes.a.coro: this text is empty"),
    "nodes:\n  a: {fun: f}\n": ("unknown-key", 2, 7, "nodes.a: unknown key 'fun'"),
    "nodes:\n  a: {func: f, coro: g}\n": ("coro-and-func", 2, 3, "both `coro` and `func`"),
    "nodes:\n  a: {args: [1]}\n": ("wrong-type", 2, 13, "expected a mapping, got a list"),
    "nodes:\n  a: {properties: {concurency: 1}}\n": (
        "unknown-key",
        2,
        20,
        "nodes.a.properties: unknown key 'concurency'",
    ),
    "nodes:\n  a: {properties: {concurrency: 0}}\n": (
        "out-of-range",
        2,
        33,
        "concurrency: expected at least 1, got 0",
    ),
    "nodes:\n  a: {properties: {concurrency: true}}\n": (
        "wrong-type",
        2,
        33,
        "expected a whole number, got true",
    ),
    "nodes:\n  a: {properties: {concurrency: 1.5}}\n": (
        "wrong-type",
        2,
        33,
        "expected a whole number, got 1.5",
    ),
    "nodes:\n  a: {properties: {ordered: yes}}\n": (
        "wrong-type",
        2,
        29,
        "expected true or false, got 'yes'",
    ),
    "nodes:\n  a: {properties: {timeout: 0s}}\n": ("bad-format", 2, 29, "'0s' is no timeout"),
    "nodes:\n  a: {properties: {timeout: 0}}\n": ("out-of-range", 2, 29, "more than 0, got 0"),
    "nodes:\n  a: {properties: {timeout: 5 days}}\n": ("bad-format", 2, 29, "is no timeout"),
    "nodes:\n  a: {properties: {executor: tread}}\n": ("unknown-value", 2, 30, "'tread'"),
    "nodes:\n  a: {properties: {on_error: dead}}\n": ("unknown-value", 2, 30, "'dead'"),
    "nodes:\n  a: {properties: {rate_limit: 0/s}}\n": ("bad-format", 2, 32, "is no rate limit"),
    "nodes:\n  a: {properties: {rate_limit: 5}}\n": ("wrong-type", 2, 32, "expected text, got 5"),
    "nodes:\n  a: {properties: {batch: {}}}\n": ("missing-key", 2, 20, "'size' is missing"),
    "nodes:\n  a: {properties: {batch: 5}}\n": ("wrong-type", 2, 27, "expected a mapping, got 5"),
    "nodes:\n  a: {properties: {retry: {attemps: 1}}}\n": (
        "unknown-key",
        2,
        28,
        "retry: unknown key 'attemps'",
    ),
    "nodes:\n  a: {properties: {retry: {backoff: -1}}}\n": ("out-of-range", 2, 37, "at least 0"),
    "nodes:\n  a: {properties: {retry: {on: [Time out]}}}\n": (
        "bad-format",
        2,
        33,
        "'Time out' is no exception name",
    ),
    "nodes:\n  a: {properties: {join: {on_missing: never}}}\n": ("unknown-value", 2, 39, "'never'"),
    "nodes: {a: }\ngraph: [a]\n": ("wrong-type", 2, 8, "graph: expected a mapping, got a list"),
    "nodes: {a: }\ngraph: {a: 5}\n": ("wrong-type", 2, 12, "graph.a: expected a list"),
    "nodes: {a: }\ngraph: {a: [5]}\n": (
        "wrong-type",
        2,
        13,
        "graph.a.0: expected a mapping or text",
    ),
    "nodes: {a: }\ngraph: {a: ['']}\n": ("empty-text", 2, 13, "graph.a.0: this text is empty"),
    "nodes: {a: }\ngraph: {a: {buffer_size: 1}}\n": ("missing-key", 2, 9, "'to' is missing"),
    "nodes: {a: }\ngraph: {a: [{to: a, buffer_size: 0}]}\n": ("out-of-range", 2, 34, "at least 1"),
    "nodes: {a: }\ngraph: {a: [{to: a, when_full: drop}]}\n": ("unknown-value", 2, 32, "'drop'"),
    "nodes: {a: }\ndefaults: {buffersize: 1}\n": ("unknown-key", 2, 12, "'buffersize'"),
    "nodes: {a: }\ndead_letter: {args: {}}\n": ("missing-key", 2, 1, "'func' is missing"),
    "nodes: {a: }\ndead_letter: f\n": ("wrong-type", 2, 14, "expected a mapping, got 'f'"),
    "nodes: {a: }\ndead_letter: {func: f, properties: {}}\n": (
        "unknown-key",
        2,
        24,
        "'properties'",
    ),
    "nodes: {a: }\nruntime: {max_failures: 101%}\n": ("bad-format", 2, 25, "'101%'"),
    "nodes: {a: }\nruntime: {shutdown_timeout: soon}\n": ("bad-format", 2, 29, "'soon'"),
}


@pytest.mark.parametrize("text", BAD_DOCUMENTS)
def test_a_fault_of_the_document(text: str) -> None:
    """It is said in plain words, at its place, with what mends it."""
    code, line, column, words = BAD_DOCUMENTS[text]
    problem = fault(text)
    assert (problem.code, problem.line, problem.column) == (code, line, column)
    assert words in problem.message
    assert problem.hint


def test_what_is_no_number_to_json() -> None:
    """Not a number passes every bound, and infinity is no duration: both are refused."""
    for value in (".nan", ".inf", "1e999"):
        problem = fault(f"nodes:\n  a: {{properties: {{timeout: {value}}}}}\n")
        assert problem.code == "wrong-type"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("nodes:\n  a: {properties: {concurency: 1}}\n", "Did you mean 'concurrency'?"),
        ("nodes:\n  a: {properties: {executor: tread}}\n", "Did you mean 'thread'?"),
        ("nodes:\n  a: {properties: {timeout: soon}}\n", "Write it like 500ms or 10s or 5m or 1h."),
        ("nodes: {a: }\nname: 5\n", "Quote it: '5'."),
        ("nodes: {a: }\nnam: x\n", "Did you mean 'name'?"),
    ],
)
def test_a_fault_has_its_mend(text: str, hint: str) -> None:
    """The nearest valid word, or what to write."""
    assert fault(text).hint == hint


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Five different faults in one file: all five, with their places, from the top down."""
    file = tmp_path / "graph.yaml"
    file.write_text(
        "nodes:\n"
        "  a: {func: m:f, properties: {concurency: 2}}\n"
        "  b: {func: m:f, args: {x: '${UNSET}'}}\n"
        "  b: {func: m:g}\n"
        "graph:\n"
        "  a: [{too: b}]\n"
        "runtime: {max_failures: many}\n"
    )
    found = faults(file)
    assert [str(each).split("  ")[0] for each in found] == [
        f"{file}:2:31",
        f"{file}:3:28",
        f"{file}:4:3",
        f"{file}:6:7",
        f"{file}:6:8",
        f"{file}:7:25",
    ]
    assert "error[unset-variable]  nodes.b.args.x: the variable UNSET is not set." in str(found[1])


def test_a_dict_with_faults() -> None:
    """There is no file; the path says where."""
    found = faults(
        {
            "nodes": {
                "a": {"coro": 42},
                3: {},
                "b": {"func": inc, "properties": {"retry": object(), "timeout": {1, 2}}},
                "c": {"coro": [1]},
                "d": {"func": inc, "args": {1: 2}},
                "e": {None: 1},
            },
            "graph": {"a": {"b", "c"}, "b": 1, "c": [object()]},
        }
    )
    said = {each.path: each.code for each in found}
    assert said == {
        ("nodes",): "key-not-text",
        ("nodes", "a", "coro"): "not-callable",
        ("nodes", "b", "properties", "retry"): "wrong-type",
        ("nodes", "b", "properties", "timeout"): "wrong-type",
        ("nodes", "c", "coro"): "not-callable",
        ("nodes", "d", "args"): "key-not-text",
        ("nodes", "e"): "key-not-text",
        ("graph", "a"): "wrong-type",
        ("graph", "b"): "wrong-type",
        ("graph", "c", 0): "wrong-type",
    }


def test_a_dict_that_holds_itself() -> None:
    """Whatever stands in it, it is refused, not followed."""
    loop: dict[str, Any] = {}
    loop["retry"] = loop
    assert fault({"nodes": {"a": {"properties": loop}}}).code == "unknown-key"
    document: dict[str, Any] = {"nodes": {"a": {"func": inc, "args": {}}}}
    document["nodes"]["a"]["args"]["self"] = document
    assert load(document).nodes["a"].args["self"] is document


# --- variables ----------------------------------------------------------------------------------


def variable(text: str, **env: str) -> Any:
    """Return what an argument becomes."""
    return load(f"nodes:\n  a: {{args: {{x: {text}}}}}\n", env=env).nodes["a"].args["x"]


@pytest.mark.parametrize(
    ("text", "env", "value"),
    [
        ("'${V}'", {"V": "a"}, "a"),
        ("'${V}'", {"V": "5"}, 5),
        ("'${V}'", {"V": "true"}, True),
        ("'${V}'", {"V": "yes"}, "yes"),
        ("'${V}'", {"V": ""}, None),
        ("'${V}'", {"V": " x "}, " x "),
        ("'${V}'", {"V": "[1, 2]"}, "[1, 2]"),
        ("'${V}'", {"V": "${W}"}, "${W}"),
        ("'${V}'", {"V": "9" * 5_000}, "9" * 5_000),
        ("'${V:7}'", {}, 7),
        ("'${V:}'", {}, None),
        ("'${V:a:b-c?d}'", {}, "a:b-c?d"),
        ("'${V:7}'", {"V": ""}, None),
        ("'${V:-7}'", {"V": ""}, 7),
        ("'${V:-7}'", {"V": "8"}, 8),
        ("'${V:?no}'", {"V": "8"}, 8),
        ("'a${V}b'", {"V": "5"}, "a5b"),
        ("'${V}${V}'", {"V": "5"}, "55"),
        ("'$${V}'", {}, "${V}"),
        ("'$$'", {}, "$"),
        ("'costs 5$, or $V'", {"V": "x"}, "costs 5$, or $V"),
        ("'$$$${V}$${V}'", {"V": "x"}, "$${V}${V}"),
        ("['${V}', {y: '${V}'}]", {"V": "5"}, [5, {"y": 5}]),
    ],
)
def test_variables(text: str, env: dict[str, str], value: Any) -> None:
    """A value that is one reference is typed as YAML would; in other text it is text."""
    assert variable(text, **env) == value
    assert type(variable(text, **env)) is type(value)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell has exported."""
    monkeypatch.setenv("PLUMBER_TEST_VARIABLE", "5")
    text = "nodes:\n  a: {args: {x: '${PLUMBER_TEST_VARIABLE}'}}\n"
    assert load(text).nodes["a"].args == {"x": 5}


def test_variables_stand_only_in_values() -> None:
    """Not in keys, names, steps or edges; in args, properties, defaults and runtime they do."""
    spec = load(
        "name: '${V}'\n"
        "nodes:\n  '${V}':\n    func: '${V}'\n    args: {'${V}': '${V}'}\n"
        "    properties: {concurrency: '${N}'}\n"
        "graph: {'${V}': ['${V}']}\n"
        "defaults: {buffer_size: '${N}'}\nruntime: {shutdown_timeout: '${N}s'}\n"
        "dead_letter: {func: '${V}', args: {n: '${N}'}}\n",
        env={"V": "v", "N": "3"},
    )
    node = spec.nodes["${V}"]
    assert (spec.name, node.func, node.args) == ("${V}", "${V}", {"${V}": "v"})
    assert (node.properties.concurrency, spec.defaults.buffer_size) == (3, 3)
    assert spec.runtime.shutdown_timeout == 3.0
    assert spec.dead_letter is not None
    assert (spec.dead_letter.func, spec.dead_letter.args) == ("${V}", {"n": 3})


def test_all_unset_variables_at_once() -> None:
    """Each at its place, and nothing else is said of the values that are missing."""
    found = faults(
        "nodes:\n"
        "  a:\n"
        "    args: {x: '${A}', y: ['${B:?ask Bob}']}\n"
        "    properties: {concurrency: '${C}', retry: {on: ['${D}']}}\n"
        "defaults: {timeout: '${E}s'}\n"
        "runtime: {max_failures: '${F:?}'}\n"
    )
    assert [(each.code, each.line, each.column) for each in found] == [
        ("unset-variable", 3, 15),
        ("unset-variable", 3, 27),
        ("unset-variable", 4, 31),
        ("unset-variable", 4, 52),
        ("unset-variable", 5, 21),
        ("unset-variable", 6, 25),
    ]
    assert "the variable A is not set" in found[0].message
    assert found[0].hint == "Set it, or write ${A:default}."
    assert "B: ask Bob." in found[1].message
    assert "F: not set." in found[5].message


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A B}", "${A", "${A:${B}}", "${A-b}"])
def test_what_is_no_variable(text: str) -> None:
    """A dollar that means itself is written twice."""
    problem = fault(f"nodes:\n  a: {{args: {{x: 'p{text}'}}}}\n", env={"A": "1", "B": "2"})
    assert (problem.code, problem.line, problem.column) == ("bad-variable", 2, 17)
    assert "$$" in problem.hint


# --- overrides ----------------------------------------------------------------------------------

TWO_NODES = (
    "nodes:\n  a.b: {func: m:f, args: {l: [1, {k: 2}]}}\n  a: {func: m:g}\ngraph: {a: [a.b]}\n"
)


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("nodes.a.properties.concurrency=4", lambda s: s.nodes["a"].properties.concurrency, 4),
        ("nodes.a.b.properties.timeout=5s", lambda s: s.nodes["a.b"].properties.timeout, 5.0),
        ('nodes."a.b".args.x=yes', lambda s: s.nodes["a.b"].args["x"], "yes"),
        ("nodes.a.args.x=", lambda s: s.nodes["a"].args["x"], None),
        ("nodes.a.args.x=a=b: c", lambda s: s.nodes["a"].args["x"], "a=b: c"),
        ("nodes.a.args.x=*.txt", lambda s: s.nodes["a"].args["x"], "*.txt"),
        ("nodes.a.args.x=[1, {a: b}]", lambda s: s.nodes["a"].args["x"], [1, {"a": "b"}]),
        ('nodes.a.args.x="5"', lambda s: s.nodes["a"].args["x"], "5"),
        ("nodes.a.args.x=${V}", lambda s: s.nodes["a"].args["x"], "${V}"),
        ("nodes.a.args.x.y.z=1", lambda s: s.nodes["a"].args["x"], {"y": {"z": 1}}),
        ('nodes.a.args."k.=k"=1', lambda s: s.nodes["a"].args, {"k.=k": 1}),
        ("nodes.a.b.args.l.1.k=3", lambda s: s.nodes["a.b"].args["l"], [1, {"k": 3}]),
        ("nodes.a.args.n=" + "9" * 5_000, lambda s: len(s.nodes["a"].args["n"]), 5_000),
        ("nodes.a.func=m:h", lambda s: s.nodes["a"].func, "m:h"),
        ("defaults.buffer_size=7", lambda s: s.defaults.buffer_size, 7),
        ("runtime.max_failures=5%", lambda s: s.runtime.max_failures, 0.05),
        ("name=x", lambda s: s.name, "x"),
        ("graph.a=null", lambda s: s.edges, ()),
    ],
)
def test_an_override(override: str, get: Any, value: Any) -> None:
    """It sets what is there, and makes what the schema allows to be there."""
    assert get(load(TWO_NODES, overrides=[override], env={})) == value


def test_the_last_override_wins() -> None:
    """As on every command line."""
    spec = load(TWO_NODES, overrides=["name=x", "name=y"])
    assert spec.name == "y"


def test_an_override_takes_the_place_of_a_variable() -> None:
    """What is set from outside need not be set in the environment."""
    text = "nodes:\n  a: {args: {x: '${UNSET}', y: ['${UNSET}']}}\n"
    spec = load(text, overrides=["nodes.a.args.x=1", "nodes.a.args.y=2"], env={})
    assert spec.nodes["a"].args == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("override", "code", "message", "hint"),
    [
        ("nodes.c.args.x=1", "unknown-path", "no node is named 'c'.", "Known: a, a.b."),
        ("nodez.a.args.x=1", "unknown-path", "a graph has no 'nodez'.", "Did you mean 'nodes'?"),
        ("nodes.a.func.x=1", "unknown-path", "'m:g' has no part 'x'.", "Check the path."),
        (
            "nodes.a.b.args.l.7=1",
            "unknown-path",
            "[1, {'k': 2}] has no part '7'.",
            "Check the path.",
        ),
        ("nodes.a.args.x=[1", "bad-override", "this is no YAML: ", ""),
        ("nodes.a", "bad-override", "this is no path=value.", "Write it like"),
        ("=4", "bad-override", "this is no path=value.", "Write it like"),
        ("nodes..x=4", "bad-override", "this is no path=value.", "Write it like"),
    ],
)
def test_an_override_that_leads_nowhere(override: str, code: str, message: str, hint: str) -> None:
    """It is named with what the user wrote, and has no place in the file."""
    problem = fault(TWO_NODES, overrides=[override])
    assert (problem.code, problem.line) == (code, None)
    assert problem.message.startswith(f"--set {override}: {message}")
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    ("override", "code", "hint"),
    [
        ("nodes.a.propertis.x=4", "unknown-key", "Did you mean 'properties'?"),
        ("nodes.a.properties.concurency=4", "unknown-key", "Did you mean 'concurrency'?"),
        ("nodes.a.properties.retry.atempts=4", "unknown-key", "Did you mean 'attempts'?"),
        ("defaults.executor=tread", "unknown-value", "Did you mean 'thread'?"),
        ("graph.a.0.to=3", "unknown-path", "Check the path."),
        ("graph.a.0=3", "wrong-type", "Write a mapping, such as {key: value}."),
    ],
)
def test_an_override_that_the_schema_refuses(override: str, code: str, hint: str) -> None:
    """It is not shown in the file, where the old value stands."""
    problem = fault(TWO_NODES, overrides=[override])
    assert (problem.code, problem.line, problem.hint) == (code, None, hint)
    assert problem.message.startswith(f"--set {override}: ")


# --- graphs from a stranger ---------------------------------------------------------------------


def test_a_stranger_can_not_name_a_file(tmp_path: Path) -> None:
    """A string is always text."""
    file = tmp_path / "graph.yaml"
    file.write_text(MINIMAL)
    assert fault(str(file), trusted=False).code == "not-a-graph"


def test_a_stranger_can_not_read_the_environment() -> None:
    """A reference is text like any other."""
    text = "nodes:\n  a: {args: {x: '${SECRET}'}}\n"
    spec = load(text, env={"SECRET": "s"}, trusted=False)
    assert spec.nodes["a"].args == {"x": "${SECRET}"}


def test_a_stranger_can_use_no_alias() -> None:
    """Anchors without one do no harm."""
    assert load(f"x-a: &a 1\n{MINIMAL}", trusted=False).nodes
    assert fault(f"x-a: &a 1\nx-b: *a\n{MINIMAL}", trusted=False).code == "alias"


def test_a_stranger_has_no_objects() -> None:
    """A dict that came as JSON holds names only."""
    document = {"nodes": {"a": {"func": [1, 2]}}}
    assert load(document).nodes["a"].func == [1, 2]
    assert fault(document, trusted=False).code == "not-callable"
