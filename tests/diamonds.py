"""One diamond, said in every way there is: numbers -> left, right -> pair -> keep.

Each spelling takes the same: what `left` calls, the items, the properties of `left`, and the file
for dead letters, if any. It runs, and returns the rows that came out.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from running import really_ended

from pipelines import Plumber, load
from pipelines.frontends import decorators, pipelang, threads
from pipelines.frontends.chain import PipelineBuilder, PythonStep, Source
from pipelines.frontends.generators import as_node, as_step, combine_pipeline

Properties = Mapping[str, Any]
Row = tuple[Any, Any]
Letters = Path | None
Spelling = Callable[[str, list[int], Properties, Letters], list[Row]]

FILE = Path(__file__)

#: The item that `picky` refuses.
REFUSED = 13

# What a run is about; the functions below must be found by name, so they can't be closures.
items: list[int] = []
kept: list[Any] = []
calls: Counter[int] = Counter()


def numbers() -> list[int]:
    """Be the source."""
    return list(items)


def left(number: int) -> int:
    """Be one branch."""
    return number + 1


def right(number: int) -> int:
    """Be the other branch."""
    return number * 2


def pair(one: Any, other: Any) -> Row:
    """Be the join."""
    return one, other


def keep(row: Row) -> None:
    """Be the sink."""
    kept.append(row)


# What may stand in the place of `left`.


def flaky(number: int) -> int:
    """Fail twice for each number, then work."""
    calls[number] += 1
    if calls[number] < 3:
        raise OSError(f"call {calls[number]} for {number}")
    return left(number)


def picky(number: int) -> int:
    """Refuse one number."""
    if number == REFUSED:
        raise ValueError(f"no {number}")
    return left(number)


def aside(number: int) -> bool:
    """Tell whether no event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


# The static spellings.


def document(name: str = "left", properties: Properties | None = None) -> dict[str, Any]:
    """Return the diamond as a dict, its steps named."""
    return {
        "nodes": {
            "numbers": {"func": "diamonds:numbers"},
            "left": {"func": f"diamonds:{name}", "properties": dict(properties or {})},
            "right": {"func": "diamonds:right"},
            "pair": {"func": "diamonds:pair"},
            "keep": {"func": "diamonds:keep"},
        },
        "graph": {
            "numbers": ["left", "right"],
            "left": ["pair"],
            "right": ["pair"],
            "pair": ["keep"],
        },
    }


def yaml_text(name: str = "left", properties: Properties | None = None) -> str:
    """Return the diamond as somebody would write it in YAML."""
    return f"""\
nodes:
  numbers: {{func: "diamonds:numbers"}}
  left: {{func: "diamonds:{name}", properties: {json.dumps(dict(properties or {}))}}}
  right: {{func: "diamonds:right"}}
  pair: {{func: "diamonds:pair"}}
  keep: {{func: "diamonds:keep"}}
graph: {{numbers: [left, right], left: [pair], right: [pair], pair: [keep]}}
"""


def chain(name: str = "left", properties: Properties | None = None, **options: Any) -> Any:
    """Return the diamond as a chain."""
    first = Source("diamonds:numbers")
    branches = [
        PythonStep(f"diamonds:{name}", name="left", **(properties or {})),
        PythonStep("diamonds:right"),
    ]
    last = first >> branches >> PythonStep("diamonds:pair") >> PythonStep("diamonds:keep")
    return PipelineBuilder(last, **options)


def program(name: str = "left", properties: Properties | None = None, top: str = "") -> str:
    """Return the diamond in the pipe language."""
    said = " ".join(map(_option, (properties or {}).items()))
    return f"""\
!executor inline
!ordered true
{top}
import python (numbers, {name} as left {said}, right, pair, keep) '{FILE}'

for number in numbers():
    one = left(number)
    other = right(number)
    keep(pair(one, other))
"""


def _option(said: tuple[str, Any]) -> str:
    key, value = said
    if key == "retry":
        return f"!retries {value['attempts'] - 1} !backoff {value['backoff']}"
    if key == "join":
        return f"!on_missing {value['on_missing']}"
    return f"!{key} {str(value).lower() if isinstance(value, bool) else value}"


def threaded(name: str = "left", properties: Properties | None = None, **options: Any) -> Any:
    """Return the line that does what the diamond does, in threads."""
    steps = [
        threads.Step(carry, 1, {"by": name}, name="left", **(properties or {})),
        (finish, 1),
        (keep, 1),
    ]
    line = threads.Pipeline(steps, **options)
    line.put_iterable(numbers)
    return line


def carry(number: int, by: str) -> Row:
    """Call the left branch, and keep its number for the right one: a line can't fork."""
    return number, globals()[by](number)


def finish(carried: Row) -> Row:
    """Call the right branch."""
    number, one = carried
    return one, right(number)


# All spellings, run.


def _begin(of: list[int]) -> None:
    items[:] = of
    kept.clear()
    calls.clear()


def _letters(path: Letters) -> dict[str, Any]:
    """Return what says where dead letters go, in the words of a document."""
    return {"dead_letter": {"func": "write_jsonl", "args": {"path": str(path)}}} if path else {}


def run_graph(graph: Any, of: list[int]) -> list[Any]:
    """Run any graph of these steps, and return what it keeps."""
    _begin(of)
    assert really_ended(Plumber(graph).run()).ok
    return list(kept)


def as_dict(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it as a dict."""
    graph = document(name, properties) | _letters(letters)
    return run_graph(graph, of)


def as_yaml(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it in YAML."""
    said = "".join(f"{key}: {json.dumps(value)}\n" for key, value in _letters(letters).items())
    return run_graph(load(yaml_text(name, properties) + said), of)


def as_chain(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it as a chain."""
    _begin(of)
    chain(name, properties, **_letters(letters)).execute()
    return list(kept)


def as_decorators(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it with decorators, where pairs are keyed by hand."""
    _begin(of)
    call = globals()[name]

    @decorators.entry_point(**_letters(letters))
    async def start(p: decorators.APotato) -> None:
        for entry in enumerate(numbers()):
            await p([(one, [entry]), (other, [entry])])

    @decorators.step(page_size=1, **properties)
    async def one(p: decorators.APotato, page: list[tuple[int, int]]) -> None:
        await p(both, [(key, 0, call(number)) for key, number in page])

    @decorators.step
    async def other(p: decorators.APotato, page: list[tuple[int, int]]) -> None:
        await p(both, [(key, 1, right(number)) for key, number in page])

    rows: dict[int, dict[int, Any]] = {}

    @decorators.step
    async def both(p: decorators.APotato, page: list[tuple[int, int, Any]]) -> None:
        for key, side, value in page:
            row = rows.setdefault(key, {})
            row[side] = value
            if len(row) == 2:
                keep(pair(row[0], row[1]))

    assert really_ended(decorators.pipeline(start)).ok
    return list(kept)


def inner(name: str, properties: Properties, letters: Letters) -> Any:
    """Return the diamond without its ends, as a generator step."""
    graph = document(name, properties) | _letters(letters)
    graph["nodes"]["numbers"] = {}
    del graph["nodes"]["keep"], graph["graph"]["pair"]
    return as_step(graph)


def as_generators(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it as a generator step, among others."""
    _begin(of)
    return list(combine_pipeline(numbers(), [iter, inner(name, properties, letters)]))


def as_generator_node(
    name: str, of: list[int], properties: Properties, letters: Letters
) -> list[Row]:
    """Say it as a node that is a generator step."""
    graph = {
        "nodes": {
            "numbers": {"func": numbers},
            "diamond": as_node(inner(name, properties, letters)),
            "keep": {"func": keep},
        },
        "graph": {"numbers": ["diamond"], "diamond": ["keep"]},
    }
    return run_graph(graph, of)


def as_line(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it as a line of threads."""
    _begin(of)
    assert threaded(name, properties, **_letters(letters)).run().ok
    return list(kept)


def in_line(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it as one step of a line of threads, which is a generator step."""
    _begin(of)
    whole = threads.iterstep(inner(name, properties, letters))
    line = threads.Pipeline([(whole, 1), (keep, 1)])
    line.put_iterable(numbers)
    assert line.run().ok
    return list(kept)


def as_pipe(name: str, of: list[int], properties: Properties, letters: Letters) -> list[Row]:
    """Say it in the pipe language."""
    top = f"!dead_letter '{letters}'" if letters else ""
    return run_graph(pipelang.load(program(name, properties, top)), of)


SPELLINGS: dict[str, Spelling] = {
    "dict": as_dict,
    "yaml": as_yaml,
    "chain": as_chain,
    "decorators": as_decorators,
    "generators": as_generators,
    "generator-node": as_generator_node,
    "threads": as_line,
    "threads-around": in_line,
    "pipelang": as_pipe,
}

#: What `plumber convert` is told, as ``diamonds:name``.
DOCUMENT, CHAIN, LINE = document(), chain(), threaded()
