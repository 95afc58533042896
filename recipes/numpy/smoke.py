"""Run numpy's compiled code and compare it with plain Python, at lengths that leave vector tails.

FACTORY_RESULT names the JSON file to write: what to show, and the facts `rvv`: whether the RVV loops were chosen, and
`core`: which core OpenBLAS chose.
FACTORY_PROFILE is the name of the profile that this runs on.
"""

import ctypes
import json
import math
import operator
import os
import random
import struct
from pathlib import Path

import numpy as np
from numpy._core._multiarray_umath import __cpu_features__
from numpy.lib.introspect import opt_func_info

LENGTHS = (1, 3, 7, 17, 33, 67, 131, 257, 1021)
INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)
# numpy's loops for these are among those that it compiles for RVV.
ONE_OPERAND = {
    "invert": operator.invert,
    "absolute": abs,
    "square": lambda x: x * x,
    "sign": lambda x: (x > 0) - (x < 0),
    "bitwise_count": lambda x: abs(x).bit_count(),
}


def main() -> None:
    source = random.Random(20240607)
    checks = (
        integer_loops,
        float_loops,
        elementary_functions,
        reductions,
        sorts,
        products,
        large_products,
        linear_algebra,
        fourier,
        generators,
    )
    for check in checks:
        check(source)
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    shown = f"numpy {np.__version__}: {names} agree with plain Python"
    facts = {"rvv": rvv_is_used(), "core": blas_core()}
    result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}; facts: {result['facts']}")


def rvv_is_used() -> bool:
    """What the loops of `invert` say they run, which must agree with the CPU's detected features."""
    loops = opt_func_info(func_name="^invert$")["invert"]
    used = any("RVV" in loop["current"] for loop in loops.values())
    same(used, bool(__cpu_features__.get("RVV", False)), "the chosen loops and the detected CPU features")
    return used


def blas_core() -> str:
    """What the OpenBLAS in the wheel says that it runs; there is one, and numpy's own configuration names it."""
    dependencies = np.show_config(mode="dicts")["Build Dependencies"]
    for part in ("blas", "lapack"):
        same((dependencies[part]["name"], dependencies[part]["found"]), ("openblas64", True), f"numpy's {part}")
    libraries = list((Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"))
    same(len(libraries), 1, "the number of OpenBLAS libraries in the wheel")
    ask = ctypes.CDLL(str(libraries[0])).openblas_get_corename64_
    ask.restype = ctypes.c_char_p
    answer: bytes = ask()
    return answer.decode()


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def near(found: object, expected: object, what: str, tolerance: float) -> None:
    """Compare within `tolerance`, relative to the largest expected magnitude."""
    found, expected = np.asarray(found), np.asarray(expected)
    error = np.max(np.abs(found - expected)) / max(float(np.max(np.abs(expected))), 1e-300)
    if not error <= tolerance:
        raise AssertionError(f"{what}: off by {error}, more than {tolerance}")


def integer_loops(source: random.Random) -> None:
    """Wrap-around, comparison, bits and shifts, on whole, shifted and strided arrays."""
    for dtype in INTEGERS:
        limits = np.iinfo(dtype)
        for length in LENGTHS:
            left = [source.randint(int(limits.min), int(limits.max)) for _ in range(length)]
            right = [source.randint(1, int(limits.max)) for _ in range(length)]
            for step in (slice(None), slice(1, None), slice(None, None, 3)):
                integer_case(np.array(left, dtype)[step], np.array(right, dtype)[step], left[step], right[step])


def integer_case(a: np.ndarray, b: np.ndarray, left: list[int], right: list[int]) -> None:
    info = np.iinfo(a.dtype)
    minimum, span = int(info.min), 2**info.bits
    for function in (operator.add, operator.sub, operator.mul, operator.and_, operator.xor, operator.floordiv):
        expected = [(function(x, y) - minimum) % span + minimum for x, y in zip(left, right, strict=True)]
        same(function(a, b).tolist(), expected, f"{function.__name__} of {len(left)} {a.dtype}")
    for name, function in ONE_OPERAND.items():
        expected = [(function(x) - minimum) % span + minimum for x in left]
        same(getattr(np, name)(a).tolist(), expected, f"{name} of {len(left)} {a.dtype}")
    shifted = [(x << y % 7) - minimum for x, y in zip(left, right, strict=True)]
    same((a << b % 7).tolist(), [x % span + minimum for x in shifted], f"left_shift of {len(left)} {a.dtype}")
    same((a >> b % 7).tolist(), [x >> y % 7 for x, y in zip(left, right, strict=True)], f"right_shift of {a.dtype}")
    same((a < b).tolist(), [x < y for x, y in zip(left, right, strict=True)], f"less of {len(left)} {a.dtype}")
    same(
        (~(a > 0) | (b > 9)).tolist(), [x <= 0 or y > 9 for x, y in zip(left, right, strict=True)], "logic on booleans"
    )
    same(np.maximum(a, b).tolist(), list(map(max, left, right)), f"maximum of {len(left)} {a.dtype}")


def float_loops(source: random.Random) -> None:
    """Quarters of small numbers: sums are exact in each dtype, so every bit counts."""
    for dtype in FLOATS:
        for length in LENGTHS:
            left = [source.randint(-200, 200) / 4 for _ in range(length)]
            right = [source.randint(1, 200) / 4 for _ in range(length)]
            a, b = np.array(left, dtype), np.array(right, dtype)
            what = f"of {length} {np.dtype(dtype)}"
            same((a + b).tolist(), [x + y for x, y in zip(left, right, strict=True)], f"add {what}")
            same((a - b)[::-1].tolist(), [x - y for x, y in zip(left, right, strict=True)][::-1], f"subtract {what}")
            same(np.minimum(a, b).tolist(), list(map(min, left, right)), f"minimum {what}")
            same((abs(a) >= b).tolist(), [abs(x) >= y for x, y in zip(left, right, strict=True)], f"compare {what}")
            same(np.sqrt(b).tolist(), [rounded(math.sqrt(y), dtype) for y in right], f"sqrt {what}")
            same(a.astype(np.float64).astype(dtype).astype(np.int8).tolist(), list(map(int, left)), f"casts {what}")


def rounded(value: float, dtype: type) -> float:
    code = np.dtype(dtype).char
    return struct.unpack(f"<{code}", struct.pack(f"<{code}", value))[0]


def elementary_functions(source: random.Random) -> None:
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        values = np.array([source.uniform(0.1, 20) for _ in range(257)], dtype)
        for name in ("sin", "cos", "exp", "log", "tanh", "log1p", "arctan", "sinh"):
            expected = [getattr(math, name.replace("arc", "a"))(x) for x in values.tolist()]
            near(getattr(np, name)(values), expected, f"{name} of {np.dtype(dtype)}", tolerance)


def reductions(source: random.Random) -> None:
    for length in LENGTHS:
        values = [source.uniform(-1, 1) for _ in range(length)]
        array = np.array(values)
        if abs(float(array.sum()) - math.fsum(values)) > 1e-13 * length:
            raise AssertionError(f"sum of {length}: found {array.sum()!r}, expected {math.fsum(values)!r}")
        same(int(array.argmax()), values.index(max(values)), f"argmax of {length}")
        same(float(array.astype(np.float32).min()), rounded(min(values), np.float32), f"float32 min of {length}")
        small = [source.randint(-128, 127) for _ in range(length)]
        same(int(np.array(small, np.int8).sum()), sum(small), f"sum of {length} int8")
        same(int(np.array(small, np.int8).max()), max(small), f"max of {length} int8")
        flags = np.array(small, np.int8) > 0
        same(int(np.count_nonzero(flags)), sum(x > 0 for x in small), f"count_nonzero of {length}")
        same(bool(flags.any()), any(x > 0 for x in small), f"any of {length}")


def sorts(source: random.Random) -> None:
    for dtype in (*INTEGERS, *FLOATS):
        for length in (*LENGTHS, 5003):
            values = [source.randint(0, 127) for _ in range(length)]
            array = np.array(values, dtype)
            same(np.sort(array).tolist(), sorted(values), f"sort of {length} {np.dtype(dtype)}")
            order = np.argsort(array, kind="stable").tolist()
            same(order, sorted(range(length), key=values.__getitem__), f"argsort of {length} {np.dtype(dtype)}")
            middle = float(np.partition(array, length // 2)[length // 2])
            same(middle, float(sorted(values)[length // 2]), f"partition of {length} {np.dtype(dtype)}")
    with_nan = np.sort(np.array([2.0, math.nan, 1.0]))
    same((with_nan[:2].tolist(), bool(np.isnan(with_nan[2]))), ([1.0, 2.0], True), "sort puts NaN last")


def products(source: random.Random) -> None:
    """Small whole numbers, so that every order of summation gives the same bits."""
    for rows, inner, columns in ((1, 1, 1), (3, 5, 7), (17, 33, 9), (31, 67, 13)):
        left = [[source.randint(-8, 8) for _ in range(inner)] for _ in range(rows)]
        right = [[source.randint(-8, 8) for _ in range(columns)] for _ in range(inner)]
        expected = [[sum(map(operator.mul, row, column)) for column in zip(*right, strict=True)] for row in left]
        for dtype in (np.int16, np.int64, np.float32, np.float64, np.complex128):
            found = np.array(left, dtype) @ np.array(right, dtype)
            same(found.tolist(), expected, f"matmul {rows}x{inner}x{columns} of {np.dtype(dtype)}")
        found = np.einsum("ij,jk->ik", np.array(left, float), np.array(right, float))
        same(found.tolist(), expected, f"einsum {rows}x{inner}x{columns}")


def large_products(_: random.Random) -> None:
    """What OpenBLAS multiplies against numpy's own loops for whole numbers, which no BLAS has."""
    generator = np.random.default_rng(11)
    left, right = generator.integers(-8, 9, (2, 256, 256))
    expected = left @ right
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        a, b = left.astype(dtype), right.astype(dtype)
        same(bool((a @ b == expected).all()), True, f"matmul of 256x256 {np.dtype(dtype)}")
        same(bool((a.T @ b == left.T @ right).all()), True, f"matmul of 256x256 {np.dtype(dtype)}, turned")
        same(bool((a @ b[:, 0] == expected[:, 0]).all()), True, f"matrix by vector of 256 {np.dtype(dtype)}")


def linear_algebra(_: random.Random) -> None:
    for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-12)):
        generator = np.random.default_rng(7)
        matrix = (generator.standard_normal((37, 37)) + 8 * np.eye(37)).astype(dtype)
        vector = generator.standard_normal(37).astype(dtype)
        near(matrix @ np.linalg.solve(matrix, vector), vector, f"solve of {np.dtype(dtype)}", tolerance)
        u, s, vh = np.linalg.svd(matrix)
        near(u * s @ vh, matrix, f"svd of {np.dtype(dtype)}", tolerance)
        values, vectors = np.linalg.eigh(matrix + matrix.T)
        near(vectors * values @ vectors.T, matrix + matrix.T, f"eigh of {np.dtype(dtype)}", tolerance)
    near(np.linalg.det(np.array([[2.0, 1.0], [7.0, 5.0]])), 3.0, "det", 1e-14)


def fourier(source: random.Random) -> None:
    for length in (15, 64, 127):
        values = [source.uniform(-1, 1) for _ in range(length)]
        turns = [[2 * math.pi * (k * n % length) / length for n in range(length)] for k in range(length)]
        expected = [
            sum(x * complex(math.cos(t), -math.sin(t)) for x, t in zip(values, row, strict=True)) for row in turns
        ]
        near(np.fft.fft(values), expected, f"fft of {length}", 1e-12)
        near(np.fft.irfft(np.fft.rfft(values), length), values, f"rfft and back of {length}", 1e-12)


def generators(_: random.Random) -> None:
    """The values that numpy's documentation gives for these seeds."""
    near(np.random.default_rng(12345).random(), 0.22733602246716966, "PCG64", 1e-15)
    same(np.random.default_rng(12345).integers(0, 10, 3).tolist(), [6, 2, 7], "PCG64 integers")
    near(np.random.RandomState(0).random_sample(), 0.5488135039273248, "MT19937", 1e-15)
    normals = [np.random.default_rng(3).standard_normal(1021) for _ in range(2)]
    same(normals[0].tolist(), normals[1].tolist(), "normals of the same seed")


if __name__ == "__main__":
    main()
