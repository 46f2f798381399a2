"""Steps that check the readings of weather stations and write them up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pipelines.step import StreamStep

_STATIONS = ("Oslo", "Quito", "Cairo", "Perth")

#: Every so many readings come from a station whose thermometer is broken.
BROKEN = 1000


def readings() -> Iterator[str]:
    """Yield the lines that come in: as many as `READINGS` says."""
    for number in range(int(os.environ.get("READINGS", "40000"))):
        value = "?" if number % BROKEN == BROKEN - 1 else f"{number * 37 % 100}"
        yield f"{number};{_STATIONS[number % 4]};{value}"


def parse(text: str) -> dict[str, str]:
    """Return the fields of a line."""
    number, station, fahrenheit = text.split(";")
    return {"number": number, "station": station, "fahrenheit": fahrenheit}


def check(fields: dict[str, str]) -> dict[str, Any]:
    """Return them as what they are; a reading that is none raises."""
    return {
        "number": int(fields["number"]),
        "station": fields["station"],
        "fahrenheit": float(fields["fahrenheit"]),
    }


def celsius(reading: dict[str, Any]) -> dict[str, Any]:
    """Add what it is in degrees Celsius."""
    return {**reading, "celsius": round((reading["fahrenheit"] - 32) / 1.8, 1)}


def rank(reading: dict[str, Any]) -> str:
    """Return how warm it is, in a word."""
    return "cold" if reading["fahrenheit"] < 32 else "warm"


def line(reading: dict[str, Any], word: str) -> tuple[int, str]:
    """Return the number of a reading, and what is written of it."""
    return reading["number"], f"{reading['station']}: {reading['celsius']} °C, {word}"


class Ledger(StreamStep):
    """Keeps the lines; takes a whole stream, so it runs where the graph was started."""

    def stream(self, items: Iterator[Any]) -> None:
        """Write them, and say at the end whether they came in order."""
        last, count, ordered = -1, 0, True
        with open(os.environ.get("LEDGER", os.devnull), "w", encoding="utf-8", buffering=1) as file:
            for number, text in items:
                file.write(f"{number} {text}\n")
                ordered, last, count = ordered and number > last, number, count + 1
        print(f"{count:,} lines in the ledger, {'in order' if ordered else 'out of order'}")
