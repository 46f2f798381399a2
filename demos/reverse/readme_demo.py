"""Reverse strings: the example that the project started from, its code as it was.

Run ``python demos/reverse/readme_demo.py``, or the same graph from its file:
``plumber run demos/reverse/graph.yaml``.
"""
# ruff: noqa: D101, D103, I001, RUF013, UP
# fmt: off

from pipelines.processor import Processor
from pipelines.plumber import Plumber
import asyncio

class StringFuncs:
    @classmethod
    async def reverse(cls, self:Processor=None, q_elt:tuple=None):
        return q_elt[0][::-1]

    @classmethod
    async def input_coro(cls, self:Processor=None, output_q:asyncio.Queue=None):
        # This coroutine generates 20 random input strings and populates the
        # output_q of whatever node it runs on.
        import uuid
        acc = [ str(uuid.uuid4()) for _ in range(20) ]
        for i in acc:
            await output_q.put(i)
            # unnecessary but async
            await asyncio.sleep(0)

    @classmethod
    async def output_coro(cls, self, q_elt):
        print('output~> ', q_elt)

input_d = {
    'nodes': {
        'inp': { 'coro': StringFuncs.input_coro },
        'rev': { 'coro': StringFuncs.reverse },
        'out': { 'coro': StringFuncs.output_coro },
    },
    'graph': {
        'inp': ('rev', 'out'),  # output of node 'inp' ~> 'rev' and 'out'
        'rev': ('out', ),       # and so on...
        'out': None,
    },
}

async def main():
    _t = Plumber(input_d, coro_map=lambda x: x)
    _t.create_pipeline()
    await _t.join()             # new: there is an end to wait for

if __name__ == '__main__':
    asyncio.run(main())
