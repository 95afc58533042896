"""Functions compiled and run, and some of numba's own tests."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
from numba import njit, prange, vectorize
from numba.core import types
from numba.experimental import jitclass
from numba.typed import Dict, List

SAMPLE = ("numba.tests.test_nrt.TestNrtMemInfo", "numba.tests.test_ctypes.TestCTypesUseCases")
source = np.random.default_rng(20261201)


@njit
def collatz(limit: int) -> tuple[int, int]:
    """Return the number below a limit with the longest sequence, and its length."""
    best, longest = 0, 0
    for start in range(1, limit):
        number, length = start, 1
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            length += 1
        if length > longest:
            best, longest = start, length
    return best, longest


@njit(fastmath=True)
def dot(a, b):  # noqa: ANN001, ANN201 - numba finds the types
    total = a.dtype.type(0)
    for index in range(len(a)):
        total += a[index] * b[index]
    return total


@njit(parallel=True)
def rows(matrix):  # noqa: ANN001, ANN201
    """Sum each row, in threads."""
    out = np.zeros(matrix.shape[0])
    for row in prange(matrix.shape[0]):
        out[row] = np.sqrt(np.abs(matrix[row])).sum()
    return out


@njit
def refused(number):  # noqa: ANN001, ANN201
    if number > 3:
        raise ValueError("too large", number)
    return 10 // number


@njit
def counted(words):  # noqa: ANN001, ANN201
    counts = Dict.empty(types.unicode_type, types.int64)
    for word in words:
        counts[word.upper()] = counts.get(word.upper(), 0) + 1
    return counts


@vectorize(["float64(float64, float64)"])
def hypotenuse(a, b):  # noqa: ANN001, ANN201
    return math.sqrt(a * a + b * b)


@jitclass([("values", types.float64[:]), ("used", types.int64)])
class Stack:
    """A class whose methods are compiled."""

    def __init__(self, size: int) -> None:
        self.values = np.empty(size)
        self.used = 0

    def push(self, value: float) -> None:
        self.values[self.used] = value
        self.used += 1

    def total(self) -> float:
        return self.values[: self.used].sum()


def check_errors() -> None:
    for number, kind in ((4, ValueError), (0, ZeroDivisionError)):
        try:
            refused(number)
        except kind:
            continue
        raise AssertionError(f"{number}: no {kind.__name__}")
    assert refused(3) == 3


def check_numbers() -> None:
    for size in (0, 1, 7, 64, 1001):
        for kind in (np.float32, np.int64):
            a, b = (source.integers(-9, 9, size).astype(kind) for _ in range(2))
            assert dot(a, b) == (a * b).sum(), (size, kind)
        matrix = source.standard_normal((17, size))
        assert np.allclose(rows(matrix), np.sqrt(np.abs(matrix)).sum(axis=1))
        a, b = source.standard_normal((2, size))
        assert np.allclose(hypotenuse(a, b), np.hypot(a, b))


def own_tests() -> int:
    """Run the sample, and return how many tests it has."""
    found = subprocess.run(
        [sys.executable, "-m", "numba.runtests", *SAMPLE], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]
    return int(found.stderr.rpartition("Ran ")[2].split()[0])


assert collatz(3000) == (2919, 217)
check_numbers()
check_errors()
assert dict(counted(List(["a", "é", "A", "bb"]))) == {"A": 2, "É": 1, "BB": 1}
stack = Stack(10)
for number in range(5):
    stack.push(number / 2)
assert stack.total() == 5.0
dot(*source.standard_normal((2, 8), dtype=np.float32))
assembly = "".join(text for kinds, text in dot.inspect_asm().items() if kinds[0].dtype == types.float32)
vectors = any(name in assembly for name in ("vfmacc.v", "vfmadd.v", "vfmul.v", "vfredusum"))
tests = own_tests()

shown = (
    f"numba {numba.__version__}: compiled functions agree with Python, {tests} of its tests pass, vectors: {vectors}"
)
result = {"shown": shown, "facts": {"vectors": vectors}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
