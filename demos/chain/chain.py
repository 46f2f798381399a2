"""A chain: fetch readings, look at them in two ways, merge both into a report, and upload it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from pipelines.frontends.chain import (
    GCSUploadStep,
    HttpGetStep,
    PipelineBuilder,
    PythonStep,
    Step,
)
from pipelines.steps.notifying import Notice

OUT = Path(__file__).parent / "out"


def hottest(readings: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the reading with the highest temperature."""
    return max(readings, key=lambda reading: reading["celsius"])


def mean(readings: list[dict[str, Any]]) -> float:
    """Return the mean temperature."""
    return sum(reading["celsius"] for reading in readings) / len(readings)


class Report(Step):
    """Write what was found.

    Args:
        title: stands in the first line.
    """

    def __init__(self, title: str) -> None:
        self.title = title

    def run(self, hottest: dict[str, Any], mean: float) -> str:
        """Merge both findings, one argument for each step that leads here."""
        return (
            f"{self.title}\n"
            f"hottest  {hottest['celsius']:5.1f} °C in {hottest['place']}\n"
            f"mean     {mean:5.1f} °C\n"
        )


def tell(notice: Notice) -> None:
    """Be told how the pipeline ended."""
    print(f"-- {notice.title}")


def pipeline(url: str, bucket: str) -> PipelineBuilder:
    """Return the chain, with the results of the report and of the upload.

    Args:
        url: where the readings are.
        bucket: of Google Cloud Storage; or any other place, such as ``s3://…`` or a folder's URL.
    """
    readings = HttpGetStep(
        f"{url}/readings.json",
        parse="json",
        cache=OUT / "cache",
        retry={"attempts": 3, "backoff": "50ms", "on": ["HttpTemporaryError"]},
    )
    report = Report("Readings of today")
    upload = GCSUploadStep(bucket, "reports/today.txt")
    readings >> [PythonStep(hottest), PythonStep(mean)] >> report >> upload
    return PipelineBuilder(report, upload, notify=tell)


class Station(ThreadingHTTPServer):
    """A server of readings, busy the first time that it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked = 0
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Station

    def do_GET(self) -> None:
        """Give the readings, the same in every run of the demo."""
        self.server.asked += 1
        self.send_response(503 if self.server.asked == 1 else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        rng = random.Random(7)
        readings = [
            {"place": place, "celsius": rng.uniform(-5, 35)}
            for place in ("Bergen", "Lima", "Nairobi", "Osaka")
        ]
        self.wfile.write(json.dumps(readings).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def station() -> Iterator[Station]:
    """Run a server of readings on a free port of this machine."""
    server = Station()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Run the chain twice: the second time nothing is fetched."""
    bucket = os.environ.get("BUCKET", OUT.as_uri())
    with station() as server:
        builder = pipeline(f"http://127.0.0.1:{server.server_port}", bucket)
        for _ in range(2):
            report, url = builder.execute()
            print(f"{report}uploaded to {url.rpartition('/demos/')[2]}")
        print(f"the server was asked {server.asked} times")


if __name__ == "__main__":
    main()
