"""The graph as data: documents become specs and specs the same documents."""

from __future__ import annotations

import os.path
import pickle
from typing import Any

import pytest
import sample_steps as steps
from hypothesis import given
from hypothesis import strategies as st

from pipelines.load import load
from pipelines.spec import (
    DEFAULTS,
    Batch,
    EdgeSpec,
    GraphSpec,
    Join,
    NodeSpec,
    Properties,
    Rate,
    Retry,
    Runtime,
    format_duration,
    parse_duration,
    parse_rate,
    parse_share,
)

# PyYAML writes NEL (U+0085) in a way that it can't read back itself.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), max_size=8)
NAMES = TEXT.filter(bool)
TRICKY = ["08", "1e5", "+1e3", "0o17", "1:30", "on", "~", "0x1f", ".5", "<<", "-", "?"]
TRICKY += ["${V}", "$$", "5$", "!x", "&x", "*x", "@x"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.sampled_from(TRICKY)
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=6
)
# Durations to the millisecond, as people write them.
SECONDS = st.integers(1, 10**10).map(lambda n: n / 1000)
COUNTS = st.integers(1, 10**6)


def maybe(values: Any) -> Any:
    """Return a strategy of these values, or of none."""
    return st.none() | values


PROPERTIES = st.builds(
    Properties,
    aggregate_inputs=maybe(st.booleans()),
    concurrency=maybe(COUNTS),
    ordered=maybe(st.booleans()),
    buffer_size=maybe(COUNTS),
    executor=maybe(st.sampled_from(["inline", "thread", "process"])),
    timeout=maybe(SECONDS),
    retry=maybe(
        st.builds(
            Retry,
            attempts=COUNTS,
            backoff=SECONDS | st.just(0.0),
            max_backoff=SECONDS,
            jitter=st.booleans(),
            on=st.lists(st.sampled_from(["OSError", "my.errors:Busy"])).map(tuple),
        )
    ),
    on_error=maybe(st.sampled_from(["fail", "skip", "dead_letter"])),
    batch=maybe(st.builds(Batch, COUNTS, maybe(SECONDS))),
    rate_limit=maybe(st.builds(Rate, COUNTS.map(float), SECONDS)),
    join=maybe(st.builds(Join, maybe(st.sampled_from(["drop", "none", "fail"])))),
    waiting_limit=maybe(COUNTS),
)
RUNTIMES = st.builds(
    Runtime,
    SECONDS | st.just(0.0),
    maybe(st.integers(0, 10**6) | st.integers(1, 99).map(lambda n: n / 100)),
)


@st.composite
def specs(draw: st.DrawFn) -> GraphSpec:
    """Draw a whole graph, whose edges may be as they like."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    nodes = {name: draw(nodes_named(name)) for name in names}
    links = [(a, b) for a in names for b in names if draw(st.booleans())]
    full = st.sampled_from(["block", "drop_newest", "drop_oldest"])
    edges = tuple(EdgeSpec(a, b, draw(maybe(COUNTS)), draw(full)) for a, b in links)
    dead = NodeSpec("dead_letter", func="m:f", args=draw(st.dictionaries(TEXT, PLAIN, max_size=2)))
    return GraphSpec(
        nodes,
        edges,
        draw(maybe(NAMES)),
        draw(PROPERTIES),
        draw(maybe(st.just(dead))),
        draw(RUNTIMES),
    )


def nodes_named(name: str) -> Any:
    """Return a strategy of nodes of one name."""
    args = st.dictionaries(TEXT, PLAIN, max_size=3)
    step = st.sampled_from([{}, {"coro": "m:f"}, {"func": "len"}])
    return st.builds(
        lambda step, args, properties: NodeSpec(name, **step, args=args, properties=properties),
        step,
        args,
        PROPERTIES,
    )


@given(specs())
def test_a_spec_goes_to_a_dict_and_back(spec: GraphSpec) -> None:
    """Nothing is lost, and the schema takes what comes out."""
    assert GraphSpec.from_dict(spec.to_dict()) == spec
    assert load(spec.to_dict()) == spec


@given(specs())
def test_a_spec_goes_to_yaml_and_back(spec: GraphSpec) -> None:
    """Also text that looks like a number, or like a variable."""
    assert load(f"{spec.to_yaml()}\n", env={}) == spec


@given(specs())
def test_plain_data_stays_as_it_is(spec: GraphSpec) -> None:
    """Names are their own names."""
    assert spec.to_plain() == spec.to_dict()
    assert spec.fingerprint() == GraphSpec.from_dict(spec.to_dict()).fingerprint()


@given(PROPERTIES, PROPERTIES, PROPERTIES)
def test_properties_over_properties(a: Properties, b: Properties, c: Properties) -> None:
    """What is said above wins; how they are grouped makes no difference."""
    for name in Properties.__dataclass_fields__:
        mine = getattr(a, name)
        assert getattr(a.over(b), name) == (getattr(b, name) if mine is None else mine)
    assert a.over(b).over(c) == a.over(b.over(c))
    assert Properties().over(a) == a.over(Properties()) == a


def test_properties_of_a_node() -> None:
    """Its own, over the graph's, over the general ones."""
    own, shared = Properties(concurrency=2), Properties(concurrency=3, buffer_size=4)
    spec = GraphSpec({"a": NodeSpec("a", properties=own)}, defaults=shared)
    assert spec.properties("a") == own.over(shared).over(DEFAULTS)
    assert spec.properties("a").executor == "inline"


@given(SECONDS)
def test_durations(seconds: float) -> None:
    """What is written can be read."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-12)
    assert parse_duration(seconds) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("1.5m", 90), (" 1 h ", 3600), ("0s", 0), (3, 3), (0.5, 0.5)],
)
def test_a_duration(text: Any, seconds: float) -> None:
    """Text with a unit, or seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1d", "1 s s", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    """The message says what would be one."""
    with pytest.raises(ValueError, match="is no duration; write 500ms, 10s, 5m or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("20/s", Rate(20, 1)), ("100 / m", Rate(100, 60)), ("1.5/10s", Rate(1.5, 10))],
)
def test_a_rate(text: str, rate: Rate) -> None:
    """A count in a time; it writes itself as it was."""
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "20", "0/s", "5/0s", "/s", "-1/s", 20])
def test_what_is_no_rate(text: Any) -> None:
    """The message says what would be one."""
    with pytest.raises(ValueError, match="is no rate; write 20/s or 100/m"):
        parse_rate(text)


def test_shares() -> None:
    """A count stays a count; a share becomes a fraction."""
    assert (parse_share(5), parse_share("5%"), parse_share("0.5 %")) == (5, 0.05, 0.005)
    for text in ("5", "101%", "-1%", ""):
        with pytest.raises(ValueError, match="neither a count nor a share"):
            parse_share(text)


def test_edges_in_every_form() -> None:
    """None, one name, one mapping, and lists or tuples of both."""
    edge = {"to": "b", "buffer_size": 3, "when_full": "drop_newest"}
    wanted = EdgeSpec("a", "b", 3, "drop_newest")
    for targets, edges in (
        (None, ()),
        ("b", (EdgeSpec("a", "b"),)),
        (edge, (wanted,)),
        (["b", "c"], (EdgeSpec("a", "b"), EdgeSpec("a", "c"))),
        (("c", edge), (EdgeSpec("a", "c"), wanted)),
    ):
        document = {"nodes": {"a": {}, "b": {}, "c": None}, "graph": {"a": targets}}
        assert GraphSpec.from_dict(document).edges == edges


def test_inbound_and_outbound_edges() -> None:
    """In the document's order."""
    spec = GraphSpec.from_dict(
        {"nodes": dict.fromkeys("abc"), "graph": {"b": ["c"], "a": ["c", "b"]}}
    )
    assert spec.inbound("c") == (EdgeSpec("b", "c"), EdgeSpec("a", "c"))
    assert spec.outbound("a") == (EdgeSpec("a", "c"), EdgeSpec("a", "b"))


def test_callables_become_names() -> None:
    """Those that can be imported; for any other the node is named."""
    spec = load(
        {
            "nodes": {"a": {"coro": steps.Seed.reverse}, "b": {"func": os.path.join}},
            "dead_letter": {"func": steps.write_letter},
        }
    )
    plain = spec.to_plain()
    assert plain["nodes"]["a"] == {"coro": "sample_steps:Seed.reverse"}
    assert plain["nodes"]["b"] == {"func": "posixpath:join"}
    assert plain["dead_letter"] == {"func": "sample_steps:write_letter"}
    assert spec.to_dict()["nodes"]["b"] == {"func": os.path.join}
    for target in (lambda item: item, steps.local, range(3)):
        with pytest.raises(ValueError, match=r"node 'n': .* has no importable name"):
            GraphSpec({"n": NodeSpec("n", func=target)}).to_plain()


def test_a_fingerprint_tells_graphs_apart() -> None:
    """It is the same wherever and whenever a graph is written down, also with objects in it."""
    document = {"nodes": {"a": {"func": steps.inc, "args": {"x": steps.Store, "y": {1: 2}}}}}
    spec = load(document)
    assert spec.fingerprint() == load(document).fingerprint()
    assert len(spec.fingerprint()) == 16
    assert spec.fingerprint() != load({"nodes": {"a": {"func": steps.inc}}}).fingerprint()


def test_where_it_was_read_makes_no_difference() -> None:
    """Two specs are equal if they ask for the same."""
    assert load("nodes: {a: }\n") == load("\n\nnodes:\n  a:\n") == GraphSpec({"a": NodeSpec("a")})


def test_a_spec_can_be_sent_to_another_process() -> None:
    """With its places."""
    spec = load("nodes:\n  a: {func: m:f, args: {x: [1]}}\n")
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert copy.locations["nodes", "a", "args", "x", 0] == (2, 29)


def test_mermaid() -> None:
    """Input nodes are drawn round; names are text whatever is in them."""
    spec = GraphSpec.from_dict(
        {"nodes": {"in <1>": {}, 'say "hi" & go': {}}, "graph": {"in <1>": ['say "hi" & go']}}
    )
    assert spec.to_mermaid() == (
        "flowchart LR\n"
        '    n0(["in &lt;1>"])\n'
        '    n1["say &quot;hi&quot; &amp; go"]\n'
        "    n0 --> n1\n"
    )
