"""Cost of one run, for benchmarks that print several runs in a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: wall seconds, processor seconds, and peak megabytes of its processes."""

    seconds: float
    processors: float
    megabytes: float


def wall_and_peak(runs: Sequence[Measured]) -> tuple[str, str]:
    """Return the cells of several runs: least and median wall time, and largest peak."""
    walls = [each.seconds for each in runs]
    return f"{min(walls):.2f}/{median(walls):.2f}", f"{max(each.megabytes for each in runs):.0f} MB"
