"""Report of instruction counts: tables, JSON and charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from factory.bench.instructions.benchmark import Measurement
from factory.bench.instructions.classes import CLASSES, Counts
from factory.bench.results import BarChart, Results

MILLION = 1e6
SHOWN_VTYPES = 3
WEIGHTED = "weighted: a vector instruction counts once per register of its widest operand. Counts are not times."
NOTES = "one thread, counted under QEMU; counts are not times"
COMPARED: Mapping[str, Callable[[Counts], float]] = {
    "total": lambda counts: counts.total,
    "weighted": lambda counts: counts.weighted,
    "code": lambda counts: counts.code_bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement in the JSON output: the counts with their sums."""

    case: str
    wheel: str
    profile: str
    total: int
    weighted: float
    by_class: Mapping[str, int]
    by_vtype: Mapping[str, int]
    code_bytes: int


def report(label: str, measurements: Sequence[Measurement]) -> Results:
    """Report the counts of one package; ratios are to the first line of each case."""
    first = {each.case: each.counts for each in reversed(measurements)}
    return Results(
        preface=(
            f"{label}: instructions of one call in the package's libraries, one thread, counted under QEMU.",
            WEIGHTED,
        ),
        headings=("case", "wheel", "profile", "total", "ratio", "weighted", *CLASSES, "code", "vector by type"),
        rows=[(each.case, each.wheel, each.profile, *_cells(each.counts, first[each.case])) for each in measurements],
        data=_data(measurements),
        chart=_chart(label, measurements, first),
    )


def compare(label: str, measurements: Sequence[Measurement]) -> Results:
    """Compare wheels case by case; ratios are to the first wheel."""
    by_cell: dict[tuple[str, str], dict[str, Counts]] = {}
    for each in measurements:
        by_cell.setdefault((each.case, each.profile), {})[each.wheel] = each.counts
    first, *others = dict.fromkeys(each.wheel for each in measurements)
    columns = [f"{quantity}, {wheel}" for quantity in COMPARED for wheel in (first, *others)]
    ratios = [f"{quantity}, {other}/{first}" for quantity in COMPARED for other in others]
    return Results(
        preface=(
            f"{label}: instructions of one call in the package's libraries, one thread, counted under QEMU.",
            WEIGHTED,
        ),
        headings=("case", "profile", *columns, *ratios),
        rows=[
            (
                *cell,
                *(f"{value(counts[wheel]):,.0f}" for value in COMPARED.values() for wheel in (first, *others)),
                *(_ratio(value, counts[other], counts[first]) for value in COMPARED.values() for other in others),
            )
            for cell, counts in by_cell.items()
        ],
        data=_data(measurements),
        chart=BarChart(
            title=f"{label}: instructions, weighted by registers",
            axis=f"ratio to {first}",
            groups=[", ".join(cell) for cell in by_cell],
            series={
                wheel: [counts[wheel].weighted / counts[first].weighted for counts in by_cell.values()]
                for wheel in (first, *others)
            },
            notes=NOTES,
        ),
    )


def _ratio(value: Callable[[Counts], float], counts: Counts, first: Counts) -> str:
    return f"{value(counts) / value(first):.3f}"


def _data(measurements: Sequence[Measurement]) -> tuple[Row, ...]:
    return tuple(
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
    """Format the most frequent vector types and shares: "e32 m2 90%, e8 mf4 10%"."""
    largest = sorted(counts.by_vtype.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_VTYPES]
    return ", ".join(f"{vtype} {count / counts.vector:.0%}" for vtype, count in largest)


def _chart(label: str, measurements: Sequence[Measurement], first: Mapping[str, Counts]) -> BarChart:
    """Chart the classes in millions; for several cases, relative to each first line."""
    several_cases, several_wheels = len(first) > 1, len({each.wheel for each in measurements}) > 1

    def name(each: Measurement) -> str:
        return ", ".join([each.case] * several_cases + [each.wheel] * several_wheels + [each.profile])

    def value(each: Measurement, kind: str) -> float:
        return each.counts.by_class.get(kind, 0) / (first[each.case].total if several_cases else MILLION)

    return BarChart(
        title=f"{label}: executed instructions" + ("" if several_cases else f", {measurements[0].case}"),
        axis="instructions, the first line of each case is 1" if several_cases else "instructions, millions",
        groups=[name(each) for each in measurements],
        series={
            kind: [value(each, kind) for each in measurements]
            for kind in CLASSES
            if any(each.counts.by_class.get(kind) for each in measurements)
        },
        stacked=True,
        notes=NOTES,
    )
