"""Tests of the report of `factory bench kernels` for a recipe with kernels."""

from __future__ import annotations

from dataclasses import replace

from factory.bench.instructions.classes import Counts
from factory.bench.kernels.benchmark import Measurement
from factory.bench.kernels.floor import Floor
from factory.bench.kernels.report import HEADINGS, report
from factory.util.jsonio import dumps

UPSTREAM = Measurement(
    case="attention M=1 fp16",
    tree="upstream",
    profile="k1",
    macs=1000,
    counts=Counts(
        by_class={"integer": 300, "loads": 100, "vector": 400, "vector loads": 100, "vset": 100},
        by_vtype={"e16 mf2": 100, "e32 m1": 400},
        registers=500.0,
        code_bytes=100,
    ),
    floor=Floor(total=0.0234, weighted=0.1875),
    cycles=2000.0,
)
OURS = replace(
    UPSTREAM,
    tree="patched",
    counts=Counts(by_class={"vector": 250}, by_vtype={"e32 m4": 250}, registers=1000.0, code_bytes=50),
    cycles=1500.0,
)
WIDE = replace(OURS, profile="vlen1024", cycles=None)


def test_row_has_values_for_each_multiply_add() -> None:
    row = report("vllm 0.33.0", [UPSTREAM]).rows[0]
    assert len(row) == len(HEADINGS)
    assert row[:6] == ("attention M=1 fp16", "k1", "upstream", "1.0000", "1.000", "0.0234")
    assert row[6:9] == ("1.0000", "1.000", "0.1875")
    assert row[9:] == ("0.4000", "0.1000", "0.5000", "m1 0.4000, mf2 0.1000", "0.2000", "0.0000", "2.0000", "1.000")


def test_row_of_our_kernels_has_ratios_to_upstream() -> None:
    row = report("vllm 0.33.0", [UPSTREAM, OURS]).rows[1]
    assert (row[3], row[4], row[7], row[-1]) == ("0.2500", "0.250", "1.000", "0.750")


def test_row_without_upstream_has_no_ratio() -> None:
    row = report("vllm 0.33.0", [UPSTREAM, OURS, WIDE]).rows[2]
    assert (row[1], row[4], row[-2], row[-1]) == ("vlen1024", "-", "-", "-")


def test_chart_has_trees_and_floor() -> None:
    chart = report("vllm 0.33.0", [UPSTREAM, OURS, WIDE]).chart
    assert list(chart.groups) == ["attention M=1 fp16, k1", "attention M=1 fp16, vlen1024"]
    assert dict(chart.series) == {"upstream": [1.0, None], "patched": [0.25, 0.25], "floor": [0.0234, 0.0234]}


def test_json_has_counts_by_lmul() -> None:
    text = dumps(report("vllm 0.33.0", [UPSTREAM]).data)
    assert '"predicted_cycles": 2000.0' in text
    assert '"m1": 400' in text
