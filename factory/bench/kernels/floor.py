"""Theoretical floor of instruction counts, by the size of the vector registers.

A kernel that keeps 32-bit sums in registers needs for every eight registers of sums at least one multiply-add, and must
load each streamed element once for the rows whose sums fit beside it. An instruction moves at most eight registers.
Scalar instructions, vset and stores of results are not counted, so a real kernel stays above the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.bench.kernels.definition import Case

REGISTERS = 32
WIDEST = 8
SUM_BITS = 32
LMULS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Least instructions for a multiply-add: `total`, and `weighted` by registers."""

    total: float
    weighted: float


def floor_of(case: Case, vlen: int) -> Floor:
    """Return the floor of a case: the least of every tile that fits in the registers."""
    tiles = [
        (rows, lmul)
        for lmul in LMULS
        for rows in range(1, case.rows + 1)
        if rows * lmul + max(1, _streamed(case, lmul)) <= REGISTERS
    ]
    lanes = vlen / SUM_BITS
    return Floor(
        total=min(_instructions(case, rows, lmul) / (rows * lmul * lanes) for rows, lmul in tiles),
        weighted=min(_registers(case, rows) / (rows * lanes) for rows, _ in tiles),
    )


def _streamed(case: Case, lmul: int) -> float:
    """Return the registers of the streamed elements that `lmul` registers of sums need."""
    return lmul * case.bits / SUM_BITS


def _instructions(case: Case, rows: int, lmul: int) -> float:
    """Count for `lmul` registers of sums in each of `rows`."""
    return case.operations * rows + case.preparation + case.moves * _streamed(case, lmul) / WIDEST


def _registers(case: Case, rows: int) -> float:
    """Count the registers for one register of sums in each of `rows`.

    Preparation is at least as wide as the streamed elements.
    """
    return case.operations * rows + (case.preparation + case.moves) * case.bits / SUM_BITS
