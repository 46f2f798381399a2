"""Products from a database, filtered, gathered into chunks and sent away, step by step."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

from pipelines.frontends.generators import (
    PipelineRuntimeDebugger,
    as_step,
    chunk,
    combine_pipeline,
    consume,
    flatten,
)

Product = dict[str, Any]


def get_products(count: int) -> Iterator[Product]:
    """Yield the rows of a table of products, every third of which is sold out.

    Args:
        count: how many rows the table has.
    """
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("create table products (id integer, price real, available integer)")
    rows = ((number, number % 50 + 0.5, number % 3 > 0) for number in range(count))
    connection.executemany("insert into products values (?, ?, ?)", rows)
    try:
        yield from map(dict, connection.execute("select * from products"))
    finally:
        connection.close()


def only_available(products: Iterator[Product]) -> Iterator[Product]:
    """Leave out what is sold out."""
    for product in products:
        if product["available"]:
            yield product


in_chunks = chunk(2048)


def send_in_batch(chunks: Iterator[list[Product]]) -> Iterator[list[Product]]:
    """Send each chunk away; here it is only said."""
    for number, each in enumerate(chunks, 1):
        print(f"chunk {number}: {len(each)} products sent")
        yield each


def total(products: Iterator[Product]) -> Iterator[str]:
    """Give one line, behind the last product."""
    prices = [product["price"] for product in products]
    yield f"{len(prices)} products, {sum(prices):.2f} in all"


STEPS = [only_available, [in_chunks, send_in_batch, flatten]]


def discount(product: Product) -> Product:
    """Take a tenth off the price: an ordinary step of a graph."""
    return {**product, "price": product["price"] * 0.9}


#: A graph as one of the steps.
GRAPH = {
    "nodes": {"products": {}, "discount": {"func": discount}},
    "graph": {"products": ["discount"]},
}


def main() -> None:
    """Run the steps as nested generators, with a debugger that logs what each of them costs."""
    logging.basicConfig(format="%(message)s")
    debugger = PipelineRuntimeDebugger()
    products = get_products(int(os.environ.get("PRODUCTS", "9000")))
    pipeline = combine_pipeline(products, [STEPS, as_step(GRAPH), total], debugger)
    consume(map(print, pipeline))


if __name__ == "__main__":
    main()
