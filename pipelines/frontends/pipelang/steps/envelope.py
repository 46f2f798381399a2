"""What flows between the steps of a `.pipe` program."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

__all__ = ["Envelope", "merged", "packed"]

#: `value`, `args` and `variables`, where they are not empty; see the package.
Envelope = dict[str, Any]


def merged(envelopes: Iterable[Any]) -> Envelope:
    """Return the one envelope of a row: where several calls meet, the variables of all.

    Raises:
        TypeError: something else than an envelope came.
    """
    known = [each for each in envelopes if each is not None]
    for each in known:
        if not isinstance(each, dict):
            kind = type(each).__name__
            raise TypeError(f"only another step of a pipe leads here, not one that gives a {kind}")
    if len(known) == 1:
        envelope: Envelope = known[0]
        return envelope
    variables: dict[str, Any] = {}
    for each in known:
        variables.update(each.get("variables", {}))
    return {"variables": variables}


def packed(value: Any, args: Collection[Any], variables: dict[str, Any]) -> Envelope:
    """Return an envelope."""
    envelope: Envelope = {"value": value}
    if args:
        envelope["args"] = list(args)
    if variables:
        envelope["variables"] = variables
    return envelope
