"""Counts as tables, JSON and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory.bench.classes import CLASSES, Counts
from factory.bench.instructions import Measurement
from factory.bench.results import BarChart, Results

MILLION = 1e6
SHOWN_VTYPES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement as it is written as JSON: the counts with their sums."""

    case: str
    wheel: str
    profile: str
    total: int
    weighted: float
    by_class: Mapping[str, int]
    by_vtype: Mapping[str, int]
    code_bytes: int


def report(label: str, measurements: Sequence[Measurement]) -> Results:
    """The counts of cases of one package; the ratios are to the first line of each case."""
    wheels = list(dict.fromkeys(each.wheel for each in measurements))
    cases = list(dict.fromkeys(each.case for each in measurements))
    first = {each.case: each.counts for each in reversed(measurements)}
    return Results(
        preface=(
            f"{label}: instructions that one call executes in the package's libraries, one thread, counted under QEMU.",
            "weighted: vector instructions count once for each register of the widest operand. Counts are no times.",
        ),
        headings=("case", "wheel", "profile", "total", "ratio", "weighted", *CLASSES, "code", "vector by type"),
        rows=[(each.case, each.wheel, each.profile, *_cells(each.counts, first[each.case])) for each in measurements],
        data=tuple(
            Row(
                case=each.case,
                wheel=each.wheel,
                profile=each.profile,
                total=each.counts.total,
                weighted=each.counts.weighted,
                by_class=each.counts.by_class,
                by_vtype=each.counts.by_vtype,
                code_bytes=each.counts.code_bytes,
            )
            for each in measurements
        ),
        chart=_chart(label, measurements, several_cases=len(cases) > 1, several_wheels=len(wheels) > 1),
    )


def _cells(counts: Counts, first: Counts) -> tuple[str, ...]:
    return (
        f"{counts.total:,}",
        f"{counts.total / first.total:.3f}",
        f"{counts.weighted:,.0f}",
        *(f"{counts.by_class.get(name, 0):,}" for name in CLASSES),
        f"{counts.code_bytes:,}",
        vtypes(counts),
    )


def vtypes(counts: Counts) -> str:
    """The most frequent types of vector instructions with their shares of these: "e32 m2 90%, e8 mf4 10%"."""
    largest = sorted(counts.by_vtype.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_VTYPES]
    return ", ".join(f"{vtype} {count / counts.vector:.0%}" for vtype, count in largest)


def _chart(label: str, measurements: Sequence[Measurement], *, several_cases: bool, several_wheels: bool) -> BarChart:
    def group(each: Measurement) -> str:
        return "\n".join(
            (each.profile, *([each.wheel] if several_wheels else []), *([each.case] if several_cases else []))
        )

    return BarChart(
        title=f"{label}: what executes" + ("" if several_cases else f", {measurements[0].case}"),
        axis="instructions, millions",
        groups=[group(each) for each in measurements],
        series={
            name: [each.counts.by_class.get(name, 0) / MILLION for each in measurements]
            for name in CLASSES
            if any(each.counts.by_class.get(name) for each in measurements)
        },
        stacked=True,
        notes="one thread, counted under QEMU; counts are no times",
    )
