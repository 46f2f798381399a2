"""HTTP around the sockets: which hosts and origins are answered, the headers, and the page."""

from __future__ import annotations

import importlib.resources
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

__all__ = [
    "SOCKET_PATH",
    "Hosts",
    "add_headers",
    "guard",
    "is_loopback",
    "is_wildcard",
    "page_routes",
    "static_folder",
]

SOCKET_PATH = "/socket.io/"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>pipelines</title>
<h1>The editor is not built</h1>
<p>This is a checkout of <b>pipelines</b>, and its page has not been built yet. Run</p>
<pre>make editor</pre>
<p>and start the server again. Programs can use the server as it is.</p>
</html>
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Hosts:
    """The names under which the server may be addressed.

    A page of a stranger can have its own name lead to this machine (DNS rebinding), and its browser
    then takes the server for that page's own. But the name stands in each request.

    Args:
        bound: the address that the server listens on.
        names: other names that people use for it.
    """

    def __init__(self, bound: str, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", "127.0.0.1", "::1", *(name.lower() for name in names)}
        self._any_address = is_wildcard(bound)
        self._names |= {socket.gethostname().lower()} if self._any_address else {bound.lower()}

    def know(self, host: str | None) -> bool:
        """Tell whether a request's ``Host`` is one of the names, with whatever port."""
        try:
            name = urlsplit(f"//{host}").hostname if host else None
            _ = urlsplit(f"//{host}").port
        except ValueError:
            return False
        if name is None:
            return False
        # An address can't be rebound: it needs no name to be looked up.
        return name in self._names or (self._any_address and _is_address(name))

    @staticmethod
    def are_same(origin: str, host: str) -> bool:
        """Tell whether a page's origin is the server itself; behind a proxy it may speak https."""
        return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def is_wildcard(host: str) -> bool:
    """Tell whether to listen on `host` is to listen on all addresses."""
    return host in ("", "0.0.0.0", "::")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`; a name is looked up."""
    if is_wildcard(host):
        return False
    try:
        found = {each[4][0] for each in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def guard(hosts: Hosts, room: Callable[[], str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the middleware that every request passes.

    Args:
        hosts: the names that are answered.
        room: says why no more clients are taken; empty while they are.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not hosts.know(host):
            raise web.HTTPMisdirectedRequest(text="This server does not go by that name.")
        if origin is not None and not hosts.are_same(origin, host or ""):
            raise web.HTTPForbidden(text="Pages of other servers are not answered.")
        if request.path == SOCKET_PATH and "sid" not in request.query and (why := room()):
            raise web.HTTPServiceUnavailable(text=why)
        return await handler(request)

    return check


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Put on every response what keeps a browser from being talked into something."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")


def static_folder() -> Path:
    """Return the folder that the built page is in, once it is built."""
    return Path(str(importlib.resources.files("pipelines.server") / "static"))


def page_routes(folder: Path) -> list[web.RouteDef]:
    """Return the routes of the page and all that belongs to it.

    The files are those that are there now: what is asked for is looked up, never made to a path.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    files = {name: path for name, path in files.items() if path.is_file()}

    async def page(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"] or "index.html"
        if name == "index.html" and name not in files:
            return web.Response(text=_NOT_BUILT, content_type="text/html")
        if name not in files:
            raise web.HTTPNotFound(text="There is no such file.")
        response = web.FileResponse(files[name])
        if name.startswith("assets/"):  # their names change with what they hold
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    return [web.get("/{name:.*}", page)]
