"""What `factory bench instructions numpy` counts: the product of two 256x256 matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

SIZE = 256


def matmul(kind: npt.DTypeLike) -> Callable[[], object]:
    # Of small whole numbers every sum is exact, in any order.
    left = (np.arange(SIZE * SIZE) * 37 % 17 - 8).reshape(SIZE, SIZE).astype(kind)
    right = left.T.copy() + 1
    rows = left[:3] @ right  # the first call may set up what later ones find, such as a library's buffers
    assert (rows == left[:3].astype(int) @ right.astype(int)).all()
    return lambda: left @ right


CASES: Mapping[str, Callable[[], Callable[[], object]]] = {
    "matmul 256x256 float32": partial(matmul, np.float32),
    "matmul 256x256 float64": partial(matmul, np.float64),
}
