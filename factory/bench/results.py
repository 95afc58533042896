"""What a benchmark hands back: a table for people, the same for programs, and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Bars above `groups`; each of `series` has a value for each group, stacked or side by side, None for no bar.

    `axis` says what the values are, with their unit. `notes` are printed below the bars.
    """

    title: str
    axis: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    stacked: bool = False
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A table with the lines that belong above it, its values as `data` (see `factory.serial.dumps`), and a chart."""

    preface: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: object
    chart: BarChart
