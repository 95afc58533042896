"""Build the extension as the variable VECTORS_C says.

`plain` is the default, `vector` breaks the baseline, and `dated` holds the time of its build.
"""

import os
import time

from setuptools import Extension, setup

ARGUMENTS = {
    "plain": ["-O2"],
    # -ffast-math lets the compiler add floats in another order, which vectors need.
    "vector": ["-O3", "-ffast-math", "-march=rv64gcv", "-mabi=lp64d"],
    "dated": ["-O2", f"-DBUILT={time.time_ns()}LL"],
}

kind = os.environ.get("VECTORS_C", "plain")
if kind not in ARGUMENTS:
    raise SystemExit(f"VECTORS_C is {kind!r}; it must be one of: {', '.join(ARGUMENTS)}")

setup(
    ext_modules=[
        Extension(
            "vectors_c",
            sources=["src/module.c", "src/sum.c"],
            depends=["src/sum.h"],
            extra_compile_args=ARGUMENTS[kind],
        )
    ],
)
