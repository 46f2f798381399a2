"""Every workload runs, and every side of ours gives the right result; nothing is timed."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks import sides as sides_package
from benchmarks.model import Side, Workload
from benchmarks.work import Figure
from benchmarks.workloads import GROWTHS, WORKLOADS

#: How few items do, where it is not forty.
FEW = {"w3": 100, "w3-jitter": 100, "gap": 3, "w4": 30, "growth-nodes": 10, "startup": 1}

ALL = (*WORKLOADS, *(dataclasses.replace(each.workload, items=10) for each in GROWTHS))
OWN = [(each, side) for each in ALL for side in each.sides if not side.peer]


def named(value: Any) -> str:
    """Name a case."""
    return value.key if isinstance(value, Workload) else value.name.replace(" ", "-")


@pytest.mark.parametrize(("workload", "side"), OWN, ids=named)
def test_a_side_gives_the_right_result(workload: Workload, side: Side) -> None:
    """What is measured does the work it says."""
    items = FEW.get(workload.key, 40)
    module = importlib.import_module(f"{sides_package.__name__}.{side.module}")
    result = getattr(module, side.call or workload.call)(items, **side.params)
    if isinstance(result, Figure):
        assert result.value > 0
        result = result.result
    assert result == workload.result(items)
    for child in multiprocessing.active_children():
        child.join()


@pytest.mark.parametrize("workload", ALL, ids=named)
def test_a_workload_is_sound(workload: Workload) -> None:
    """Names are unique, and what is claimed is claimed of those who take part."""
    names = [side.name for side in workload.sides]
    assert len(set(names)) == len(names)
    claimed = {claim.side for claim in workload.claims}
    claimed |= {claim.against for claim in workload.claims if claim.against}
    assert claimed <= set(names)
    assert not set(workload.cannot) & set(names)


@pytest.mark.parametrize("growth", GROWTHS, ids=lambda growth: growth.workload.key)
def test_a_growth_is_sound(growth: Any) -> None:
    """It is claimed of sides that take part, from a size on that is measured."""
    names = {side.name for side in growth.workload.sides}
    assert all(flat.side in names and flat.since in growth.points for flat in growth.claims)


@pytest.mark.parametrize("workload", ALL, ids=named)
def test_every_peer_has_its_function(workload: Workload) -> None:
    """What the table names is there, though the peers themselves are not installed here."""
    for side in workload.sides:
        if side.peer:
            source = (Path(benchmarks.__file__).parent / f"sides/{side.module}.py").read_text()
            functions = [
                node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
            ]
            assert (side.call or workload.call) in [function.name for function in functions]


def test_keys_are_unique() -> None:
    """Each can be chosen by itself."""
    assert len({each.key for each in ALL}) == len(ALL)
