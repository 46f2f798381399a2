"""Steps that are decorated functions and classes, and that send to each other as they run.

    @entry_point                        async def start(p, *args)         sends the first items
    @step(concurrency=5, page_size=1)   async def fetch(p, items, *args)  gets what lies ready
    @tree_traversal(concurrency=5)      class with traverse(self, p, payload, index)
    await pipeline(start, *args)        runs until nobody has anything left to do

There is no graph to write: an edge appears at the first ``await p(target, [item, …])``.
"""

from pipelines.frontends.decorators.definition import entry_point, step, tree_traversal
from pipelines.frontends.decorators.potato import APotato
from pipelines.frontends.decorators.run import pipeline, prepare

__all__ = ["APotato", "entry_point", "pipeline", "prepare", "step", "tree_traversal"]
