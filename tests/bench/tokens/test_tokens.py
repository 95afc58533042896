"""Tests of counts by part of a process, and of their report."""

from __future__ import annotations

import runpy
from fractions import Fraction

import pytest

from factory.bench.instructions.trace import Instruction
from factory.bench.tokens.benchmark import SYSTEMS, Measurement, by_part, part_of
from factory.bench.tokens.report import report
from tests.support.checkouts import ROOT

ADD = 0x00B50533  # add a0, a0, a1
MAPS = """\
00010000-00020000 r-xp 00000000 00:1d 7 /opt/venv/bin/python3.14
00400000-00500000 r-xp 00000000 00:1d 8 /opt/venv/lib/python3.14/site-packages/vllm/_C_RVV256_ZVFH.abi3.so
00500000-00600000 rw-p 00000000 00:00 0
00700000-00800000 r-xp 00000000 00:1d 9 /usr/lib/libc.so.6
"""


def counted(address: int) -> Instruction:
    return Instruction(address, ADD, 4, 8, Fraction(1))


def test_by_part_takes_the_file_of_each_address() -> None:
    counts = {counted(0x10010): 3, counted(0x400010): 5, counted(0x700010): 7, counted(0x900000): 11}
    totals = {part: each.total for part, each in by_part(counts, MAPS).items()}
    assert totals == {"kernels": 5, "PyTorch": 0, "Python": 3, "rest": 18}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/opt/venv/lib/python3.14/site-packages/vllm/_C.abi3.so", "kernels"),
        ("/opt/venv/lib/python3.13/site-packages/llama_cpp/lib/libggml-cpu-riscv64_v.so", "kernels"),
        ("/opt/venv/lib/python3.14/site-packages/torch.libs/libopenblas-8a.so.0", "kernels"),
        ("/opt/venv/lib/python3.14/site-packages/torch/lib/libtorch_cpu.so", "PyTorch"),
        ("/opt/venv/lib/python3.14/site-packages/_cffi_backend.cpython-314-riscv64-linux-gnu.so", "Python"),
        ("/usr/lib/riscv64-linux-gnu/libc.so.6", "rest"),
    ],
)
def test_part_of_file_is_that_of_its_library(path: str, part: str) -> None:
    assert part_of(path) == part


def test_report_counts_each_token_and_compares_to_the_first() -> None:
    rows = [
        Measurement(
            system=system, profile="k1", tokens=(1, 2), counted=2, parts=by_part({counted(0x10010): count}, MAPS)
        )
        for system, count in (("llama.cpp Q4_1", 4_000_000), ("vLLM W4A16", 10_000_000))
    ]
    found = report(rows)
    assert [row[:4] for row in found.rows] == [
        ("llama.cpp Q4_1", "k1", "2.0", "1.00"),
        ("vLLM W4A16", "k1", "5.0", "2.50"),
    ]


def test_script_of_the_recipe_knows_the_systems() -> None:
    assert tuple(runpy.run_path(str(ROOT / "recipes/vllm/tokens.py"))["SYSTEMS"]) == SYSTEMS
