"""The demo of nested generators."""

from __future__ import annotations

from running_demos import run_demo, run_python

SENT = [
    "chunk 1: 2048 products sent",
    "chunk 2: 2048 products sent",
    "chunk 3: 1904 products sent",
]


def test_the_steps_run_as_nested_generators() -> None:
    """What is available is sent in chunks, and the debugger logs a line for each step."""
    done = run_python("demos/generators/products.py")
    assert done.stdout.splitlines() == [*SENT, "6000 products, 135000.00 in all"]
    names = [line.split(":")[0].strip("> ") for line in done.stderr.splitlines()[-7:]]
    steps = ["get_products", "only_available", "chunk", "send_in_batch", "chain", "graph", "total"]
    assert names == steps


def test_the_same_steps_run_as_nodes() -> None:
    """With the same result, from the graph file."""
    done = run_demo("generators")
    assert done.stdout.splitlines() == [*SENT, "6000 products, 135000.00 in all"]
    assert done.count("send", "received") == 9_000
    assert done.count("send", "emitted") == 6_000
