"""Cached steps: what is computed once, what is computed again, and what becomes of bad entries."""

from __future__ import annotations

import asyncio
import functools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FunctionType
from typing import Any

import chain_steps
import pytest
from chain_steps import pair, remember, remember_later
from hypothesis import given
from hypothesis import strategies as st

from pipelines import SKIP, Later, StepError
from pipelines.frontends.chain import PipelineBuilder, PythonStep, Source, Step
from pipelines.frontends.chain.cache import Memo
from pipelines.frontends.chain.identity import code_of, key_of
from pipelines.frontends.chain.store import MEMORY, Folder, Memory


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begin with no calls, and nothing in memory."""
    chain_steps.calls.clear()
    MEMORY.clear()
    yield
    MEMORY.clear()


@pytest.fixture(params=["memory", "folder"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return what a step's `cache` says, for each kind."""
    return True if request.param == "memory" else tmp_path / "cache"


def run(items: list[Any], func: Callable[..., Any], **options: Any) -> list[Any]:
    """Return what a step gives for some items."""
    results: list[Any] = PipelineBuilder(Source(items), PythonStep(func, **options)).execute()[1]
    return results


@pytest.mark.parametrize("func", [remember, remember_later])
def test_what_was_computed_is_not_computed_again(cache: Any, func: Callable[..., Any]) -> None:
    """In the same run and in the next one, for a plain step and an async one."""
    assert run([1, 2, 1], func, cache=cache) == [1, 2, 1]
    assert run([2, 1, 3], func, cache=cache) == [2, 1, 3]
    assert sorted(chain_steps.calls) == [1, 2, 3]


def test_a_first_step_is_cached_too(cache: Any) -> None:
    """It has no input, only its arguments."""
    for value in (1, 1, 2):
        step = PythonStep(remember, args={"value": value}, cache=cache)
        assert PipelineBuilder(step).execute() == [value]
    assert chain_steps.calls == [1, 2]


def test_a_class_is_cached_by_its_arguments(cache: Any) -> None:
    """Steps of one class with other arguments know nothing of each other."""

    def run_all() -> list[Any]:
        steps = [Counted(factor, cache=cache) for factor in (2, 3)]
        return PipelineBuilder(Source([1]) >> steps >> PythonStep(pair)).execute()

    assert run_all() == run_all() == [[(2, 3)]]
    assert sorted(chain_steps.calls) == [(2, 1), (3, 1)]


class Counted(Step):
    """Multiply, and note the call."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def run(self, value: int) -> int:
        """Multiply."""
        chain_steps.calls.append((self.factor, value))
        return self.factor * value


def test_a_merge_is_cached_by_all_its_inputs(cache: Any) -> None:
    """In their order."""

    def joined(*values: Any) -> Any:
        chain_steps.calls.append(values)
        return values

    for one, other in ((1, 2), (2, 1), (1, 2)):
        inputs = [Source([one]), Source([other])]
        last = inputs >> PythonStep(joined, cache=cache)
        assert PipelineBuilder(last).execute() == [[(one, other)]]
    assert chain_steps.calls == [(1, 2), (2, 1)]


def test_a_folder_survives_the_process(tmp_path: Path) -> None:
    """A later process finds it, also the results for sets and other things without an order."""
    code = (
        "import chain_steps as c; from pipelines.frontends.chain import *;"
        "b = PipelineBuilder(Source([{'a', 'b', ('c', 1.5)}]), "
        f"PythonStep(c.remember, cache={str(tmp_path)!r}));"
        "print(sorted(map(str, b.execute()[1][0])), len(c.calls))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    ]
    assert printed == [f"""["('c', 1.5)", 'a', 'b'] {calls}\n""" for calls in (1, 0)]


def made(source: str, **names: Any) -> Any:
    """Return the function `f` of a module made of some source text."""
    space: dict[str, Any] = {"__name__": "made", **names}
    exec(source, space)
    return space["f"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 2"),
        ("def f(x): return abs(x)", "def f(x): return hex(x)"),
        ("def f(x, y=1): return y", "def f(x, y=2): return y"),
        ("def f(x, *, y=1): return y", "def f(x, *, y=2): return y"),
        ("def g(): return 1\ndef f(x): return g()", "def g(): return 2\ndef f(x): return g()"),
        ("def f(x): return (lambda: 1)()", "def f(x): return (lambda: 2)()"),
        ("def h(n):\n def g(x): return n\n return g\nf = h(1)",) * 2,
        ("class f:\n def __call__(s, x): return 1", "class f:\n def __call__(s, x): return 2"),
        (
            "class f:\n n = 1\n def __call__(s, x): pass",
            "class f:\n n = 2\n def __call__(s, x): pass",
        ),
        (
            "class b:\n @property\n def p(s): return 1\nclass f(b):\n def __call__(s, x): pass",
            "class b:\n @property\n def p(s): return 2\nclass f(b):\n def __call__(s, x): pass",
        ),
        ("async def f(x): return 1", "async def f(x): return 2"),
    ],
)
def test_changed_code_misses(before: str, after: str) -> None:
    """That of the step, its defaults and closure, and of what it names in its own module."""
    if before == after:
        after = after.replace("h(1)", "h(2)")
    keys = [key_of(code_of(made(text)), {}, (1,)) for text in (before, after, before)]
    assert keys[0] == keys[2] != keys[1]


def test_code_that_only_moved_hits() -> None:
    """Comments and line numbers are not the code, and functions may name each other."""
    source = "def g(): return f\ndef f(x): return g()"
    moved = f"# comment\n\n{source.replace('return f', 'return f  # more')}"
    assert code_of(made(source)) == code_of(made(moved))


def test_what_wraps_a_function_counts_with_it() -> None:
    """A partial's arguments, a method's object, and what `functools` or a decorator wraps."""
    state = Counted(1)
    assert key_of(code_of(functools.partial(pow, 2)), {}, ()) != key_of(
        code_of(functools.partial(pow, 3)), {}, ()
    )
    assert key_of(code_of(Holder(1).get), {}, ()) != key_of(code_of(Holder(2).get), {}, ())
    assert key_of(code_of(Holder(1)), {}, ()) != key_of(code_of(Holder(2)), {}, ())
    assert isinstance(remember, FunctionType)
    assert code_of(functools.cache(remember)) == code_of(remember)
    assert code_of(type(state)) == code_of(Counted)
    assert code_of(len) != code_of(abs)


class Holder:
    """Hold a value."""

    def __init__(self, value: int) -> None:
        self.value = value

    def get(self, _: Any = None) -> int:
        """Give it."""
        return self.value

    __call__ = get


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(values, values)
def test_keys_are_equal_where_values_are(one: Any, other: Any) -> None:
    """Equal values of equal types share a key, and only they do."""
    same = repr(one) == repr(other)
    assert (key_of([], {}, (one,)) == key_of([], {}, (other,))) == (same or _equal(one, other))
    assert key_of([], {}, (1,)) != key_of([], {}, (1.0,)) != key_of([], {}, (True,))


def _equal(one: Any, other: Any) -> bool:
    """Tell whether two values differ in the order of a mapping at most."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return repr(one) == repr(other)


def test_special_results_are_kept_as_they_are(cache: Any) -> None:
    """What was left out is left out again; `Later` is no result, and asks again."""

    def out(value: Any) -> Any:
        chain_steps.calls.append(value)
        return SKIP

    assert run([1, 1], out, cache=cache) == run([1], out, cache=cache) == []
    assert chain_steps.calls == [1]

    def poll(value: Any) -> Any:
        chain_steps.calls.append(value)
        return value if len(chain_steps.calls) > 3 else Later(0)

    assert run([9], poll, cache=cache, ordered=False) == [9]
    assert chain_steps.calls == [1, 9, 9, 9]


def test_a_failure_is_not_kept(cache: Any) -> None:
    """The next attempt, and the next run, compute it."""

    def flaky(value: int) -> int:
        chain_steps.calls.append(value)
        if len(chain_steps.calls) == 1:
            raise OSError("busy")
        return value

    retry = {"attempts": 2, "backoff": "1ms"}
    assert run([1, 1], flaky, cache=cache, retry=retry) == [1, 1]
    assert chain_steps.calls == [1, 1]


def test_a_hit_is_a_copy(cache: Any) -> None:
    """Who changes a result changes it for nobody else."""

    def spoil(values: list[int]) -> list[int]:
        values.append(0)
        return values

    for _ in range(2):
        first = PythonStep(chain_steps.pair, args={}, cache=cache)
        listed = PythonStep(list, cache=cache)
        assert PipelineBuilder(first, listed, PythonStep(spoil)).execute()[2] == [0]


async def test_one_key_is_computed_once_at_a_time(cache: Any) -> None:
    """Calls that come while it is computed wait for it; other keys don't."""
    under_way, most = 0, 0

    async def slow(value: int) -> int:
        nonlocal under_way, most
        chain_steps.calls.append(value)
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        return value

    step = PythonStep(slow, cache=cache, concurrency=8)
    builder = PipelineBuilder(Source([1, 2] * 8), step)
    assert (await builder.run())[1] == [1, 2] * 8
    assert sorted(chain_steps.calls) == [1, 2]


def test_threads_compute_one_key_once(cache: Any) -> None:
    """Those that come while it is computed wait for it, also at another node with that step."""
    begin = threading.Barrier(8)

    def slow(value: int) -> int:
        chain_steps.calls.append(value)
        threading.Event().wait(0.01)
        return value

    def recall(memo: Memo) -> Any:
        begin.wait(10)
        return memo.recall(lambda row: slow(*row), (7,))

    where = True if cache is True else str(cache)
    memos = [Memo(where, slow, {}) for _ in range(2)]  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recall, memos * 4)) == [7] * 8
    assert chain_steps.calls == [7]


def test_threads_do_not_wait_for_other_keys(cache: Any) -> None:
    """Two nodes are under way at the same time where their inputs differ."""
    together = threading.Barrier(2)

    def meet(value: int) -> int:
        together.wait(10)
        return value

    options: dict[str, Any] = {"cache": cache, "executor": "thread"}
    branches = [Source([n], name=f"n{n}") >> PythonStep(meet, **options) for n in (1, 2)]
    assert PipelineBuilder(branches >> PythonStep(pair)).execute() == [[(1, 2)]]


def test_worker_processes_share_a_folder(tmp_path: Path) -> None:
    """Each key is computed by one of them; the notes of who did it say so."""
    step = PythonStep(
        note_process,
        args={"folder": str(tmp_path / "notes")},
        cache=tmp_path / "cache",
        executor="process",
        concurrency=2,
    )
    (tmp_path / "notes").mkdir()
    results = PipelineBuilder(Source([1, 2, 3] * 10), step).execute()[1]
    assert results == [1, 2, 3] * 10
    assert len(list((tmp_path / "notes").iterdir())) == 3
    assert not [*tmp_path.glob("cache/*/*.lock")]


def note_process(value: int, folder: str) -> int:
    """Leave a file for each call."""
    import tempfile

    tempfile.mkstemp(dir=folder)
    return value


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None, "truncate", "flip"])
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning, and is whole afterwards."""
    run([1], remember, cache=tmp_path)
    (entry,) = [path for path in tmp_path.glob("*/*") if path.is_file()]
    content = entry.read_bytes()
    if damage is None:
        entry.unlink()
        entry.mkdir()
    elif damage == "flip":
        entry.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    else:
        entry.write_bytes(content[:-5] if damage == "truncate" else damage)
    with caplog.at_level(logging.WARNING):
        assert run([1], remember, cache=tmp_path) == [1]
    assert chain_steps.calls == [1, 1]
    assert "a cached result of remember can't be read, and is computed again" in caplog.text
    if damage is not None:
        assert run([1], remember, cache=tmp_path) == [1]
        assert chain_steps.calls == [1, 1]


def test_an_input_that_can_not_be_compared_is_an_error(cache: Any) -> None:
    """Neither a wrong hit nor a silent miss: the error says what to do."""
    for thing in (threading.Lock(), lambda: 1):
        with pytest.raises(StepError, match=r"compared by pickling .* or leave `cache` out"):
            run([thing], remember, cache=cache)
    assert chain_steps.calls == []


def test_a_result_that_can_not_be_kept_goes_on(
    cache: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning: what was computed is good."""

    def make(value: int) -> Any:
        chain_steps.calls.append(value)
        return threading.Lock()

    with caplog.at_level(logging.WARNING):
        assert len(run([1, 1], make, cache=cache)) == 2
    assert chain_steps.calls == [1, 1]
    assert "make can't be cached: TypeError: cannot pickle" in caplog.text


def test_a_folder_that_can_not_be_written_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The results are there all the same; only the folder's own place must be possible."""
    store = Folder(tmp_path)
    store.put("ab", b"1")
    (tmp_path / "ab" / "ab").unlink()
    (tmp_path / "ab" / "ab").mkdir()
    with pytest.raises(OSError, match="ab"):
        store.put("ab", b"2")
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["ab"]


def test_the_memory_forgets_what_was_not_used_for_longest() -> None:
    """It keeps as many results as its limit says."""
    memory = Memory(limit=2)
    for key in "ab":
        memory.put(key, key.encode())
    memory.get("a")
    memory.put("c", b"c")
    assert [memory.get(key) for key in "abc"] == [b"a", None, b"c"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Source([1], cache=True), "step 'source' makes a stream, which can't be cached"),
        (PythonStep(chain_steps.numbers, cache="x"), "step 'numbers' makes a stream"),
        (
            PythonStep(remember, args={"value": 1}, cache=3),
            "cache is True, or the path of a folder",
        ),
    ],
)
def test_what_can_not_be_cached_is_refused(step: Step, message: str) -> None:
    """Before anything runs."""
    with pytest.raises((ValueError, TypeError), match=message):
        PipelineBuilder(step).execute()


def test_without_joblib_the_error_names_the_extra() -> None:
    """It is imported by cached steps only."""
    code = "import sys; sys.modules['joblib'] = None\n"
    code += "from pipelines.frontends.chain import *\n"
    code += "PipelineBuilder(PythonStep(list, cache=True)).execute()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cache needs joblib: pip install 'pipelines[cache]'" in done.stderr
