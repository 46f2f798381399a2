"""Steps in threads, one behind the other, each with as many threads as it needs.

    Pipeline               a line of steps, fed by hand, from iterables, or from a queue
    Step                   a step with its threads, options and properties
    funcstep, iterstep     a function of an item, or of an iterator, as a step
    AbstractStep           the base of a step with a life of its own in each thread
    SkipEntry              raised by a step: nothing goes on for this item

See the wiki page *Threads*.
"""

from __future__ import annotations

from pipelines.frontends.threads.pipeline import Pipeline
from pipelines.frontends.threads.spec import Step
from pipelines.frontends.threads.steps import (
    AbstractIterStep,
    AbstractStep,
    Sibling,
    funcstep,
    iterstep,
)
from pipelines.step import SkipEntry

__all__ = [
    "AbstractIterStep",
    "AbstractStep",
    "Pipeline",
    "Sibling",
    "SkipEntry",
    "Step",
    "funcstep",
    "iterstep",
]
