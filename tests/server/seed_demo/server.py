"""The seed's demo server, in the seed's own style: aiohttp, socket.io, and a Plumber with a map."""
# ruff: noqa: D101, RUF013, UP
# fmt: off

import asyncio
import os
import uuid

import socketio
from aiohttp import web

from pipelines.plumber import Plumber
from pipelines.processor import Processor

sio = socketio.AsyncServer(async_mode='aiohttp', cors_allowed_origins='*')
app = web.Application()
sio.attach(app)


class StringFuncs:
    @classmethod
    async def input_coro(cls, self:Processor=None, output_q:asyncio.Queue=None):
        acc = [ str(uuid.uuid4()) for _ in range(20) ]
        for i in acc:
            await output_q.put(i)
            await asyncio.sleep(0)

    @classmethod
    async def reverse(cls, self:Processor=None, q_elt:tuple=None):
        await asyncio.sleep(0.01)
        return q_elt[0][::-1]

    @classmethod
    async def output_coro(cls, self:Processor=None, q_elt:tuple=None):
        # the context tells whose pipeline this is
        await self.env_vars['sio'].emit('recv', q_elt, to=self.env_vars['sid'])


class Server(socketio.AsyncNamespace):
    async def on_process_msg(self, sid, message):
        _t = Plumber(message, coro_map=lambda x: getattr(StringFuncs, x),
                     env_vars={'sio': sio, 'sid': sid})
        _t.create_pipeline()


sio.register_namespace(Server('/'))

if __name__ == '__main__':
    web.run_app(app, host='127.0.0.1', port=int(os.environ.get('PORT', '8080')), print=None)
