"""Nested generators: the caller pulls, and each step is a function from an iterator to an iterator.

    combine_pipeline                              nest steps around a source
    chunk, flatten, recursive_flatten, consume    what pipelines of iterators often need
    as_node, as_step                              a step as a node of a graph, a graph as a step
    PipelineRuntimeDebugger                       what each step costs

See the wiki page *Generators*.
"""

from __future__ import annotations

from pipelines.frontends.generators.debugger import PipelineRuntimeDebugger
from pipelines.frontends.generators.graphs import as_step
from pipelines.frontends.generators.iterables import chunk, consume, flatten, recursive_flatten
from pipelines.frontends.generators.nesting import combine_pipeline, identity_step
from pipelines.frontends.generators.nodes import GeneratorStep, as_node

__all__ = [
    "GeneratorStep",
    "PipelineRuntimeDebugger",
    "as_node",
    "as_step",
    "chunk",
    "combine_pipeline",
    "consume",
    "flatten",
    "identity_step",
    "recursive_flatten",
]
