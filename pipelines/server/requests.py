"""Events from clients: each is checked against its handler's signature, and each is answered.

A handler is a method that is marked with `request`; its keyword-only arguments are the keys that
the event's one mapping may have, their annotations the values. It returns what is acknowledged
besides ``ok``, or raises; whatever happens, the client gets an answer and never a traceback.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import socketio

from pipelines.errors import GraphError, Problem
from pipelines.registry import did_you_mean
from pipelines.server.arguments import annotations_of, faults, object_schema
from pipelines.server.limits import Limits, over
from pipelines.server.refusal import Refusal, plain_all, refuse
from pipelines.server.tokens import Door
from pipelines.server.transport import Transport

__all__ = ["MALFORMED", "Client", "Endpoint", "request"]

logger = logging.getLogger(__name__)

#: The name under which an event arrives that has none: no handler has it.
MALFORMED = ""

_UNREAD = 256  # answers that may lie there for a client that does not read them

Ack = dict[str, Any]
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Ack]])


def request(name: str | None = None) -> Callable[[Handler], Handler]:
    """Mark a method as the handler of an event, by default of that which has its name."""

    def mark(handler: Handler) -> Handler:
        handler.event = name or handler.__name__  # type: ignore[attr-defined]
        handler.schema = _schema_of(handler)  # type: ignore[attr-defined]
        return handler

    return mark


def _schema_of(handler: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(handler).parameters.values()
    keys = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    return object_schema(keys, annotations_of(handler))


@dataclass(slots=True)
class Client:
    """One connection to a namespace.

    Attributes:
        sid: names it in the namespace.
        connection: names the connection below, which may carry several namespaces.
        allowance: how many events it may still send now, and when that was counted.
    """

    sid: str
    connection: str
    allowance: float
    counted: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def spend(self, rate: float) -> bool:
        """Count one event; return whether it is one too many."""
        now = asyncio.get_running_loop().time()
        self.allowance = min(rate, self.allowance + (now - self.counted) * rate)
        self.counted = now
        self.allowance -= 1
        return self.allowance < 0


class Endpoint(socketio.AsyncNamespace):  # type: ignore[misc]
    """A namespace whose every event is answered.

    Args:
        namespace: its name.
        door: who may come in.
        limits: those in force.
        transport: what the events come over.
    """

    handlers: ClassVar[dict[str, Callable[..., Awaitable[Ack]]]]

    def __init_subclass__(cls) -> None:
        """Gather the handlers."""
        super().__init_subclass__()
        marked = (each for each in vars(cls).values() if hasattr(each, "schema"))
        cls.handlers = {each.event: each for each in marked}

    def __init__(self, namespace: str, door: Door, limits: Limits, transport: Transport) -> None:
        super().__init__(namespace)
        self.limits = limits
        self.transport = transport
        self.clients: dict[str, Client] = {}
        self._door = door

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Handle one event; the answer is what is acknowledged."""
        if event == "connect":
            return self._connect(*args)
        if event == "disconnect":
            return await self._disconnect(args[0])
        sid, *data = args
        client = self.clients[sid]
        if client.spend(self.limits.events_per_second) or self._reads_nothing(client):
            self.transport.hang_up_soon(client.connection)
            return self._too_many()
        return await self.answer(client, event, data)

    def _connect(self, sid: str, environ: Any, auth: Any = None) -> None:
        if not self._door.opens_to(auth):
            raise socketio.exceptions.ConnectionRefusedError("unauthorized")
        connection = self.transport.connection_of(sid, self.namespace)
        self.clients[sid] = Client(sid, connection, self.limits.events_per_second)

    async def _disconnect(self, sid: str) -> None:
        client = self.clients.pop(sid, None)
        if client is not None:
            self.left(client)

    def left(self, client: Client) -> None:
        """Be told that a client has gone."""

    def _reads_nothing(self, client: Client) -> bool:
        return self.transport.unread(client.connection) > _UNREAD

    def _too_many(self) -> Ack:
        return _refused([over(self.limits, "events_per_second", "you send too much")])

    async def answer(self, client: Client, event: str, data: list[Any]) -> Ack:
        """Return the answer to an event, whatever it is and whatever happens."""
        try:
            handler = self.handlers.get(event)
            if handler is None:
                raise _unknown(event, self.handlers)
            return {"ok": True, **await handler(self, client, **self.arguments(handler, data))}
        except (GraphError, Refusal) as refusal:
            return _refused(refusal.problems)
        except Exception:
            logger.exception("the event %r of %s failed", event, self.namespace)
            what = "the server failed on this; its log says why."
            return _refused([Problem("internal", what)])

    def arguments(self, handler: Callable[..., Any], data: list[Any]) -> dict[str, Any]:
        """Return the arguments that an event's data is for its handler.

        Raises:
            Refusal: it is none.
        """
        if len(data) != 1 or not isinstance(data[0], dict):
            raise refuse("bad-request", "an event comes with one mapping.", (), "Send {…}.")
        found = list(faults(handler.schema, data[0], ()))  # type: ignore[attr-defined]
        if found:
            raise Refusal(found)
        return data[0]


def _refused(problems: tuple[Problem, ...] | list[Problem]) -> Ack:
    return {"ok": False, "errors": plain_all(problems)}


def _unknown(event: str, known: Any) -> Refusal:
    if event == MALFORMED:
        return refuse("bad-request", "this is no event: it has no name, or its data is no JSON.")
    return refuse("unknown-event", f"there is no event {event!r}.", (), did_you_mean(event, known))
