"""Letters that go back to their node: real runs of real graphs, and files that lose nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.check import compile_graph
from pipelines.errors import GraphError, PipelinesError, StepError
from pipelines.plumber import Plumber
from pipelines.replay import Replay, Sent, source_of
from pipelines.replay.letterbox import Letterbox

#: What the steps refuse at the moment, and what they were called with.
BAD: set[Any] = set()
LATE: set[Any] = set()
SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the steps begin anew, in a folder of their own."""
    BAD.clear()
    LATE.clear()
    SEEN.clear()
    monkeypatch.chdir(tmp_path)


def numbers() -> Any:
    """Be a source."""
    return range(6)


def picky(item: Any) -> Any:
    """Fail on what is bad."""
    SEEN.append(item)
    if item in BAD:
        raise ValueError(f"bad: {item}")
    return item


def late(item: Any) -> Any:
    """Fail on what is bad further on."""
    if item in LATE:
        raise ValueError(f"late: {item}")
    return item


async def slow(item: Any) -> Any:
    """Do the same, asynchronously."""
    await asyncio.sleep(0)
    return picky(item)


def pair(left: Any, right: Any) -> Any:
    """Fail on a pair of which the first is bad."""
    SEEN.append((left, right))
    if left in BAD:
        raise ValueError(f"bad: {left}")
    return left + right


def pairs(rows: list[Any]) -> Any:
    """Fail on a batch that holds what is bad."""
    SEEN.append(rows)
    if any(row in BAD for row in rows):
        raise ValueError("bad")
    return len(rows)


async def seed(self: Any, q_elt: tuple[Any, ...]) -> Any:
    """Be a step of the seed's protocol."""
    SEEN.append(q_elt)
    if q_elt[0] in BAD:
        raise ValueError("bad")
    return q_elt[0]


def graph(**nodes: Any) -> dict[str, Any]:
    """Return numbers -> picky -> (what is given) -> save, a line."""
    document: dict[str, Any] = {
        "nodes": {
            "numbers": {"func": numbers},
            "picky": {"func": picky},
            **nodes,
            "save": {"func": "write_jsonl", "args": {"path": "out"}},
        },
        "defaults": {"on_error": "dead_letter"},
        "dead_letter": {"func": "write_jsonl", "args": {"path": "dead"}},
    }
    names = list(document["nodes"])
    document["graph"] = {a: [b] for a, b in pairwise(names)}
    return document


def run(document: dict[str, Any], *bad: Any) -> None:
    """Run a graph whose steps refuse some items, then let them refuse none."""
    BAD.update(bad)
    Plumber(document).run_sync()
    BAD.clear()
    SEEN.clear()


def replay(document: dict[str, Any], *nodes: str, force: bool = False) -> list[Sent]:
    """Send letters back."""
    return list(Replay(Letterbox("dead"), compile_graph(document), nodes, force).run())


def items(path: str) -> list[Any]:
    """Return what a file holds: items, or of letters node and item."""
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [(each["node"], each["item"]) if isinstance(each, dict) else each for each in found]


def test_letters_go_back_to_their_node_and_on_from_there() -> None:
    """What the first run wrote stays, what went wrong is added, and no letter is left."""
    document = graph()
    run(document, 1, 4)
    assert (items("dead"), items("out")) == ([("picky", 1), ("picky", 4)], [0, 2, 3, 5])
    (sent,) = replay(document)
    assert sent == Sent("picky", 2, 2, 2, 0, 0, 0, drained=False)
    assert (items("dead"), items("out")) == ([], [0, 2, 3, 5, 1, 4])
    assert SEEN == [1, 4]


def test_what_fails_again_stays_with_its_new_error() -> None:
    """It says which graph it is of, as the first letter did, so it can be sent again."""
    document = graph()
    run(document, 1, 4)
    before = [json.loads(line) for line in Path("dead").read_text().splitlines()]
    BAD.add(4)
    (sent,) = replay(document)
    assert (sent.went_through, sent.dead_again) == (1, 1)
    (letter,) = [json.loads(line) for line in Path("dead").read_text().splitlines()]
    assert letter["time"] > before[1]["time"]
    assert {**letter, "time": 0, "traceback": ""} == {**before[1], "time": 0, "traceback": ""}
    BAD.clear()
    replay(document)
    assert items("dead") == []


def test_what_fails_further_on_is_a_letter_of_that_node() -> None:
    """It is not sent in the same go: one replay sends each letter once."""
    document = graph(later={"func": late})
    LATE.add(1)
    run(document, 2, 1)
    Plumber(document).run_sync()
    LATE.add(2)
    assert items("dead") == [("picky", 1), ("picky", 2), ("later", 1)]
    first, second = replay(document)
    assert (first.node, first.went_through, first.dead_behind) == ("picky", 2, 2)
    assert (second.node, second.sent, second.dead_again) == ("later", 1, 1)
    assert sorted(items("dead")) == [("later", 1), ("later", 1), ("later", 2)]
    LATE.clear()
    assert [sent.went_through for sent in replay(document)] == [3]


def test_only_letters_of_the_wanted_nodes_are_sent() -> None:
    """The others stay where they are."""
    document = graph(later={"func": slow})
    run(document, 1)
    text = Path("dead").read_text()
    Path("dead").write_text(text.replace('"picky"', '"later"', 1) + text)
    (sent,) = replay(document, "later")
    assert sent.node == "later"
    assert items("dead") == [("picky", 1)]


def test_a_join_gets_its_rows() -> None:
    """Each part by its own edge, and its failure leaves the row a row."""
    document = graph()
    document["nodes"]["pair"] = {"func": pair}
    document["graph"] = {"numbers": ["picky", "pair"], "picky": ["pair"], "pair": ["save"]}
    document["nodes"]["picky"]["func"] = late
    run(document, 2)
    assert items("dead") == [("pair", [2, 2])]
    BAD.add(2)
    assert [each.dead_again for each in replay(document)] == [1]
    assert items("dead") == [("pair", [2, 2])]
    BAD.clear()
    SEEN.clear()
    replay(document)
    assert SEEN == [(2, 2)]
    assert items("out") == [0, 2, 6, 8, 10, 4]


def test_a_batch_comes_as_it_was() -> None:
    """The step is called with the list that it failed on, not with another one."""
    document = graph(sums={"func": pairs, "properties": {"batch": {"size": 4}}})
    run(document, 1)
    Path("dead").write_text(
        json.dumps({**json.loads(Path("dead").read_text()), "node": "sums", "item": [1, 7]}) + "\n"
    )
    replay(document)
    assert SEEN == [[1, 7]]
    assert items("dead") == []


def test_a_batch_of_rows_holds_tuples() -> None:
    """As they come from a join."""
    document = graph()
    document["nodes"]["pairs"] = {"func": pairs, "properties": {"batch": {"size": 4}}}
    document["graph"] = {"numbers": ["picky", "pairs"], "picky": ["pairs"], "pairs": ["save"]}
    run(document, (1, 1))
    assert items("dead") == [("pairs", [[0, 0], [1, 1], [2, 2], [3, 3]])]
    (sent,) = replay(document)
    assert SEEN == [[(0, 0), (1, 1), (2, 2), (3, 3)]]
    assert (sent.sent, sent.went_through) == (1, 1)


@pytest.mark.parametrize(
    "node",
    [
        {"func": slow, "properties": {"concurrency": 3}},
        {"func": slow, "properties": {"ordered": False, "rate_limit": "1000/s"}},
        {"func": picky, "properties": {"executor": "thread", "concurrency": 2}},
        {"func": picky, "properties": {"retry": {"attempts": 2, "backoff": 0}}},
    ],
)
def test_a_node_runs_as_it_does_in_its_graph(node: dict[str, Any]) -> None:
    """Whatever its properties."""
    document = graph()
    document["nodes"]["picky"] = node
    run(document, 0, 1, 2, 3)
    BAD.add(2)
    (sent,) = replay(document)
    assert (sent.sent, sent.went_through, sent.dead_again) == (4, 3, 1)
    assert items("dead") == [("picky", 2)]
    assert sorted(items("out")) == [0, 1, 3, 4, 5]


def test_the_seeds_protocol_gets_its_tuple() -> None:
    """One element for each inbound edge."""
    document = graph()
    document["nodes"]["picky"] = {"coro": seed}
    run(document, 1)
    replay(document)
    assert SEEN == [(1,)]


def test_a_merge_is_fed_like_any_other_node() -> None:
    """What else leads to it has nothing to give; that goes for one behind as well."""
    document = graph()
    document["nodes"]["merge"] = {"func": picky, "properties": {"aggregate_inputs": False}}
    document["graph"] = {"numbers": ["picky", "merge"], "picky": ["merge"], "merge": ["save"]}
    run(document, 1)
    assert items("dead") == [("picky", 1), ("merge", 1)]
    assert [sent.went_through for sent in replay(document)] == [1, 1]
    assert (items("dead"), items("out").count(1)) == ([], 2)


def test_a_join_behind_that_gets_but_one_of_its_inputs_is_refused() -> None:
    """Nothing is sent, and the join, the branch and what to do are named."""
    document = graph()
    document["nodes"]["pair"] = {"func": pair}
    document["graph"] = {"numbers": ["picky", "pair"], "picky": ["pair"], "pair": ["save"]}
    run(document, 1)
    with pytest.raises(GraphError) as caught:
        replay(document)
    (problem,) = caught.value.problems
    assert problem.code == "unfed-join"
    assert problem.message == (
        "node 'pair' joins 'numbers' and 'picky', but from 'numbers' nothing comes when letters "
        "are sent to 'picky'."
    )
    assert SEEN == []
    assert items("dead") == [("picky", 1)]


def test_a_whole_diamond_behind_a_node_is_fed() -> None:
    """All its branches come from there."""
    document = graph()
    document["nodes"] |= {"left": {"func": late}, "right": {"func": late}, "pair": {"func": pair}}
    document["graph"] = {
        "numbers": ["picky"],
        "picky": ["left", "right"],
        "left": ["pair"],
        "right": ["pair"],
        "pair": ["save"],
    }
    run(document, 3)
    replay(document)
    assert items("out")[-1] == 6


def test_letters_of_an_input_node_are_refused() -> None:
    """It takes no items."""
    document = graph()
    run(document, 1)
    Path("dead").write_text(Path("dead").read_text().replace('"picky"', '"numbers"', 1))
    with pytest.raises(GraphError, match=r"unfed-input.*'numbers' makes items and takes none"):
        replay(document)


def test_letters_of_a_graph_that_has_changed_are_refused() -> None:
    """Which, and both hashes, are named; `force` sends them all the same."""
    document = graph()
    run(document, 1, 2)
    old = compile_graph(document).spec
    document["nodes"]["picky"]["properties"] = {"retry": {"attempts": 2, "backoff": 0}}
    new = compile_graph(document).spec
    assert old is not None
    assert new is not None
    with pytest.raises(GraphError) as caught:
        replay(document)
    (problem,) = caught.value.problems
    assert (problem.code, problem.file, problem.line) == ("changed-graph", "dead", 1)
    assert problem.message == (
        f"2 letters are of node 'picky' in graph {old.fingerprint()}, but this graph is "
        f"{new.fingerprint()} now."
    )
    BAD.add(2)
    replay(document, force=True)
    assert json.loads(Path("dead").read_text())["graph"] == new.fingerprint()


def test_letters_of_an_unknown_node_are_refused() -> None:
    """So is the name of a node that nobody has."""
    document = graph()
    run(document, 1)
    text = Path("dead").read_text()
    Path("dead").write_text(text + text.replace('"picky"', '"pikcy"', 1))
    with pytest.raises(GraphError) as caught:
        replay(document, "saev", "picky", "pikcy")
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (2, "letters are of node 'pikcy', which the graph has none of."),
        (None, "no node is named 'saev'."),
    ]
    assert [problem.hint[:20] for problem in caught.value.problems] == [
        "Did you mean 'picky'",
        "Did you mean 'save'?",
    ]


def test_items_that_do_not_fit_their_node_are_refused() -> None:
    """Where the graph has changed, and `force` is meant to send them all the same."""
    document = graph(sums={"func": pairs, "properties": {"batch": {"size": 2}}})
    run(document, 1)
    Path("dead").write_text(Path("dead").read_text().replace('"picky"', '"sums"', 1))
    with pytest.raises(GraphError, match=r"dead:1 .*'sums' takes a batch, but the item is int"):
        replay(document, force=True)


def test_a_run_that_fails_keeps_all_letters_of_its_node_and_of_those_to_come() -> None:
    """Nothing is written; who sends them again may send some twice."""
    document = graph(later={"func": slow, "properties": {"on_error": "fail"}})
    run(document)
    letter = {"item": 1, "graph": compile_graph(document).spec.fingerprint(), "source": None}  # type: ignore[union-attr]
    lines = [json.dumps({**letter, "node": node}) for node in ("later", "picky", "save")]
    Path("dead").write_text("\n".join(lines))
    before = Path("dead").read_bytes()
    BAD.add(1)
    document["nodes"]["picky"]["func"] = picky
    with pytest.raises(StepError, match="node 'later' failed on item 1"):
        replay(document, "later", "save")
    assert Path("dead").read_bytes() == before
    assert sorted(os.listdir()) == ["dead", "out"]


def test_the_limit_of_failures_is_not_meant_for_letters() -> None:
    """They have failed before; that some do again is to be expected."""
    document = graph()
    document["runtime"] = {"max_failures": "50%"}
    run(document, 1, 2)
    BAD.update([1, 2])
    (sent,) = replay(document)
    assert sent.dead_again == 2


def test_a_letter_that_can_not_be_written_fails_the_run() -> None:
    """It is still in the file, as it was."""
    document = graph(later={"func": "builtins:chr"}, last={"func": ord_of_bytes})
    run(document, 1)
    before = Path("dead").read_bytes()
    document["nodes"]["later"]["func"] = to_bytes
    with pytest.raises(StepError, match=r"'last' failed and the dead letter of b'.*' could not be"):
        replay(document, force=True)
    assert Path("dead").read_bytes() == before


def to_bytes(number: int) -> bytes:
    """Make what JSON can't hold."""
    return bytes([number])


def ord_of_bytes(item: Any) -> Any:
    """Fail on that."""
    if isinstance(item, bytes):
        raise ValueError("no text")
    return item


def test_a_sink_is_told_to_append_though_its_graph_says_write() -> None:
    """A replay goes on with the run; it must not throw away what that has made."""
    document = graph()
    document["nodes"]["save"]["args"]["mode"] = "write"
    run(document, 1)
    replay(document)
    assert items("out") == [0, 2, 3, 4, 5, 1]


def stop_at_three(item: Any) -> Any:
    """Ask for a drain, as Ctrl-C does, on item 3."""
    SEEN.append(item)
    if item == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return item


async def slow_stop(item: Any) -> Any:
    """Do so asynchronously; the loop hears of it before the item is done."""
    stop_at_three(item)
    for _ in range(10):
        await asyncio.sleep(0)
    return item


@pytest.mark.parametrize("step", [stop_at_three, slow_stop])
@pytest.mark.parametrize("shape", ["item", "row"])
def test_a_drain_leaves_what_was_not_sent(step: Any, shape: str) -> None:
    """What was sent is finished and gone from the file; no letter is both, and none neither."""
    document = graph(later={"func": picky})
    document["nodes"]["picky"] = {"func": step, "properties": {"buffer_size": 2}}
    if shape == "row":
        document["nodes"]["both"] = {"func": first_of, "properties": {"buffer_size": 2}}
        document["graph"] = {"numbers": ["later", "both"], "later": ["both"], "both": ["picky"]}
        document["graph"]["picky"] = ["save"]
    node = "both" if shape == "row" else "picky"
    spec = compile_graph(document).spec
    assert spec is not None
    letter = {"node": node, "graph": spec.fingerprint()}
    count = 20_000
    with Path("dead").open("w") as file:
        for number in range(count):
            item = [number, number] if shape == "row" else number
            file.write(json.dumps({**letter, "item": item}) + "\n")
        file.write(json.dumps({**letter, "node": "save", "item": -1}) + "\n")
    (sent,) = replay(document)
    assert sent.drained
    assert 4 <= sent.sent < count
    assert items("out") == list(range(sent.sent))
    left = items("dead")
    assert len(left) == count - sent.sent + 1
    assert left[0] == (node, [sent.sent] * 2 if shape == "row" else sent.sent)
    assert left[-1] == ("save", -1)


def first_of(left: Any, right: Any) -> Any:
    """Pass on the first of two that are equal."""
    assert left == right
    return left


def test_a_replay_may_run_outside_the_main_thread() -> None:
    """It hears no signals there, and does all else."""
    document = graph()
    run(document, 1)
    thread = threading.Thread(target=replay, args=(document,))
    thread.start()
    thread.join()
    assert items("dead") == []


def test_letters_name_the_file_of_their_graph(tmp_path: Path) -> None:
    """Those of one that is there, and only of one, need not be asked for it."""
    here = tmp_path / "graph.yaml"
    here.touch()

    def sources(*paths: object) -> str:
        letters = [{"node": "a", "item": 1, "graph": "g", "source": each} for each in paths]
        Path("dead").write_text("\n".join(map(json.dumps, letters)))
        return source_of(Letterbox("dead"), ["a"])

    assert sources(str(here), str(here)) == str(here)
    with pytest.raises(GraphError, match=r"dead:1  error.no-graph.*say no graph file. Say which"):
        sources(None)
    with pytest.raises(GraphError, match=r"nowhere is there no more. Say which graph with --graph"):
        sources("/nowhere")
    with pytest.raises(GraphError) as caught:
        sources(str(here), None, "/nowhere")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]


def test_a_reporter_that_is_given_is_told() -> None:
    """One for each part of the graph."""
    document = graph()
    run(document, 1)
    told: list[Any] = []

    class Reporter:
        interval = 1.0

        def start(self, snapshot: Any) -> None:
            """Be told of the start."""

        def update(self, snapshot: Any) -> None:
            """Be told of progress."""

        def finish(self, report: Any) -> None:
            told.append(list(report.nodes))

    replaying = Replay(Letterbox("dead"), compile_graph(document))
    list(replaying.run(lambda part: [Reporter()]))
    assert told == [["letters of picky", "picky", "save"]]


def test_a_file_that_is_replayed_already_is_refused() -> None:
    """Nothing is sent."""
    document = graph()
    run(document, 1)
    box = Letterbox("dead")
    with box.claimed(), pytest.raises(PipelinesError, match="being replayed already"):
        replay(document)
    assert SEEN == []
