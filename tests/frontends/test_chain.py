"""Chains of steps: what `>>` means, what a run gives, and the document that they come from."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import Any

import chain_steps
import pytest
from chain_steps import Opened, Scaled, add, negate, numbers, odd, pair, seven, square

from pipelines import SKIP, GraphError, StepError
from pipelines.frontends.chain import PipelineBuilder, PythonStep, Source, Step


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Forget the calls of the test before."""
    chain_steps.calls.clear()


def value(result: Any) -> PythonStep:
    """Return a first step that gives one value."""
    return PythonStep(lambda: result, name=f"value {result}")


# The document's own examples.


class FetchDataStep:
    """As in the document, with its logic filled in."""

    def __init__(self, source):  # type: ignore[no-untyped-def]
        self.source = source

    def execute(self):  # type: ignore[no-untyped-def]
        """Fetch data from the source."""
        return f"data of {self.source}"


class ProcessDataStep:
    """As in the document, with its logic filled in."""

    def __init__(self, data):  # type: ignore[no-untyped-def]
        self.data = data

    def execute(self):  # type: ignore[no-untyped-def]
        """Process the data."""
        return self.data.upper()


def test_the_documents_builder_runs_its_classes_as_they_are() -> None:
    """Objects with an `execute` that takes nothing run in order, and their results come back."""
    fetch_data = FetchDataStep(source="https://example.com/data")
    process_data = ProcessDataStep(data=fetch_data.execute())
    builder = PipelineBuilder()
    builder.add_step(fetch_data)
    builder.add_step(process_data)
    assert builder.execute() == [
        "data of https://example.com/data",
        "DATA OF HTTPS://EXAMPLE.COM/DATA",
    ]
    assert builder.steps == [fetch_data, process_data]


def test_the_documents_chain_runs_with_step_as_the_base_class() -> None:
    """`>>` returns what stands on its right; an `execute` without inputs only waits its turn."""

    class Fetch(FetchDataStep, Step):
        pass

    class Process(ProcessDataStep, Step):
        pass

    fetch_data = Fetch(source="x")
    process_data = Process(data=fetch_data.execute())
    assert (fetch_data >> process_data) is process_data
    assert PipelineBuilder(fetch_data, process_data).execute() == ["data of x", "DATA OF X"]


def test_the_documents_step_runs_what_it_leads_to() -> None:
    """`execute` of a step with a `run` runs all that is linked with it, and gives its result."""

    class First(Step):
        def run(self) -> int:
            return 3

    first, second = First(), PythonStep(chain_steps.remember)
    first >> second
    assert first.execute() == 3
    assert chain_steps.calls == [3]


def test_a_wrong_right_operand_is_the_documents_type_error() -> None:
    """It begins as there, and goes on with what to write."""
    with pytest.raises(TypeError, match=r"^Right operand must be an instance of Step, .*seven\)$"):
        value(1) >> seven  # type: ignore[operator]


# Links.


def test_three_steps_in_a_line() -> None:
    """Each gets what the one before gave; the results come in the order of the steps."""
    steps = PythonStep(seven), PythonStep(square), PythonStep(negate)
    steps[0] >> steps[1] >> steps[2]
    assert PipelineBuilder(*steps).execute() == [7, 49, -49]


def test_steps_that_nobody_links_follow_each_other() -> None:
    """In the order in which they were added; `add_step` returns the builder."""
    builder = PipelineBuilder().add_step(PythonStep(seven)).add_step(PythonStep(square))
    assert builder.add_step(PythonStep(negate)).execute() == [7, 49, -49]


def test_the_results_are_of_the_steps_that_were_added() -> None:
    """All that are linked with them run, whichever one was added."""
    last = value(2) >> PythonStep(square) >> PythonStep(negate)
    assert PipelineBuilder(last).execute() == [-4]


def test_one_step_leads_to_several_and_several_to_one() -> None:
    """A merge gets its inputs in the order in which they were linked, each exactly once."""
    last = value(5) >> [PythonStep(square), PythonStep(negate)] >> PythonStep(pair)
    assert PipelineBuilder(last).execute() == [(25, -5)]
    last = (value(1), value(2)) >> PythonStep(pair)
    assert PipelineBuilder(last).execute() == [(1, 2)]
    a, b, merge = value("a"), value("b"), PythonStep(pair)
    [b, a] >> merge
    assert PipelineBuilder(a, b, merge).execute() == ["a", "b", ("b", "a")]


def test_a_merge_waits_for_all_its_inputs() -> None:
    """However late one of them comes, and whichever steps are between."""

    async def late(number: int) -> int:
        await asyncio.sleep(0.01)
        return number * 10

    first = value(1)
    merge = [first >> PythonStep(late) >> PythonStep(negate), first] >> PythonStep(pair)
    assert PipelineBuilder(merge).execute() == [(-10, 1)]


def test_a_merge_may_take_them_as_they_come() -> None:
    """Without `aggregate_inputs` it is called for each; its results are a list then."""
    last = [value(1), value(2)] >> PythonStep(square, aggregate_inputs=False)
    ((*results,),) = PipelineBuilder(last).execute()
    assert sorted(results) == [1, 4]


def test_a_partial_is_called_what_it_calls() -> None:
    """Its node has the name of the function, and its own arguments go along."""
    step = PythonStep(functools.partial(pair, 0))
    assert PipelineBuilder(value(1), step).execute() == [1, (0, 1)]
    assert "pair" in PipelineBuilder(value(1), step).spec().nodes


def test_linking_twice_changes_nothing() -> None:
    """As when a cell of a notebook is run again."""
    a, b = value(3), PythonStep(square)
    a >> b
    a >> b
    assert PipelineBuilder(b).execute() == [9]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (lambda a: a >> None, r"Right .*, not None: write first >> PythonStep\(function\)$"),
        (lambda a: a >> [], r"Right .*, not an empty list: write first >> PythonStep"),
        (lambda a: a >> [a, print], r"Right .*: write first >> PythonStep\(print\)$"),
        (lambda a: a >> Scaled, r"Right .*: write first >> Scaled\(…\)$"),
        (lambda a: a >> FetchDataStep, r": write first >> PythonStep\(FetchDataStep\)$"),
        (lambda a: a >> FetchDataStep("x"), r"PythonStep\(step.execute\), or derive FetchDataStep"),
        (lambda a: "x" >> a, r"Left .*, not 'x': write PythonStep\(function\) >> first$"),
        (lambda a: [print] >> a, r"Left .*: write PythonStep\(print\) >> first$"),
        (lambda a: a >> [value(1), value(2)] >> [value(3)], r"\[b, c\] >> d and b >> e$"),
        (lambda a: [a] >> (a >> [value(1)]), r"\[a, b\] >> c and a >> d$"),
    ],
)
def test_what_can_not_be_linked_is_refused(link: Any, message: str) -> None:
    """The error says on which side, and how to write it."""
    with pytest.raises(TypeError, match=message):
        link(PythonStep(seven, name="first"))


def test_two_plain_lists_can_not_be_linked() -> None:
    """Python itself refuses them, so a list of steps does too."""
    with pytest.raises(TypeError, match="unsupported operand"):
        [value(1)] >> [value(2)]  # type: ignore[operator]


# Steps.


def test_each_run_makes_its_steps_anew() -> None:
    """No state is left from the run before, and the step that you made is untouched."""
    scaled = Scaled(3, offset=1)
    builder = PipelineBuilder(Source([1, 2]), scaled)
    assert builder.execute() == builder.execute() == [[1, 2], [(4, 1), (7, 2)]]
    assert scaled.count == 0
    assert scaled.run(1) == (4, 1)


def test_the_same_steps_serve_two_builders() -> None:
    """They are linked for each builder by itself where nobody wrote links."""
    one, two = PythonStep(square), PythonStep(negate)
    assert PipelineBuilder(value(3), one, two).execute()[-1] == -9
    assert PipelineBuilder(value(3), two, one).execute()[-1] == 9


def test_a_step_is_entered_and_exited() -> None:
    """A first step too, which is called without an input, and may be async."""
    assert PipelineBuilder(Opened()).execute() == ["ran"]
    assert chain_steps.calls == ["enter", "run", "exit"]


def test_a_step_may_be_a_dataclass() -> None:
    """Its fields are its arguments; that it can't be hashed, and equals another, is no matter."""

    @dataclasses.dataclass
    class Plus(Step):
        amount: int = 1

        def run(self, number: int) -> int:
            return number + self.amount

    assert PipelineBuilder(value(1), Plus(), Plus(), Plus(5)).execute() == [1, 2, 3, 8]


def test_a_step_may_pass_options_of_its_own_to_the_base() -> None:
    """Those that are given where it is made come before them."""

    class Patient(Step):
        def __init__(self, timeout: str = "9s") -> None:
            super().__init__(timeout=timeout, name="patient")

        async def run(self, value: int) -> int:
            return value

    spec = PipelineBuilder(value(1), Patient("3s", name="mine")).spec()
    assert spec.nodes["mine"].properties.timeout == 3
    assert spec.nodes["mine"].args == {"timeout": "3s"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scaled(2, concurency=1), r"Scaled\(\) .* 'concurency'. Did you mean 'concurr"),
        (lambda: Scaled(2, ofset=1), r"Scaled\(\) .* 'ofset'. Did you mean 'offset'"),
        (lambda: PythonStep(seven, retri={}), r"PythonStep\(\) .* 'retri'. Did you mean 'retry'"),
        (Scaled, "missing 1 required positional argument: 'factor'"),
        (Step, r"Step has no logic: give it a method `def run\(self, \*inputs\)`"),
        (lambda: PythonStep(3), "takes a function; 3 is nothing that can be called"),
        (lambda: PythonStep(PythonStep(seven)), "is a step already"),
        (lambda: Source(3), "Source takes an iterable, or a function that gives one, not 3"),
        (
            lambda: type("Bad", (Step,), {"run": staticmethod(seven)}),
            "Bad: make its logic a method",
        ),
        (lambda: Unnamed(1, 2), r"Unnamed\(\) was given 'rest' by position alone"),
    ],
)
def test_a_step_that_can_not_be_is_refused(make: Any, message: str) -> None:
    """When it is made, with the nearest name or the right spelling."""
    with pytest.raises(TypeError, match=message):
        make()


class Unnamed(Step):
    """Take arguments that have no name."""

    def __init__(self, first: int, *rest: int) -> None:
        self.sum = first + sum(rest)

    def run(self) -> int:
        """Give their sum."""
        return self.sum


def test_arguments_may_come_as_any_keywords() -> None:
    """Those that a constructor gathers itself are the step's as well."""

    class Free(Step):
        def __init__(self, **kwargs: int) -> None:
            self.kwargs = kwargs

        def run(self) -> dict[str, int]:
            return self.kwargs

    assert PipelineBuilder(Free(a=1, b=2, name="free")).execute() == [{"a": 1, "b": 2}]
    assert PipelineBuilder(Unnamed(4)).execute() == [4]


def test_a_step_that_was_changed_is_refused() -> None:
    """A run would not see the change, as it makes the step from its arguments."""
    scaled = Scaled(2)
    scaled.factor = 3
    with pytest.raises(ValueError, match="'factor' of step 'Scaled' was changed after it was made"):
        PipelineBuilder(value(1), scaled).execute()


# Streams.


def test_a_source_makes_a_stream() -> None:
    """Each item goes through by itself; the results are lists, in the order of the items."""
    builder = PipelineBuilder(Source([1, 2, 3]), PythonStep(negate), PythonStep(square))
    assert builder.execute() == [[1, 2, 3], [-1, -2, -3], [1, 4, 9]]
    assert PipelineBuilder(Source([])).execute() == [[]]


def test_what_a_first_step_yields_is_a_stream() -> None:
    """What it returns is one item, be it a list."""
    assert PipelineBuilder(PythonStep(numbers), PythonStep(square)).execute()[1] == [0, 1, 4, 9]
    assert PipelineBuilder(value([1, 2]), PythonStep(len)).execute() == [[1, 2], 2]


def test_a_step_in_the_middle_may_make_a_stream() -> None:
    """From there on the results are lists."""

    def words(text: str) -> Any:
        yield from text.split()

    builder = PipelineBuilder(value("a bc"), PythonStep(words), PythonStep(len))
    assert builder.execute() == ["a bc", ["a", "bc"], [1, 2]]


def test_what_is_left_out_has_no_result() -> None:
    """`SKIP` stands for the only result of a step, and of those that it would have led to."""
    builder = PipelineBuilder(value(2), PythonStep(odd), PythonStep(square))
    assert builder.execute() == [2, SKIP, SKIP]
    assert PipelineBuilder(Source([1, 2, 3]), PythonStep(odd)).execute() == [[1, 2, 3], [1, 3]]


def test_a_merge_of_what_was_left_out_pairs_rightly() -> None:
    """A gap in one branch takes its row along, and no other."""
    last = Source(range(4)) >> [PythonStep(odd), PythonStep(square)] >> PythonStep(pair)
    assert PipelineBuilder(last).execute() == [[(1, 1), (3, 9)]]


def test_an_iterator_can_be_run_through_once() -> None:
    """A second run is refused, not run with nothing."""
    builder = PipelineBuilder(Source(iter([1, 2])))
    assert builder.execute() == [[1, 2]]
    with pytest.raises(ValueError, match="items of step 'source' are an iterator"):
        builder.execute()


# Running.


async def test_a_builder_runs_in_a_loop() -> None:
    """`run` is awaited there; `execute` is refused with what to write."""
    builder = PipelineBuilder(value(2), PythonStep(square))
    with pytest.raises(RuntimeError, match=r"write `await builder.run\(\)`"):
        builder.execute()
    assert await builder.run() == [2, 4]
    assert builder.report is not None
    assert builder.report.ok


def test_steps_run_in_worker_processes() -> None:
    """A class, with its arguments, is made in the worker; results and their order are the same."""
    steps = Source(numbers), Scaled(2, executor="process", concurrency=2), PythonStep(pair)
    assert [each for ((each, _),) in PipelineBuilder(*steps).execute()[2]] == [0, 2, 4, 6]
    assert PipelineBuilder(PythonStep(seven, executor="process")).execute() == [7]


def test_a_failure_reaches_the_caller() -> None:
    """It names the step; the report is there, and the builder can be run again."""
    builder = PipelineBuilder(value(2), PythonStep(chain_steps.fail))
    for _ in range(2):
        with pytest.raises(StepError, match="node 'fail' failed on item 2: ValueError: bad 2"):
            builder.execute()
    assert builder.report is not None
    assert builder.report.reason == "failed"


def test_failures_may_be_left_out_retried_or_buried() -> None:
    """`on_error`, `retry` and `dead_letter` are those of a graph; a first step has them too."""
    letters: list[Any] = []
    builder = PipelineBuilder(
        value(2), PythonStep(chain_steps.fail, on_error="dead_letter"), dead_letter=letters.append
    )
    assert builder.execute() == [2, SKIP]
    assert [(letter["node"], letter["item"]) for letter in letters] == [("fail", 2)]

    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("busy")
        return "ok"

    retry = {"attempts": 3, "backoff": "1ms", "on": ["OSError"]}
    assert PipelineBuilder(PythonStep(flaky, retry=retry)).execute() == ["ok"]
    bad = PythonStep(chain_steps.fail, on_error="skip")
    assert PipelineBuilder(Source([1]), bad).execute() == [[1], []]


def test_every_property_can_be_set() -> None:
    """Each is a keyword of a step, as in a document, and defaults are the builder's."""
    said = {
        "aggregate_inputs": True,
        "concurrency": 3,
        "ordered": False,
        "buffer_size": 7,
        "executor": "thread",
        "timeout": "5s",
        "retry": {"attempts": 2},
        "on_error": "skip",
        "batch": {"size": 2},
        "rate_limit": "20/s",
        "join": {"on_missing": "none"},
        "waiting_limit": 5,
    }
    builder = PipelineBuilder(
        Source(numbers), PythonStep(sum, **said), defaults={"buffer_size": 9}, name="all"
    )
    spec = builder.spec()
    assert spec.nodes["sum"].properties.to_dict().keys() == said.keys()
    assert spec.properties("numbers").buffer_size == 9
    assert spec.name == "all"
    assert sorted(builder.execute()[1]) == [1, 5]


def test_the_merge_of_a_document_is_this_one() -> None:
    """A step that adds two branches gives what the same graph as a dict gives."""
    assert chain_steps.diamond().execute() == [[0, 0, 2, 6]]
    assert add(2, 3) == 5


# What is refused.


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (seven, r"write add_step\(PythonStep\(seven\)\)"),
        (Scaled, r"write add_step\(Scaled\(…\)\)"),
        ([PythonStep(seven)], "add each of them, or link them with >> and add one"),
        (3, r"add_step takes a step, not 3"),
    ],
)
def test_what_is_no_step_can_not_be_added(step: Any, message: str) -> None:
    """The error says how to write it."""
    with pytest.raises(TypeError, match=message):
        PipelineBuilder().add_step(step)


def test_a_step_can_not_be_added_twice() -> None:
    """To call it twice wants two of it; the same holds of any object."""
    for step in (PythonStep(seven), FetchDataStep("x")):
        with pytest.raises(ValueError, match=r"was added before.*>> \[a, b\]"):
            PipelineBuilder(step, step)


def test_a_pipeline_without_steps_is_refused() -> None:
    """It would do nothing."""
    with pytest.raises(ValueError, match=r"no steps: add_step\(PythonStep\(function\)\)"):
        PipelineBuilder().execute()


def test_where_one_link_is_written_all_are() -> None:
    """A step without any would run by itself, which nobody means."""
    a, b = value(1), PythonStep(square)
    a >> b
    with pytest.raises(ValueError, match=r"step 'negate' is linked with no other: .*a >> negate"):
        PipelineBuilder(a, b, PythonStep(negate)).execute()


def test_a_circle_is_refused_with_its_path() -> None:
    """As in a document, also one behind a sound beginning, and a step that leads to itself."""
    a, b, c = value(1), PythonStep(pair, name="b"), PythonStep(pair, name="c")
    a >> b >> c >> b
    with pytest.raises(GraphError, match=r"cycle\]  (b -> c -> b|c -> b -> c)\."):
        PipelineBuilder(a).execute()
    x = PythonStep(pair, name="x")
    x >> x
    with pytest.raises(GraphError, match="node 'x' leads to itself"):
        PipelineBuilder(x).execute()


def test_two_steps_can_not_have_one_name() -> None:
    """Where nobody says names, they are numbered instead."""
    with pytest.raises(GraphError, match="two steps are named 'a'"):
        PipelineBuilder(PythonStep(seven, name="a"), PythonStep(square, name="a")).spec()
    steps = [PythonStep(square) for _ in range(3)]
    steps.insert(1, PythonStep(negate, name="square_2"))
    spec = PipelineBuilder(value(1), *steps).spec()
    assert [*spec.nodes][2:] == ["square", "square_2", "square_3", "square_4"]


def test_inputs_in_contrary_orders_are_refused() -> None:
    """A graph document could not say them, so that what a file says would differ."""
    a, b = value(1), value(2)
    [a, b] >> PythonStep(pair)
    last = [b, a] >> PythonStep(pair)
    with pytest.raises(GraphError, match="same inputs in contrary orders: pair has value"):
        PipelineBuilder(last).execute()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([PythonStep(square)], "needs an argument 'number'"),
        ([Scaled(1)], "needs an argument 'value'"),
        ([PythonStep(seven), PythonStep(seven, name="b")], "seven.. takes no positional argument"),
        ([PythonStep(square, args={"nmber": 1})], "takes no argument 'nmber'. Did you mean"),
        ([PythonStep(seven, concurrency=0)], "concurrency"),
        ([PythonStep(seven, timeout="5 parsecs")], "timeout"),
        ([PythonStep("no_such_step")], "no step is named 'no_such_step'"),
        ([PythonStep(seven, timeout="5s")], "not async, so nothing can interrupt it"),
        ([PythonStep(lambda: 1, executor="process")], "can't be sent to a process"),
        ([Source(numbers), PythonStep(pair, on_error="dead_letter")], "no dead_letter step"),
    ],
)
def test_what_a_document_may_not_say_a_chain_may_not(steps: list[Step], message: str) -> None:
    """The faults, and their words, are those of a graph's check."""
    with pytest.raises(GraphError, match=message):
        PipelineBuilder(*steps).spec()
