"""Results of a benchmark: a table, its values as JSON, and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """A chart of horizontal bars, one row for each group.

    Each of `series` has a value for each group; None draws no bar. With `stacked`, the series form one bar per group.
    `axis` names the quantity and its unit. `notes` are printed below the axis.
    """

    title: str
    axis: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    stacked: bool = False
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A table with its preface, the values as `data` for JSON, and a chart."""

    preface: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: object
    chart: BarChart
