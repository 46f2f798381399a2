"""The pictures: bars side by side for the README, and how cost grows as the work does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import svg
from benchmarks.model import OURS
from benchmarks.rounds import Grown, Measured
from benchmarks.stats import TIMES, number, ratio, spread

FOLDER = Path(__file__).parent
BARS = FOLDER / "chart.svg"
LINES = FOLDER / "growth.svg"

_WIDTH = 860
_COLUMN = 420  # of two, with a gap between
_ROW = 20
_NAMES = 112  # pixels for the names to the left of the bars
_FIGURES = 92  # pixels for the figures to the right
_PLOT = 150  # the height of a plot of lines

#: The workloads that the README shows, and what it calls them.
SHOWN = {
    "w1-async": "three async steps in a line",
    "w1-sync": "three plain functions in a line",
    "w2": "two branches and their join",
    "merge": "four sources merged",
}


def write_all(found: Iterable[Measured | Grown]) -> None:
    """Write both pictures; one of which nothing was measured stays as it was."""
    found = list(found)
    shown = [m for m in found if isinstance(m, Measured) and m.workload.key in SHOWN]
    grown = [g for g in found if isinstance(g, Grown)]
    if shown:
        BARS.write_text(bars(shown))
    if grown:
        LINES.write_text(lines(grown))


# Bars.


@dataclass(frozen=True)
class Scale:
    """Logarithmic: from a figure to a place between two pixels."""

    low: float
    high: float
    start: float
    width: float

    def __call__(self, value: float) -> float:
        """Return the place of a figure."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + self.width * share

    def decades(self) -> list[float]:
        """Return the powers of ten from end to end."""
        first, last = (math.floor(math.log10(each) + 0.5) for each in (self.low, self.high))
        return [10.0**power for power in range(first, last + 1)]


def bars(shown: Sequence[Measured]) -> str:
    """Return the picture of several workloads, two in a row, shortest bar first."""
    marks: list[str] = []
    top = 0.0
    for index in range(0, len(shown), 2):
        pair = shown[index : index + 2]
        for column, measured in enumerate(pair):
            marks += _panel(measured, column * (_WIDTH - _COLUMN), top)
        top += max(_height(measured) for measured in pair)
    return svg.picture(_WIDTH, round(top), "Time for each item, side by side", marks)


def _height(measured: Measured) -> int:
    return 76 + _ROW * len(_medians(measured))


def _medians(measured: Measured) -> dict[str, float]:
    found = {name: spread(figures) for name, figures in measured.figures.items()}
    medians = {name: each.median for name, each in found.items() if each is not None}
    return dict(sorted(medians.items(), key=lambda pair: pair[1]))


def _panel(measured: Measured, left: float, top: float) -> Iterator[str]:
    medians = _medians(measured)
    if not medians:
        return
    low = 10 ** math.floor(math.log10(min(medians.values()) / 1.5))
    high = 10 ** math.ceil(math.log10(max(medians.values())))
    scale = Scale(low, high, left + _NAMES, _COLUMN - _NAMES - _FIGURES)
    bottom = top + 30 + _ROW * len(medians)
    yield svg.text(left, top + 16, SHOWN[measured.workload.key], "title")
    for decade in scale.decades():
        yield svg.line(scale(decade), top + 26, scale(decade), bottom, "grid")
        yield svg.text(scale(decade), bottom + 14, _nanoseconds(decade), "small middle")
    for row, (name, median) in enumerate(medians.items()):
        yield from _bar(measured, name, median, scale, top + 30 + _ROW * row)
    yield svg.text(
        left + _NAMES,
        bottom + 30,
        f"for each item, log scale; {TIMES}: the time of {OURS}",
        "small",
    )


def _bar(measured: Measured, name: str, median: float, scale: Scale, y: float) -> Iterator[str]:
    ours = name == OURS
    times = ratio(measured.figures[name], measured.figures.get(OURS, ()))
    compared = f" · {number(times.median)}{TIMES}" if times and not ours else ""
    end = scale(median)
    yield svg.text(scale.start - 8, y + 13, name, "end strong" if ours else "end")
    yield svg.bar(scale.start, y + 3, end - scale.start, _ROW - 7, "ours" if ours else "bar")
    yield svg.text(end + 6, y + 13, _nanoseconds(median) + compared, "strong" if ours else "")


def _nanoseconds(value: float) -> str:
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"


# Lines.


def lines(grown: Sequence[Grown]) -> str:
    """Return the picture of several growths; memory has a plot of its own."""
    plots = [plot for each in grown for plot in _plots(each)]
    return plotted(plots, "Cost as the work grows")


@dataclass(frozen=True)
class Plot:
    """What one plot shows: a title, what the axes are, a line of medians for each side.

    The upper end of the scale is `least` at least: what is nearly nothing shall look like it.
    """

    title: str
    axis: str
    unit: str
    curves: Mapping[str, Mapping[int, float]]
    least: float = 0.0


def plotted(plots: Sequence[Plot], title: str) -> str:
    """Return the picture of several plots, two in a row."""
    marks: list[str] = []
    for index, plot in enumerate(plots):
        left = (index % 2) * (_WIDTH - _COLUMN)
        marks += _plot(plot, left, (index // 2) * (_PLOT + 84))
    height = -(-len(plots) // 2) * (_PLOT + 84)
    return svg.picture(_WIDTH, height, title, marks)


def _plots(grown: Grown) -> Iterator[Plot]:
    growth = grown.growth
    title, unit = growth.workload.title, growth.workload.unit.name
    yield Plot(title, growth.axis, unit, _curves(grown, "figures"))
    if growth.megabytes is not None:
        curves = _curves(grown, "megabytes")
        yield Plot(f"{title}: memory", growth.axis, "peak MB", curves, growth.megabytes)


def _curves(grown: Grown, kind: str) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = {}
    for point, measured in sorted(grown.points.items()):
        for name, values in getattr(measured, kind).items():
            if found := spread(values):
                curves.setdefault(name, {})[point] = found.median
    return curves


def _plot(plot: Plot, left: float, top: float) -> Iterator[str]:
    points = sorted({point for curve in plot.curves.values() for point in curve})
    if len(points) < 2:
        return
    along = Scale(points[0], points[-1], left + 44, _COLUMN - 44 - 16)
    values = [value for curve in plot.curves.values() for value in curve.values()]
    most = _round_up(max(plot.least, *values))
    base = top + 44 + _PLOT

    def height(value: float) -> float:
        return base - _PLOT * value / most

    yield svg.text(left, top + 16, plot.title, "title")
    yield svg.text(left + 44, top + 34, plot.unit, "small")
    for value in (0, most / 2, most):
        yield svg.line(left + 44, height(value), left + _COLUMN - 16, height(value), "grid")
        yield svg.text(left + 38, height(value) + 4, f"{value:,.6g}", "small end")
    for point in points:
        yield svg.text(along(point), base + 16, _short(point), "small middle")
    legend = left + 150.0
    for color, (name, curve) in zip("abcd", plot.curves.items(), strict=False):
        yield from svg.curve([(along(x), height(y)) for x, y in curve.items()], color)
        yield svg.bar(legend, top + 27, 8, 8, f"key-{color}")
        yield svg.text(legend + 12, top + 34, name, "small")
        legend += 24 + 6.5 * len(name)
    yield svg.text(left + 44, base + 32, f"{plot.axis}, log scale", "small")


def _round_up(value: float) -> float:
    """Return the next 1, 2, 5 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power)


def _short(value: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return str(value)
