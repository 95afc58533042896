"""Charts as SVG files; the same values give the same bytes.

This is the only importer of matplotlib, which the `bench` extra installs.
"""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from factory.bench.extra import require_library
from factory.bench.results import BarChart
from factory.errors import FactoryError
from factory.util.atomic_files import write_if_changed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SETTINGS = {
    # Derive identifiers from the content instead of random numbers.
    "svg.hashsalt": "riscv64-wheel-factory",
    # Keep text as text: it is searchable and needs no particular font.
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Omit the date and the version of matplotlib.
METADATA = {"Date": None, "Creator": None}
INCHES_PER_BAR = 0.28
# The colour-blind-safe palette of Okabe and Ito, then shades of grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000", "#999999", "#CCCCCC")


def require_plots(path: Path) -> None:
    """Check, before a measurement, that a chart can be drawn and written to `path`.

    Raises:
        PrerequisiteMissing: matplotlib is not installed.
        FactoryError: `path` cannot be the name of a new SVG file.
    """
    if path.suffix != ".svg":
        raise FactoryError(f"--plot {path}: charts are SVG files", hint=f"--plot {path.with_suffix('.svg')}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise FactoryError(
            f"--plot {path}: cannot write a file there: it is a directory, or its parent directory does not exist",
            hint=f"mkdir --parents {path.parent}",
        )
    require_library("matplotlib", "--plot")


def write_svg(chart: BarChart, path: Path) -> None:
    """Draw a chart and write it to `path` atomically."""
    write_if_changed(path, draw(chart))


def draw(chart: BarChart) -> bytes:
    """Draw a chart as SVG."""
    import matplotlib.style
    from matplotlib.figure import Figure

    bars = len(chart.groups) * (1 if chart.stacked else len(chart.series))
    with matplotlib.style.context(["default", SETTINGS]):  # ignore the user's settings
        figure = Figure(figsize=(8.0, max(2.5, 1.5 + INCHES_PER_BAR * bars)), layout="constrained")
        axes = figure.add_subplot()
        (_stack if chart.stacked else _place_side_by_side)(axes, chart)
        axes.set_title(chart.title)
        axes.set_xlabel(f"{chart.axis}\n{chart.notes}".rstrip())
        axes.set_yticks(range(len(chart.groups)), list(chart.groups))
        axes.invert_yaxis()
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        written = BytesIO()
        figure.savefig(written, format="svg", metadata=METADATA)
    return written.getvalue()


def _stack(axes: Axes, chart: BarChart) -> None:
    lengths = [[value or 0.0 for value in values] for values in chart.series.values()]
    ends = list(accumulate(lengths, lambda low, high: [a + b for a, b in zip(low, high, strict=True)]))
    starts = [[0.0] * len(chart.groups), *ends]
    for number, (name, values) in enumerate(zip(chart.series, lengths, strict=True)):
        axes.barh(range(len(values)), values, left=starts[number], label=name, color=_colour(number), height=0.7)


def _place_side_by_side(axes: Axes, chart: BarChart) -> None:
    height = 0.8 / len(chart.series)
    for number, (name, values) in enumerate(chart.series.items()):
        below = (number - (len(chart.series) - 1) / 2) * height
        places = [group + below for group in range(len(values))]
        axes.barh(places, [value or 0.0 for value in values], label=name, color=_colour(number), height=height)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
