"""Conversions and arithmetic of every type, compared with exact values."""

from __future__ import annotations

import json
import math
import os
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np

FLOATS = [getattr(ml_dtypes, name) for name in dir(ml_dtypes) if name.startswith(("bfloat", "float"))]
INTEGERS = [getattr(ml_dtypes, name) for name in ("int2", "uint2", "int4", "uint4")]


def values_of(kind: type) -> np.ndarray:
    """Return every value of a type with at most 16 bits."""
    bits = ml_dtypes.finfo(kind).bits
    storage = np.uint8 if bits <= 8 else np.uint16
    return np.arange(2**bits, dtype=np.uint32).astype(storage).view(kind)


def check_float(kind: type) -> int:
    """Round numbers to the nearest value, ties to the even one, and add, multiply and compare."""
    every = values_of(kind)
    wide = every.astype(np.float64)
    assert np.array_equal(wide.astype(kind).astype(np.float64), wide, equal_nan=True), kind
    finite = np.unique(wide[np.isfinite(wide)])
    middles = (finite[1:] + finite[:-1]) / 2
    source = np.random.default_rng(20261130)
    numbers = np.concatenate([middles, source.uniform(finite[0], finite[-1], 2000), source.choice(finite, 500)])
    rounded = numbers.astype(kind).astype(np.float64)
    after = np.clip(np.searchsorted(finite, numbers), 1, len(finite) - 1)
    low, high = finite[after - 1], finite[after]
    best = np.minimum(numbers - low, high - numbers)
    assert np.array_equal(np.abs(rounded - numbers), best), kind
    # float8_e8m0fnu has powers of two alone: no zero, no sign, no even mantissa.
    if kind is not getattr(ml_dtypes, "float8_e8m0fnu", None):
        ties = middles.astype(kind)
        storage = np.uint16 if ml_dtypes.finfo(kind).bits > 8 else np.uint8
        assert not np.any(ties.view(storage) & 1 & (ties.astype(np.float64) != 0)), kind
        left, right = source.choice(every[np.isfinite(wide)], (2, 3000))
        with np.errstate(all="ignore"):
            for found, exact in (
                (left + right, left.astype(np.float64) + right.astype(np.float64)),
                (left * right, left.astype(np.float64) * right.astype(np.float64)),
            ):
                expected = exact.astype(np.float32).astype(kind).astype(np.float64)
                assert np.array_equal(found.astype(np.float64), expected, equal_nan=True), kind
        assert np.array_equal(left < right, left.astype(np.float64) < right.astype(np.float64)), kind
    return len(numbers)


def check_integer(kind: type) -> None:
    """Add and multiply all pairs, modulo the type's size."""
    info = ml_dtypes.iinfo(kind)
    numbers = np.arange(info.min, info.max + 1)
    left, right = np.meshgrid(numbers, numbers)
    for found, exact in (
        (left.astype(kind) + right.astype(kind), left + right),
        (left.astype(kind) * right.astype(kind), left * right),
    ):
        size = info.max - info.min + 1
        assert np.array_equal(found.astype(int), (exact - info.min) % size + info.min), kind


numbers = sum(map(check_float, FLOATS))
for kind in INTEGERS:
    check_integer(kind)
third = ml_dtypes.bfloat16(1 / 3)
assert Fraction(float(third)) == Fraction(171, 512), float(third)
assert float(ml_dtypes.float8_e4m3fn(448)) == 448.0
assert math.isnan(float(ml_dtypes.float8_e4m3fn(1e6)))
matrix = np.arange(12, dtype=np.float32).reshape(3, 4).astype(ml_dtypes.bfloat16)
assert (matrix @ matrix.T).astype(np.float32).tolist() == [[14, 38, 62], [38, 126, 214], [62, 214, 366]]

shown = f"ml_dtypes {ml_dtypes.__version__}: {len(FLOATS)} float types round {numbers} numbers to the nearest value"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
