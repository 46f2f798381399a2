"""What the steps in SQL share: a table's name, a query, and when it is run."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.frontends.pipelang.functions import find_file
from pipelines.frontends.pipelang.steps.rows import Table, table_of
from pipelines.frontends.pipelang.steps.step import PipeStep, within

__all__ = ["QueryStep"]


@dataclass(kw_only=True, eq=False)
class QueryStep(PipeStep):
    """Run a query on the rows of the step before, which are a table meanwhile.

    Where there are no rows the query is not run, as nothing is known of the columns: no rows go
    on. As the first step of a pipe that is called without a value it has no such table.

    Args:
        table: what the table is called.
        query: one statement or several; the rows of the last one go on, each as a dict.
        file: the file that holds the query, if it isn't given itself; see `Python`.
    """

    table: str
    query: str | None = None
    file: str | None = None

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        if self.file is not None:
            self._query = find_file(self.file).read_text(encoding="utf-8-sig")
        else:
            self._query = self.query or ""

    async def _work(self, values: Sequence[Any], seconds: float | None) -> Any:
        table = table_of(values[0]) if values else None
        if table is not None and not table.rows:
            return []
        return await within(seconds, self._run(table))

    @abc.abstractmethod
    async def _run(self, table: Table | None) -> list[dict[str, Any]]:
        """Return the rows of the query."""
