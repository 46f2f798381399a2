"""A step of a chain, and what `>>` means between steps and lists of them."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable
from typing import Any, TypeVar, overload

from pipelines.errors import shorten
from pipelines.frontends.chain.record import (
    OPTIONS,
    Record,
    is_given_inputs,
    named_arguments,
    refuse_unknown,
    take_options,
)

__all__ = ["Step", "Steps", "record_of"]

S = TypeVar("S", bound="Step")

_KEY = "_chain"  # where a step keeps its record: the rest of its namespace is yours


def record_of(step: Step) -> Record:
    """Return what a chain knows of a step."""
    record: Record = vars(step).setdefault(_KEY, Record())
    return record


class _Recording(abc.ABCMeta):
    """Takes a step's options out of its constructor's arguments, and remembers the others."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        options = take_options(cls, kwargs)
        step = super().__call__(*args, **kwargs)
        record = record_of(step)
        record.options.update(options)
        if record.target is None:
            record.title, record.target = cls.__name__, cls
            record.args = named_arguments(cls, args, kwargs)
            record.inputs = _takes_inputs(cls)
        record.made = {key: value for key, value in vars(step).items() if key != _KEY}
        return step


def _logic(cls: type) -> tuple[str, Any]:
    """Return the name and the method of the logic of a class; two empty ones where it has none."""
    bases = cls.__mro__[: cls.__mro__.index(Step)]
    for name in ("run", "execute", "__call__"):
        for base in bases:
            if name in vars(base):
                return name, vars(base)[name]
    return "", None


def _takes_inputs(cls: type) -> bool:
    """Tell whether the logic of a class takes inputs; that in an `execute` need not.

    Raises:
        TypeError: it has none.
    """
    name, method = _logic(cls)
    if method is None:
        raise TypeError(f"{cls.__name__} has no logic: give it a method `def run(self, *inputs)`")
    return name != "execute" or is_given_inputs(method.__get__(object()))


class Step(metaclass=_Recording):
    """One step of a chain; a subclass has the logic, in `run`.

    ``run(self, *inputs)`` gets one argument for each step that leads here, in the order of the
    links, and none where no step does. It may be `async`. What it returns goes to every step
    behind it; what it yields goes there value by value. An instance that can be entered (``with``
    or ``async with``) is entered when a run starts and exited when its step has ended.

    A graph holds the class and its arguments, so each run makes an instance of its own, and finds
    nothing left from the run before. Change no attribute of yours after you made it.

    Args:
        options: every step takes, beside the arguments of its own constructor: ``name``; ``cache``
            (true keeps results in memory, a path in that folder); ``notify`` (whom to tell how it
            ended: a callable, or an apprise URL); and each property of a node, written as in a
            graph document, such as ``retry={"attempts": 3}``.

    Raises:
        TypeError: an argument is unknown, or the class has no `run`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name, logic = _logic(cls)
        if not name or "__call__" in vars(cls):
            return
        if not inspect.isfunction(logic):
            raise TypeError(f"{cls.__name__}: make its logic a method, `def run(self, *inputs)`")
        # The engine looks at `__call__` to see what kind of step it is, and calls it.
        cls.__call__ = logic  # type: ignore[method-assign]

    def __init__(self, **options: Any) -> None:
        refuse_unknown(type(self), options, OPTIONS)
        record_of(self).options.update(options)

    @overload
    def __rshift__(self, other: S) -> S: ...
    @overload
    def __rshift__(self, other: list[Any] | tuple[Any, ...]) -> Steps: ...
    def __rshift__(self, other: Any) -> Any:
        """Lead this step to another one, or to each of a list; return what it leads to."""
        if isinstance(other, Step):
            _link(self, other)
            return other
        steps = Steps(_checked(other, "Right", record_of(self).name))
        for step in steps:
            _link(self, step)
        return steps

    def __rrshift__(self, other: Any) -> Step:
        """Lead each step of a list to this one."""
        for step in _checked(other, "Left", record_of(self).name):
            _link(step, self)
        return self

    def execute(self) -> Any:
        """Run the whole chain that this step is linked with, and return this step's result.

        Raises:
            GraphError: the chain is not sound.
            StepError: a step failed.
            RuntimeError: an event loop is running here; write ``await builder.run()``.
        """
        from pipelines.frontends.chain.builder import PipelineBuilder

        (result,) = PipelineBuilder(self).execute()
        return result


class Steps(list[Step]):
    """The steps that another one leads to, as ``a >> [b, c]`` returns them for one more `>>`."""

    def __rshift__(self, other: Any) -> Any:
        if isinstance(other, Step):
            return other.__rrshift__(self)
        raise TypeError(
            "Right operand must be an instance of Step where a list stands on the left: from "
            "several steps to several, say which leads to which, as in [b, c] >> d and b >> e"
        )

    def __rrshift__(self, other: Any) -> Any:
        raise TypeError(
            "Left operand must be an instance of Step where a list stands on the right: from "
            "several steps to several, say which leads to which, as in [a, b] >> c and a >> d"
        )


def _link(before: Step, after: Step) -> None:
    """Lead one step to another; once more changes nothing."""
    if not any(step is after for step in record_of(before).after):
        record_of(before).after.append(after)
        record_of(after).before.append(before)


def _checked(operand: Any, side: str, name: str) -> Iterable[Step]:
    """Return the steps of an operand of `>>` that is no step itself.

    Raises:
        TypeError: it is no list of steps.
    """
    listed = isinstance(operand, list | tuple)
    wrong = (
        next((each for each in operand if not isinstance(each, Step)), None) if listed else operand
    )
    if listed and operand and wrong is None:
        return operand  # type: ignore[no-any-return]
    what = "an empty list" if listed and not operand else shorten(wrong, 60)
    spelling = _spelling(wrong)
    written = f"{name} >> {spelling}" if side == "Right" else f"{spelling} >> {name}"
    raise TypeError(
        f"{side} operand must be an instance of Step, or a list of them, not {what}: "
        f"write {written}"
    )


def _spelling(wrong: Any) -> str:
    """Say how to write what is no step so that it is one."""
    if isinstance(wrong, type):
        return (
            f"{wrong.__name__}(…)" if issubclass(wrong, Step) else f"PythonStep({wrong.__name__})"
        )
    if callable(wrong):
        return f"PythonStep({getattr(wrong, '__name__', '…')})"
    for logic in ("run", "execute"):
        if callable(getattr(wrong, logic, None)):
            return f"PythonStep(step.{logic}), or derive {type(wrong).__name__} from Step"
    return "PythonStep(function)"
