"""Report of kernels: counts for each multiply-add as a table, JSON and a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory.bench.instructions.classes import LOADS, STORES, VECTOR_LOADS, VECTOR_STORES, VSET, Counts
from factory.bench.instructions.report import NOTES, WEIGHTED
from factory.bench.kernels.benchmark import Measurement
from factory.bench.kernels.definition import UPSTREAM
from factory.bench.results import BarChart, Results

HEADINGS = (
    "case",
    "profile",
    "kernels",
    "total",
    "ratio",
    "floor",
    "weighted",
    "ratio",
    "floor",
    "scalar",
    "vset",
    "vector",
    "vector by LMUL",
    "loads",
    "stores",
    "cycles",
    "ratio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement in the JSON output: counts of one call, and floors for each multiply-add."""

    case: str
    profile: str
    kernels: str
    macs: int
    total: int
    weighted: float
    by_class: Mapping[str, int]
    by_vtype: Mapping[str, int]
    by_lmul: Mapping[str, int]
    total_floor: float
    weighted_floor: float
    predicted_cycles: float | None


def report(label: str, measurements: Sequence[Measurement]) -> Results:
    """Report the counts of a recipe's kernels; ratios are to upstream's on the same profile."""
    upstream = {(each.case, each.profile): each for each in measurements if each.tree == UPSTREAM}
    return Results(
        preface=(
            f"{label}: instructions for each multiply-add of one call, one thread, counted under QEMU.",
            WEIGHTED,
            "floor: the least that any kernel of that kind executes. cycles: predicted by llvm-mca for spacemit-x60.",
        ),
        headings=HEADINGS,
        rows=[_cells(each, upstream.get((each.case, each.profile))) for each in measurements],
        data=tuple(map(_row, measurements)),
        chart=_chart(label, measurements),
    )


def by_lmul(counts: Counts) -> dict[str, int]:
    """Sum vector instructions by LMUL."""
    summed: Counter[str] = Counter()
    for vtype, count in counts.by_vtype.items():
        summed[vtype.split(" ")[1]] += count
    return dict(sorted(summed.items(), key=lambda item: -item[1]))


def _cells(each: Measurement, upstream: Measurement | None) -> tuple[str, ...]:
    counts, of = each.counts, each.counts.by_class.get
    shares = ", ".join(f"{lmul} {_shown(count / each.macs)}" for lmul, count in by_lmul(counts).items())
    values = [counts.total - counts.vector - of(VSET, 0), of(VSET, 0), counts.vector]
    moved = [of(LOADS, 0) + of(VECTOR_LOADS, 0), of(STORES, 0) + of(VECTOR_STORES, 0)]
    cycles = None if each.cycles is None else each.cycles / each.macs
    return (
        each.case,
        each.profile,
        each.tree,
        _shown(counts.total / each.macs),
        _ratio(counts.total, upstream.counts.total if upstream else None),
        _shown(each.floor.total),
        _shown(counts.weighted / each.macs),
        _ratio(counts.weighted, upstream.counts.weighted if upstream else None),
        _shown(each.floor.weighted),
        *(_shown(value / each.macs) for value in values),
        shares,
        *(_shown(value / each.macs) for value in moved),
        "-" if cycles is None else _shown(cycles),
        _ratio(each.cycles, upstream.cycles if upstream else None),
    )


def _shown(value: float) -> str:
    return f"{value:.4f}"


def _ratio(value: float | None, base: float | None) -> str:
    return "-" if value is None or not base else f"{value / base:.3f}"


def _row(each: Measurement) -> Row:
    return Row(
        case=each.case,
        profile=each.profile,
        kernels=each.tree,
        macs=each.macs,
        total=each.counts.total,
        weighted=each.counts.weighted,
        by_class=each.counts.by_class,
        by_vtype=each.counts.by_vtype,
        by_lmul=by_lmul(each.counts),
        total_floor=each.floor.total,
        weighted_floor=each.floor.weighted,
        predicted_cycles=each.cycles,
    )


def _chart(label: str, measurements: Sequence[Measurement]) -> BarChart:
    cells = {(each.case, each.profile): each.floor.total for each in measurements}
    totals = {(each.case, each.profile, each.tree): each.counts.total / each.macs for each in measurements}
    trees = dict.fromkeys(each.tree for each in measurements)
    return BarChart(
        title=f"{label}: executed instructions",
        axis="instructions for each multiply-add",
        groups=[", ".join(cell) for cell in cells],
        series={
            **{tree: [totals.get((*cell, tree)) for cell in cells] for tree in trees},
            "floor": list(cells.values()),
        },
        notes=NOTES,
    )
