"""Tests of the floor of instruction counts, with numbers computed by hand."""

from __future__ import annotations

import pytest

from factory.bench.kernels.definition import Case
from factory.bench.kernels.floor import floor_of

DECODE = Case(macs=1, rows=1, bits=16)
PREFILL = Case(macs=1, rows=8, bits=16)


def test_floor_of_one_row_is_half_a_load_per_multiply_add() -> None:
    """64 sums in eight registers take one multiply-add and half of a load of eight."""
    assert floor_of(DECODE, 256).total == 1.5 / 64
    assert floor_of(DECODE, 256).weighted == 1.5 / 8


def test_floor_of_several_rows_shares_loads() -> None:
    """Three rows of 64 sums take 28 registers; eight rows fit with fewer columns."""
    assert floor_of(PREFILL, 256).total == pytest.approx(3.5 / (3 * 64))
    assert floor_of(PREFILL, 256).weighted == (8 + 0.5) / (8 * 8)


def test_floor_is_inverse_to_vlen() -> None:
    assert floor_of(PREFILL, 1024).total == floor_of(PREFILL, 256).total / 4
    assert floor_of(DECODE, 128).weighted == floor_of(DECODE, 256).weighted * 2


def test_floor_of_wide_elements_is_higher() -> None:
    assert floor_of(Case(macs=1, rows=1, bits=32), 256).total == 2 / 64


def test_floor_counts_preparation_once_for_all_rows() -> None:
    narrow = Case(macs=1, rows=1, bits=4, preparation=2)
    shared = Case(macs=1, rows=3, bits=4, preparation=2)
    assert floor_of(narrow, 256).total == (1 + 2 + 1 / 8) / 64
    assert floor_of(shared, 256).total == (3 + 2 + 1 / 8) / (3 * 64)


def test_floor_of_softmax_has_moves_and_operations() -> None:
    softmax = Case(macs=1, rows=1, bits=32, moves=3, operations=10)
    assert floor_of(softmax, 256).total == 13 / 64
