"""What a benchmark hands back: a table for people, the same for programs, and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Bars from left to right, a row of them for each of `groups`.

    Each of `series` has a value for each group, None for no bar; they follow each other in one bar where `stacked`.

    `axis` says what the values are, with their unit. `notes` are printed below it.
    """

    title: str
    axis: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    stacked: bool = False
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A table with the lines that belong above it, its values as `data` (see `jsonio.dumps`), and a chart."""

    preface: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: object
    chart: BarChart
