"""The values of flags, checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["duration", "names", "overrides", "writable"]


def duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Turn a time such as ``500ms``, ``10s`` or ``5m`` into seconds."""
    if value is None:
        return None
    from pipelines.spec import parse_duration

    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None
    if seconds <= 0:
        raise click.BadParameter(f"{value!r} is no time above zero", ctx, parameter)
    return seconds


def overrides(
    ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse what has not the form ``PATH=VALUE``; what the path means is for the graph to say."""
    for each in value:
        if "=" not in each:
            raise click.BadParameter(f"{each!r} is not PATH=VALUE", ctx, parameter)
    return value


def names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Turn a list such as ``production,testing`` into its names."""
    if value is None:
        return None
    found = [each.strip() for each in value.split(",") if each.strip()]
    if not found:
        raise click.BadParameter(f"{value!r} names nothing", ctx, parameter)
    return found


def writable(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a file that could not be written when the run is over."""
    if value is not None and not Path(value).resolve().parent.is_dir():
        raise click.BadParameter(f"the folder of {value!r} does not exist", ctx, parameter)
    return value
