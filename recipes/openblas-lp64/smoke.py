"""Call OpenBLAS through ctypes and compare it with plain Python; one script for the four ways in which it is built.

Matrices hold small whole numbers, so that every order of summation gives the same bits. FACTORY_RESULT names the JSON
file to write: what to show, and the fact `core`: which core the library chose for this CPU. FACTORY_PROFILE is the name
of the profile that this runs on.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import operator
import os
import random
import reprlib
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROW_MAJOR, COLUMN_MAJOR = 101, 102
PLAIN, TRANSPOSED = 111, 112
SMALL = ((1, 1, 1), (3, 5, 7), (17, 26, 9))
LARGE = (67, 50, 130)
LONG = 10007
LENGTHS = (1, 7, 17, 67, 257)
# Letter of BLAS -> the C type and whether two of them make a number.
TYPES = {
    "s": (ctypes.c_float, False),
    "d": (ctypes.c_double, False),
    "c": (ctypes.c_float, True),
    "z": (ctypes.c_double, True),
}
Number = int | complex
Matrix = list[list[Any]]

PACKAGE = next(name for name in packages_distributions() if name.startswith("openblas_"))
package = importlib.import_module(PACKAGE)
library = package.load()
WIDE = PACKAGE.startswith("openblas_ilp64")
SUFFIX = "64_" if WIDE else ""
integer = ctypes.c_int64 if WIDE else ctypes.c_int32


def main() -> None:
    source = random.Random(20240607)
    installation()
    for threads in (1, 4):
        call("openblas_set_num_threads", threads)
        same(int(function("openblas_get_num_threads")()), threads, "the number of threads")
        for letter in TYPES:
            large_product(letter, LARGE, source)
            # So long that threads share it.
            vectors(letter, LONG, source)
    for letter in TYPES:
        for shape in SMALL:
            product(letter, shape, source)
        for length in LENGTHS:
            vectors(letter, length, source)
            matrix_by_vector(letter, length, source)
    linear_equations(source)
    eigenvalues(source)
    core = package.get_corename()
    shown = f"{package.get_openblas_config()}: products, vectors and LAPACK agree with plain Python on {core}"
    result = {"shown": shown, "facts": {"core": core}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def installation() -> None:
    """The files that builds look for are where the package says, and the library is the one that its name promises."""
    for header in ("cblas.h", "f77blas.h", "openblas_config.h"):
        assert (Path(package.get_include_dir()) / header).is_file(), f"there is no {header}"
    config = package.get_openblas_config().split()
    assert "DYNAMIC_ARCH" in config, config
    same("USE64BITINT" in config, WIDE, "64-bit integers in the library's own words")
    same(f"-l{package.get_library()}" in package.get_pkg_config(), True, "pkg-config's name of the library")
    # 0: one thread only; 1: POSIX threads; 2: OpenMP.
    same(int(function("openblas_get_parallel")()), 2 if PACKAGE.endswith("openmp") else 1, "the kind of threads")


def function(name: str) -> Any:
    return getattr(library, name + SUFFIX)


def call(name: str, *arguments: Any) -> None:
    function(name)(*(integer(value) if isinstance(value, int) else value for value in arguments))


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {reprlib.repr(found)}, expected {reprlib.repr(expected)}")


def number(letter: str, source: random.Random) -> Number:
    real = source.randint(-8, 8)
    return complex(real, source.randint(-8, 8)) if TYPES[letter][1] else real


def numbers(letter: str, count: int, source: random.Random) -> list[Number]:
    return [number(letter, source) for _ in range(count)]


def matrix(letter: str, rows: int, columns: int, source: random.Random) -> Matrix:
    return [numbers(letter, columns, source) for _ in range(rows)]


def packed(letter: str, values: Sequence[Number]) -> Any:
    kind, pairs = TYPES[letter]
    flat = [part for value in values for part in ((value.real, value.imag) if pairs else (value,))]
    return (kind * len(flat))(*flat)


def unpacked(letter: str, array: Any) -> list[Number]:
    return list(map(complex, array[::2], array[1::2])) if TYPES[letter][1] else list(array)


def scalar(letter: str, value: int) -> Any:
    """A factor as CBLAS takes it: complex ones by their address."""
    return packed(letter, [value]) if TYPES[letter][1] else TYPES[letter][0](value)


def flat(values: Matrix) -> list[Any]:
    return [value for row in values for value in row]


def transposed(values: Matrix) -> Matrix:
    return [list(column) for column in zip(*values, strict=True)]


def dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    return sum(map(operator.mul, left, right))


def gemm(
    letter: str, left: Matrix, right: Matrix, *, turn_left: bool, turn_right: bool, before: Matrix
) -> list[Number]:
    """2 * left * right - before, by the library; matrices that are to be turned are stored the other way round."""
    rows, inner, columns = len(left), len(right), len(right[0])
    stored_left, stored_right = transposed(left) if turn_left else left, transposed(right) if turn_right else right
    result = packed(letter, flat(before))
    function(f"cblas_{letter}gemm")(
        ctypes.c_int(ROW_MAJOR),
        ctypes.c_int(TRANSPOSED if turn_left else PLAIN),
        ctypes.c_int(TRANSPOSED if turn_right else PLAIN),
        *(integer(size) for size in (rows, columns, inner)),
        scalar(letter, 2),
        packed(letter, flat(stored_left)),
        integer(len(stored_left[0])),
        packed(letter, flat(stored_right)),
        integer(len(stored_right[0])),
        scalar(letter, -1),
        result,
        integer(columns),
    )
    return unpacked(letter, result)


def product(letter: str, shape: tuple[int, int, int], source: random.Random) -> None:
    """Every element, in all four ways of storage."""
    rows, columns, inner = shape
    left, right = matrix(letter, rows, inner, source), matrix(letter, inner, columns, source)
    before = matrix(letter, rows, columns, source)
    turned = transposed(right)
    expected = [2 * dot(left[i], turned[j]) - before[i][j] for i in range(rows) for j in range(columns)]
    for turn_left in (False, True):
        for turn_right in (False, True):
            found = gemm(letter, left, right, turn_left=turn_left, turn_right=turn_right, before=before)
            same(found, expected, f"{letter}gemm of {shape}, turned: {turn_left}, {turn_right}")


def large_product(letter: str, shape: tuple[int, int, int], source: random.Random) -> None:
    """(left * right) * v = left * (right * v), exactly, which takes plain Python a row's time for each row."""
    rows, columns, inner = shape
    left, right = matrix(letter, rows, inner, source), matrix(letter, inner, columns, source)
    found = gemm(letter, left, right, turn_left=False, turn_right=True, before=[[0] * columns] * rows)
    probe = numbers(letter, columns, source)
    once = [dot(row, probe) for row in right]
    expected = [2 * dot(row, once) for row in left]
    same(
        [dot(found[i * columns : (i + 1) * columns], probe) for i in range(rows)], expected, f"{letter}gemm of {shape}"
    )


def vectors(letter: str, length: int, source: random.Random) -> None:
    """Dot products, sums and scaled sums, with and without steps between the elements."""
    left, right = numbers(letter, 2 * length, source), numbers(letter, length, source)
    for step in (1, 2):
        spread = left[::step][:length]
        arguments = (integer(length), packed(letter, left), integer(step), packed(letter, right), integer(1))
        same(dot_product(letter, arguments), dot(spread, right), f"{letter}dot of {length}, step {step}")
        result = packed(letter, right)
        function(f"cblas_{letter}axpy")(
            integer(length), scalar(letter, 3), packed(letter, left), integer(step), result, integer(1)
        )
        expected = [3 * x + y for x, y in zip(spread, right, strict=True)]
        same(unpacked(letter, result), expected, f"{letter}axpy of {length}, step {step}")


def dot_product(letter: str, arguments: tuple[Any, ...]) -> Number:
    kind, pairs = TYPES[letter]
    if pairs:
        result = (kind * 2)()
        function(f"cblas_{letter}dotu_sub")(*arguments, result)
        return complex(*result)
    ask = function(f"cblas_{letter}dot")
    ask.restype = kind
    return ask(*arguments)  # type: ignore[no-any-return]


def matrix_by_vector(letter: str, length: int, source: random.Random) -> None:
    """Matrices of two shapes and both orders, by vectors with steps."""
    for rows, columns in ((length, 5), (5, length)):
        values, vector = matrix(letter, rows, columns, source), numbers(letter, 2 * columns, source)
        before = numbers(letter, rows, source)
        expected = [dot(row, vector[::2]) + y for row, y in zip(values, before, strict=True)]
        for order, stored in ((ROW_MAJOR, values), (COLUMN_MAJOR, transposed(values))):
            result = packed(letter, before)
            function(f"cblas_{letter}gemv")(
                ctypes.c_int(order),
                ctypes.c_int(PLAIN),
                integer(rows),
                integer(columns),
                scalar(letter, 1),
                packed(letter, flat(stored)),
                integer(len(stored[0])),
                packed(letter, vector),
                integer(2),
                scalar(letter, 1),
                result,
                integer(1),
            )
            same(unpacked(letter, result), expected, f"{letter}gemv of {rows}x{columns}, order {order}")


def linear_equations(source: random.Random) -> None:
    """LAPACK's solution of A x = b, and what it says of an argument that can't be."""
    size = 40
    values = matrix("d", size, size, source)
    for i in range(size):
        values[i][i] += 500
    wanted = numbers("d", size, source)
    right = packed("d", [dot(row, wanted) for row in values])
    info = lapack("dgesv", size, 1, packed("d", flat(transposed(values))), size, (integer * size)(), right, size)
    same(info, 0, "what dgesv returns")
    near(right, wanted, "the solution of 40 equations")
    same(lapack("dgesv", -1, 1, right, size, (integer * size)(), right, size), -1, "what dgesv says of -1 equations")


def eigenvalues(source: random.Random) -> None:
    """A symmetric matrix is its eigenvectors times its eigenvalues; this is Fortran's code."""
    size = 30
    half = matrix("d", size, size, source)
    values = [[half[i][j] + half[j][i] for j in range(size)] for i in range(size)]
    vectors, found = packed("d", flat(values)), packed("d", [0] * size)
    room = packed("d", [0] * (40 * size))
    same(lapack("dsyev", b"V", b"U", size, vectors, size, found, room, len(room)), 0, "what dsyev returns")
    for k in range(size):
        vector = vectors[k * size : (k + 1) * size]
        near([dot(row, vector) for row in values], [found[k] * x for x in vector], f"eigenvector {k}", 1e-10)


def lapack(name: str, *arguments: Any) -> int:
    """Call a Fortran routine whose last argument says how it ended; numbers go by their address."""
    info = integer(0)
    passed = [ctypes.byref(integer(value)) if isinstance(value, int) else value for value in arguments]
    # Behind the last argument Fortran passes the length of each text.
    lengths = [ctypes.c_size_t(len(value)) for value in arguments if isinstance(value, bytes)]
    function(f"{name}_")(*passed, ctypes.byref(info), *lengths)
    return info.value


def near(found: Sequence[float], expected: Sequence[float], what: str, tolerance: float = 1e-12) -> None:
    largest = max(map(abs, [*expected, 1e-300]))
    error = max(abs(x - y) for x, y in zip(found, expected, strict=True))
    if not error <= tolerance * max(largest, 1.0):
        raise AssertionError(f"{what}: off by {error}")


if __name__ == "__main__":
    main()
