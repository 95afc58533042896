"""Report of instructions for each token: a table, JSON and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory.bench.results import BarChart, Results
from factory.bench.tokens.benchmark import PARTS, REST, Measurement

MILLION = 1e6
NAMES = (*PARTS, REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement in the JSON output; counts are for each token."""

    system: str
    profile: str
    tokens: Sequence[int]
    total: float
    weighted: float
    parts: Mapping[str, float]


def report(measurements: Sequence[Measurement]) -> Results:
    """Report the counts; ratios are to the first program on the same profile."""
    rows = [_row(each) for each in measurements]
    first = {each.profile: each.total for each in reversed(rows)}
    return Results(
        preface=("Instructions for each generated token, millions, one thread, counted under QEMU.",),
        headings=("program", "profile", "total", "ratio", "weighted", *NAMES),
        rows=[
            (
                each.system,
                each.profile,
                _millions(each.total),
                f"{each.total / first[each.profile]:.2f}",
                _millions(each.weighted),
                *(_millions(each.parts[part]) for part in NAMES),
            )
            for each in rows
        ],
        data=rows,
        chart=BarChart(
            title="Instructions for each generated token",
            axis="instructions, millions",
            groups=[f"{each.system}, {each.profile}" for each in rows],
            series={part: [each.parts[part] / MILLION for each in rows] for part in NAMES},
            stacked=True,
            notes="one thread, counted under QEMU; counts are not times",
        ),
    )


def _row(measurement: Measurement) -> Row:
    parts = measurement.per_token
    return Row(
        system=measurement.system,
        profile=measurement.profile,
        tokens=measurement.tokens,
        total=sum(parts.values()),
        weighted=measurement.weighted,
        parts=parts,
    )


def _millions(count: float) -> str:
    return f"{count / MILLION:.1f}"
