"""A script's calls and loops with all their names looked up: `Task`, block by block."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import (
    Assign,
    Call,
    Loop,
    Run,
    Script,
    Statement,
    Step,
    Word,
    numbered,
)
from pipelines.frontends.pipelang.pipes import MOST_STEPS, steps_of_pipes

__all__ = ["Task", "tasks_of"]

#: Where no pipe has this name, ``pipe(x)`` is the value `x`, or that of a run of pipe `x`.
_PIPE = "pipe"


@dataclass(slots=True)
class Task:
    """One call of a pipe, or one loop, of a block.

    Attributes:
        place: the word that says it.
        steps: what it runs; empty for a loop over a value that is there already.
        give: the variables that the first step is called with.
        assign: the variable that the result becomes, if anything reads it.
        over: the variable that a loop without steps goes over.
        variable: a loop's own variable.
        body: what is done for each of a loop's values; `None` where this is no loop.
    """

    place: Word
    steps: tuple[Step, ...] = ()
    give: tuple[str, ...] = ()
    assign: str | None = None
    over: str | None = None
    variable: str | None = None
    body: list[Task] | None = None
    needs: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        inside = self.body or ()
        own = {task.assign for task in inside} | {self.variable}
        needs = {*self.give, *([self.over] if self.over else [])}
        self.needs = frozenset(needs.union(*(task.needs for task in inside)) - own)


def tasks_of(script: Script, faults: Faults) -> list[Task]:
    """Return what a script runs, and note every name that stands for nothing."""
    lookup = _Lookup(script, faults)
    tasks = lookup.block(script.statements, _Scope())
    if not tasks and not faults.fatal:
        hint = "Run a pipe: `pipe()`, or `for value in pipe1(): pipe2(value)`."
        faults.add("nothing-runs", "nothing is run here.", Word("", 1, 1), hint)
    lookup.note_unused()
    return tasks


class _Scope:
    """The variables that are known in a block, each with the name that it has in the graph.

    A variable that is assigned again is another one there.
    """

    def __init__(self, outer: _Scope | None = None) -> None:
        self.known: dict[str, str] = {} if outer is None else dict(outer.known)
        self.outer = frozenset(self.known)
        self._counts: dict[str, int] = {} if outer is None else dict(outer._counts)

    def add(self, name: str) -> str:
        """Return the name in the graph for what is assigned to `name` now."""
        self.known[name] = self.fresh(name)
        return self.known[name]

    def fresh(self, name: str) -> str:
        """Return a name in the graph, like `name`, that nothing else has."""
        return numbered(name, self._counts)


class _Lookup:
    def __init__(self, script: Script, faults: Faults) -> None:
        self._script = script
        self._faults = faults
        self._steps: Mapping[str, tuple[Step, ...] | None] = steps_of_pipes(script, faults)
        self._used: set[str] = {
            member.text for pipe in script.pipes.values() for member in pipe.members
        }
        self._lost: dict[str, int] = {}  # variables of loops that have ended, and where these are
        self._count = 0

    def block(self, statements: Sequence[Statement], scope: _Scope) -> list[Task]:
        """Return the tasks of some statements, those for arguments of calls before the calls."""
        tasks: list[Task] = []
        for statement in statements:
            match statement:
                case Run(call):
                    self._run(call, scope, tasks)
                case Assign(name, call):
                    self._assign(name, call, scope, tasks)
                case Loop():
                    self._loop(statement, scope, tasks)
        return tasks

    def _assign(self, name: Word, call: Call, scope: _Scope, tasks: list[Task]) -> None:
        found = self._run(call, scope, tasks)
        self._refuse_taken(name, scope.outer)
        if isinstance(found, str):  # pipe(value)
            scope.known[name.text] = found
            return
        key = scope.add(name.text)
        if found is not None:
            found.assign = key

    def _refuse_taken(self, name: Word, taken: Collection[str]) -> None:
        if name.text in taken:
            what = (
                f"{quoted(name.text)} belongs to what is around this loop, which can't change it."
            )
            self._faults.add("outer-variable", what, name, "Use another name here.")
        elif self._script.find(name.text) is not None:
            what = f"{quoted(name.text)} is a step or a pipe already."
            self._faults.add("defined-twice", what, name, "Use another name for the value.")

    def _loop(self, loop: Loop, scope: _Scope, tasks: list[Task]) -> None:
        source: Task | str | None
        if isinstance(loop.over, Call):
            source = self._run(loop.over, scope, tasks)
        else:
            source = self._value(loop.over, scope, tasks)
        self._refuse_taken(loop.name, scope.known)
        inner = _Scope(scope)
        variable = inner.add(loop.name.text)
        body = self.block(loop.body, inner)
        for name in inner.known.keys() - scope.known.keys():
            self._lost[name] = loop.name.line
        if isinstance(source, Task):
            tasks.pop()  # the source, which has become a part of the loop
            tasks.append(Task(loop.name, source.steps, source.give, None, None, variable, body))
        elif source is not None:
            tasks.append(Task(loop.name, (), (), None, source, variable, body))
        self._note_size(1, loop.name)

    def _run(self, call: Call, scope: _Scope, tasks: list[Task]) -> Task | str | None:
        """Add the task of a call; return it, or the variable that it only names, or nothing."""
        values = [self._value(each, scope, tasks) for each in call.arguments]
        name = call.pipe.text
        if name == _PIPE and self._script.find(name) is None and name not in self._script.doubtful:
            return self._only(call, values)
        self._used.add(name)
        if name not in self._steps:
            self._note_unknown_pipe(call.pipe, scope)
            return None
        steps = self._steps[name]
        give = tuple(each for each in values if each is not None)
        if steps is None or len(give) < len(values):
            return None
        self._refuse_too_many(call, steps[0])
        self._note_size(len(steps), call.pipe)
        tasks.append(Task(call.pipe, steps, give))
        return tasks[-1]

    def _only(self, call: Call, values: list[str | None]) -> str | None:
        if len(values) == 1:
            return values[0]
        what = f"`pipe` takes one value or one pipe, not {len(values)}."
        self._faults.add("wrong-arguments", what, call.pipe, "Write pipe(accounts_pipe).")
        return None

    def _value(self, value: Word | Call, scope: _Scope, tasks: list[Task]) -> str | None:
        """Return the variable that holds a value; a call, or a pipe's name, is run for it."""
        if isinstance(value, Word):
            if value.text in scope.known:
                return scope.known[value.text]
            if self._script.find(value.text) is None:
                self._note_unknown_value(value, scope)
                return None
            value = Call(value)
        found = self._run(value, scope, tasks)
        if isinstance(found, Task):
            found.assign = scope.fresh(f"{value.pipe.text}()")
            return found.assign
        return found

    # Faults.

    def _refuse_too_many(self, call: Call, first: Step) -> None:
        if len(call.arguments) > 1 and first.language.text in ("sqlite3", "postgres"):
            what = (
                f"{quoted(first.name.text)} takes one value, its rows, not {len(call.arguments)}."
            )
            self._faults.add("wrong-arguments", what, call.pipe, "Let a python step come first.")

    def _note_size(self, steps: int, place: Word) -> None:
        before, self._count = self._count, self._count + steps
        if before <= MOST_STEPS < self._count:
            what = f"with this the file runs more than {MOST_STEPS:,} steps."
            self._faults.add("too-large", what, place)

    def _note_unknown_pipe(self, word: Word, scope: _Scope) -> None:
        if word.text in self._script.doubtful:
            return
        if word.text in scope.known:
            what, hint = f"{quoted(word.text)} is a value, and can't be called.", "Call a pipe."
        else:
            what = f"no pipe is named {quoted(word.text)}."
            hint = self._faults.guess(word.text, self._script.names())
        self._faults.add("unknown-pipe", what, word, hint)

    def _note_unknown_value(self, word: Word, scope: _Scope) -> None:
        if word.text in self._script.doubtful:
            return
        hint = self._faults.guess(word.text, [*scope.known, *self._script.names()])
        if word.text in self._lost:
            hint = f"It is known only inside the loop in line {self._lost[word.text]}."
        what = f"nothing is named {quoted(word.text)} here."
        self._faults.add("unknown-value", what, word, hint)

    def note_unused(self) -> None:
        """Warn of steps that are in no pipe, and of pipes that nothing runs, if that is all."""
        if self._faults.fatal:
            return
        for table, what in ((self._script.steps, "step"), (self._script.pipes, "pipe")):
            for name, thing in table.items():
                if name not in self._used and name not in self._script.doubtful:
                    said = f"{what} {quoted(name)} is never run."
                    hint = "Put it in a pipe." if what == "step" else f"Write {name}()."
                    self._faults.add(f"unused-{what}", said, thing.name, hint, "warning")
