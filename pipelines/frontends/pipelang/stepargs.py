"""What each step is called with, worked out once, with every fault of the step."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipelines.frontends.pipelang.faults import Faults, quoted
from pipelines.frontends.pipelang.model import Script, Step, Word
from pipelines.frontends.pipelang.options import LANGUAGES, Settings, settings_of

__all__ = ["DEFAULT_SCOPE", "StepArgs"]

#: Of a step that names none.
DEFAULT_SCOPE: Final = "production"


class StepArgs:
    """The arguments of the steps of one script.

    Args:
        script: the script; all its steps are judged, also those that nothing runs.
        folder, base: see `compiler.Options`.
        faults: is given what is wrong.
    """

    def __init__(self, script: Script, folder: Path, base: Path | None, faults: Faults) -> None:
        self._folder = folder
        self._base = base
        self._faults = faults
        self._scopes: list[str] = []
        self._dead_letter = any(option.name.text == "dead_letter" for option in script.options)
        self._steps = {name: self._judge(step) for name, step in script.steps.items()}

    def of(self, step: Step) -> tuple[dict[str, Any], Settings]:
        """Return what says the step itself, and what its options say."""
        return self._steps[step.name.text]

    def order(self, scopes: Sequence[str], run: Mapping[str, Step]) -> None:
        """Settle which scope comes first, and refuse those that are not served.

        Args:
            scopes: those that are served, the first one first; empty for all, as they stand in
                the text.
            run: the steps that are run.
        """
        said = {name: self._steps[name][1] for name in self._steps if name in run}
        own = list(dict.fromkeys(_scope(settings) for settings in said.values()))
        self._scopes = list(dict.fromkeys(scopes)) or own
        for name, settings in said.items():
            if (scope := _scope(settings)) not in self._scopes:
                place = settings.places.get(("args", "scope"), run[name].name)
                what = f"step {quoted(name)} has the scope {quoted(scope)}, which is not served: "
                what += f"the scopes are {', '.join(self._scopes)}."
                hint = f"Run with --scopes {','.join([*self._scopes, scope])}."
                self._faults.add("scope-not-served", what, place, hint)

    def rank(self, settings: Settings) -> dict[str, Any]:
        """Return the arguments that options say; of the scope its place, unless it is first."""
        own = dict(settings.get("args", default={}))
        own.pop("scope", None)
        scope = _scope(settings)
        place = self._scopes.index(scope) if scope in self._scopes else 0
        return {**({"scope": place} if place else {}), **own}

    def keep_order(self, step: Step, settings: Settings, properties: dict[str, Any]) -> None:
        """Have the results of a step leave in the order of its values: a join pairs them by it."""
        if properties.get("ordered") is False:
            what = f"the results of {quoted(step.name.text)} are joined with others, in order."
            place = settings.places.get(("properties", "ordered"), step.name)
            self._faults.add("bad-option", what, place, "Remove !ordered false.")
        properties["ordered"] = True

    def _judge(self, step: Step) -> tuple[dict[str, Any], Settings]:
        settings = settings_of(step, self._faults)
        self._judge_failure(step, settings)
        if step.language.text not in LANGUAGES:
            what = f"there is no language {quoted(step.language.text)}."
            hint = self._faults.guess(step.language.text, LANGUAGES)
            self._faults.add("unknown-language", what, step.language, hint)
            return {}, settings
        processes = settings.get("properties", "concurrency")
        if settings.get("args", "executor") == "process" and processes is not None:
            settings.document["args"]["processes"] = processes
        target = "function" if step.language.text == "python" else "table"
        return {target: step.target.text, **self._source(step)}, settings

    def _judge_failure(self, step: Step, settings: Settings) -> None:
        if settings.get("properties", "on_error") == "dead_letter" and not self._dead_letter:
            what = "nothing says where dead letters go."
            place = settings.places["properties", "on_error"]
            hint = "Begin the file with !dead_letter dead.jsonl"
            self._faults.add("no-dead-letter", what, place, hint)

    def _source(self, step: Step) -> dict[str, str]:
        word = step.source.word
        if not step.source.inline:
            return {"file": self._path(word)}
        code = textwrap.dedent(word.text).strip("\n").rstrip()
        if not code:
            self._faults.add("no-code", "there is no code here.", Word("`", word.line, word.column))
        inside = "code" if step.language.text == "python" else "query"
        return {inside: f"{code}\n"}

    def _path(self, word: Word) -> str:
        path = os.path.abspath(self._folder / word.text)
        return path if self._base is None else os.path.relpath(path, self._base)


def _scope(settings: Settings) -> str:
    scope: str = settings.get("args", "scope", default=DEFAULT_SCOPE)
    return scope
