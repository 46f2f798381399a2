"""The steps that graphs of `.pipe` programs are made of.

Between them flow *envelopes*: plain dicts with the `value` of the step before, the `args` that the
pipe was called with, and the `variables` that later calls need; what is empty is left out. So a
dead letter can be read, written as JSON, and sent back.
"""

from __future__ import annotations

from pipelines.frontends.pipelang.steps.loops import Each, start
from pipelines.frontends.pipelang.steps.postgres import Postgres
from pipelines.frontends.pipelang.steps.python import Python
from pipelines.frontends.pipelang.steps.sqlite import Sqlite

__all__ = ["Each", "Postgres", "Python", "Sqlite", "start"]
