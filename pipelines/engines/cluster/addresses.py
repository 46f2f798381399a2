"""Addresses of clusters, and the scopes of their nodes."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import quote, unquote

from pipelines.errors import PipelinesError

__all__ = ["UNITS", "free_port", "is_here", "is_loopback", "parsed", "reach", "resource", "served"]

_PREFIX = "scope:"

#: Units of a scope that each worker has to give; a host asks for one, so they never run out.
UNITS = 1_000_000

_SECONDS = 3.0


def resource(scope: str) -> str:
    """Return the name of Ray's resource that stands for a scope; a host asks for one unit."""
    return f"{_PREFIX}{quote(scope, safe='')}"  # Ray can ask for names in ASCII only


def served(resources: Iterable[str]) -> set[str]:
    """Return the scopes among the names of a node's resources."""
    return {unquote(name.removeprefix(_PREFIX)) for name in resources if name.startswith(_PREFIX)}


def parsed(address: str) -> tuple[str, int]:
    """Return the host and the port of an address.

    Raises:
        PipelinesError: it is not `host:port`.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host) or "/" in host or not port.isascii() or not port.isdigit():
        raise PipelinesError(
            f"the address of a cluster is host:port, such as 10.0.0.5:6380, not {address!r}"
        )
    if not 0 < int(port) < 65536:
        raise PipelinesError(f"{address!r} has no port that there can be: 1 to 65535")
    return host, int(port)


def reach(address: str) -> None:
    """See that something listens at `address`: Ray itself would try for minutes.

    Raises:
        PipelinesError: nothing does.
    """
    host, port = parsed(address)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise PipelinesError(
            f"no cluster answers at {address} ({why}): start its first node there with "
            "'plumber worker --head --scopes …', or give the address that this command printed"
        ) from error


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine as only it can reach itself."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def is_here(ip: str) -> bool:
    """Tell whether an address of a node is one of this machine's own."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """Return a port of `host` that nobody listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
