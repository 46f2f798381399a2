"""Which errors `retry.on` names."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from pipelines import Plumber, RunReport, StepError


async def run_once_broken(error: Exception, on: list[str]) -> RunReport:
    """Run a graph whose step raises `error` at its first call."""
    errors = [error]

    def step(item: int) -> int:
        if errors:
            raise errors.pop()
        return item

    properties: dict[str, Any] = {"retry": {"on": on, "backoff": 0}}
    nodes = {"inp": {"func": [1]}, "step": {"func": step, "properties": properties}}
    return await Plumber({"nodes": nodes, "graph": {"inp": ["step"]}}).run()


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError(), "ValueError"),
        (ConnectionResetError(), "OSError"),
        (aiohttp.ClientError(), "ClientError"),
        (aiohttp.ClientError(), "aiohttp.ClientError"),
        (aiohttp.ClientError(), "aiohttp:ClientError"),
        (aiohttp.ClientError(), "aiohttp.client_exceptions.ClientError"),
        (aiohttp.ServerDisconnectedError(), "aiohttp.ClientError"),
        (json.JSONDecodeError("", "", 0), "json.JSONDecodeError"),
    ],
)
async def test_an_error_is_named_by_its_class_or_one_above(error: Exception, name: str) -> None:
    """Alone, or by any module that it can be imported from."""
    report = await run_once_broken(error, ["LookupError", name])
    assert (report.nodes["step"].retried, report.nodes["step"].errors) == (1, 1)


@pytest.mark.parametrize("name", ["OSError", "no.such.module.ValueError", "json:ValueError2"])
async def test_another_error_is_not_tried_again(name: str) -> None:
    """A name that fits nothing retries nothing."""
    with pytest.raises(StepError):
        await run_once_broken(ValueError(), [name])
