"""The seed's demo client, in the seed's own style: it sends a graph, and prints what comes back."""
# ruff: noqa: D103, UP
# fmt: off

import asyncio
import os

import socketio

sio = socketio.AsyncClient(reconnection=False)
received = []
done = asyncio.Event()

input_d = {
    'nodes': {
        'inp': { 'coro': 'input_coro' },
        'rev': { 'coro': 'reverse' },
        'out': { 'coro': 'output_coro' },
    },
    'graph': {
        'inp': ('rev', 'out'),
        'rev': ('out', ),
        'out': None,
    },
}

@sio.event
async def connect():
    await sio.emit('process_msg', input_d)

@sio.on('recv')
async def recv(*message):
    # a tuple comes as several arguments, a list as one
    message = message[0] if len(message) == 1 else message
    print('recv~> ', *message, flush=True)
    received.append(message)
    if len(received) == 20:
        done.set()

async def main():
    await sio.connect(f"http://127.0.0.1:{os.environ.get('PORT', '8080')}")
    await done.wait()
    await sio.disconnect()

asyncio.run(main())
