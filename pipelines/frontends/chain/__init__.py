"""Graphs as chains of steps: ``fetch >> [parse, count] >> save``, run by a `PipelineBuilder`.

    step, record    a step, its options, and `>>`     batteries   the steps that are ready to use
    order, nodes, graph      steps -> a document      builder     runs it
    calls           what a node calls instead         results     what the steps of a run gave
    cache, store, identity   results that are kept    progress    the log of a run

See the wiki page *Chains*.
"""

from pipelines.frontends.chain.batteries import (
    GCSUploadStep,
    HttpGetStep,
    PythonStep,
    Source,
    UploadStep,
)
from pipelines.frontends.chain.builder import PipelineBuilder
from pipelines.frontends.chain.step import Step

__all__ = [
    "GCSUploadStep",
    "HttpGetStep",
    "PipelineBuilder",
    "PythonStep",
    "Source",
    "Step",
    "UploadStep",
]
