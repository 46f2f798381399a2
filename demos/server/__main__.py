"""Serve graphs of the string coroutines: ``python demos/server [PORT]``.

Whoever is on this machine may send a graph to ``/`` and receives what it gives; the editor in the
browser asks for the token in the link.
"""

from __future__ import annotations

import asyncio
import sys

from coros import StringFuncs

from pipelines.server.app import Server
from pipelines.server.offer import Offer

EXAMPLE = {
    "nodes": {
        "inp": {"func": "input_coro"},
        "rev": {"func": "reverse"},
        "out": {"func": "output_coro"},
    },
    "graph": {"inp": ["rev", "out"], "rev": ["out"], "out": None},
}


def offer() -> Offer:
    """Return what is offered: these five coroutines, and nothing else."""
    offered = Offer()
    offered.add("input_coro", StringFuncs.input_coro)
    offered.add("reverse", StringFuncs.reverse)
    offered.add("upper", StringFuncs.upper)
    offered.add("lower", StringFuncs.lower)
    offered.add("output_coro", StringFuncs.output_coro, kind="sink")
    return offered


def announce(server: Server) -> None:
    """Say where the server is."""
    print(f"programs connect to http://{server.host}:{server.port}")
    print(f"the editor is at {server.link}", flush=True)


def main() -> None:
    """Serve until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    examples = [
        {
            "name": "reverse",
            "title": "Reverse strings",
            "doc": "Each string beside itself reversed.",
            "graph": EXAMPLE,
        }
    ]
    server = Server(offer(), port=port, open_seed=True, examples=examples)
    asyncio.run(server.serve(announce))


if __name__ == "__main__":
    main()
