"""Call C by cffi's compiled code: fixed and variadic arguments, structures by value, callbacks, memory."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import cffi

ffi = cffi.FFI()
ffi.cdef(
    """
    typedef struct { long quot; long rem; } ldiv_t;
    typedef struct { double x; float y; int8_t z; uint64_t w[3]; } mixed;
    int snprintf(char *text, size_t size, const char *format, ...);
    double pow(double base, double exponent);
    float sqrtf(float value);
    ldiv_t ldiv(long number, long by);
    void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
    """
)
c, m = ffi.dlopen(None), ffi.dlopen("libm.so.6")


def text(form: str, *values: object) -> str:
    room = ffi.new("char[]", 400)
    length = c.snprintf(room, len(room), form.encode(), *values)
    found = ffi.string(room).decode()
    assert length == len(found.encode()), (length, found)
    return found


def double(value: float) -> object:
    return ffi.cast("double", value)


# Variadic doubles are passed in integer registers on riscv64, and on the stack after the eighth argument.
assert text("%.2f", double(1.5)) == "1.50", text("%.2f", double(1.5))
numbers = [double(index + 0.25) for index in range(12)]
assert text("%.2f " * 12, *numbers) == "".join(f"{index + 0.25:.2f} " for index in range(12))
long, word = ffi.cast("long", -(2**40)), ffi.new("char[]", "é".encode())
assert text("%ld %s %.3f %c", long, word, double(math.pi), ffi.cast("int", 65)) == f"{-(2**40)} é 3.142 A"

assert m.pow(2.0, 0.5) == math.sqrt(2)
assert m.sqrtf(6.25) == 2.5
parts = c.ldiv(-17, 5)
assert (parts.quot, parts.rem) == (-3, -2)


@ffi.callback("int(const void *, const void *)")
def compare(left: object, right: object) -> int:
    a, b = ffi.cast("double *", left)[0], ffi.cast("double *", right)[0]
    return (a > b) - (a < b)


values = [3.5, -1.25, 1e300, 0.0, -1e-300, 7.0]
array = ffi.new("double[]", values)
c.qsort(array, len(values), ffi.sizeof("double"), compare)
assert list(array) == sorted(values), list(array)


@ffi.callback("double(mixed, float, int64_t, double)")
def summed(value: object, a: float, b: int, d: float) -> float:
    return value.x + value.y + value.z + sum(value.w) + a + b + d


assert summed(ffi.new("mixed *", (0.5, 0.25, -8, [1, 2, 2**40]))[0], 1.5, -3, 4.0) == 2**40 - 1.75
assert (ffi.sizeof("mixed"), ffi.offsetof("mixed", "z"), ffi.offsetof("mixed", "w")) == (40, 12, 16)
buffer = ffi.buffer(ffi.new("uint32_t[2]", [1, 2**32 - 1]))
assert bytes(buffer) == b"\1\0\0\0\xff\xff\xff\xff"
assert int(ffi.cast("int8_t", 200)) == -56

shown = f"cffi {cffi.__version__}: variadic doubles, structures by value, callbacks and memory"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
