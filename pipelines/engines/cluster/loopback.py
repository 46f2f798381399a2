"""Keeps Ray's ports on this machine alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["ADDRESS", "on_loopback"]

ADDRESS = "127.0.0.1"

#: What has Ray's own processes replace nothing: it is meant for systems with one node alone.
_ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


@contextlib.contextmanager
def on_loopback(wanted: bool = True) -> Iterator[None]:
    """Let the node of this process have the loopback address, and bind to nothing else.

    Ray binds to one address only for a node whose address is 127.0.0.1, and replaces just that one
    by an address that others can reach, wherever it is given. So what makes that replacement is
    replaced, for as long as a node or a driver starts; the processes that it starts inherit it.
    """
    if not wanted:
        yield
        return
    from ray._private import services

    before, told = services.get_node_ip_address, os.environ.get(_ALONE)
    services.get_node_ip_address = lambda address=None: ADDRESS
    os.environ[_ALONE] = "0"
    try:
        yield
    finally:
        services.get_node_ip_address = before
        del os.environ[_ALONE]
        os.environ.update({} if told is None else {_ALONE: told})
