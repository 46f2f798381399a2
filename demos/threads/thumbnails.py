"""Pictures loaded by several threads and stored by one, in the order they were asked for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from pipelines.frontends.generators import chunk
from pipelines.frontends.threads import AbstractStep, Pipeline, SkipEntry, Step, funcstep, iterstep

Picture = dict[str, Any]


def names() -> Iterator[str]:
    """Yield the names of pictures."""
    return (f"picture-{number}" for number in range(int(os.environ.get("PICTURES", "60"))))


class Load(AbstractStep):
    """Loads a picture over a connection that each thread has for itself."""

    def thread_initialize(self) -> None:
        """Connect."""
        self.connection = threading.current_thread().name

    def process(self, name: str) -> Picture:
        """Return the picture of a name; one name has none."""
        if name == "picture-13":
            raise SkipEntry
        time.sleep(int(name.partition("-")[2]) % 3 / 100)
        return {"name": name, "size": len(name) * 100, "by": self.connection}


def shrink(picture: Picture) -> Picture:
    """Make it a tenth as large; the first attempt at some of them fails."""
    if picture["name"].endswith("7") and picture["name"] not in _tried:
        _tried.add(picture["name"])
        raise ConnectionError(f"no answer for {picture['name']}")
    return {**picture, "size": picture["size"] // 10}


_tried: set[str] = set()


def in_chunks(pictures: Iterator[Picture]) -> Iterator[list[Picture]]:
    """Gather twenty at a time; a function of its own, so that a graph file can name it."""
    return chunk(20)(pictures)


def store(pictures: list[Picture]) -> None:
    """Store a chunk; here it is only said."""
    size = sum(picture["size"] for picture in pictures)
    first, last = pictures[0]["name"], pictures[-1]["name"]
    print(f"{len(pictures)} pictures from {first} to {last}: {size} bytes")


pipeline = Pipeline(
    [
        (Load, 8),
        Step(funcstep(shrink), 4, retry={"attempts": 3, "backoff": "10ms"}),
        (iterstep(in_chunks), 1),
        (funcstep(store), 1),
    ]
)
pipeline.put_iterable(names)

if __name__ == "__main__":
    report = pipeline.run()
    print(f"{report.nodes['Load'].skipped} skipped, {report.nodes['shrink'].retried} tried again")
