"""Optional dependencies of the benchmarks: the `bench` extra of the distribution."""

from __future__ import annotations

from factory.util.extras import require_libraries

EXTRA = "riscv64-wheel-factory[bench]"


def require_library(library: str, use: str) -> None:
    """Check that a library of the extra is installed; `use` is what needs it.

    Raises:
        PrerequisiteMissing: it is not installed.
    """
    require_libraries(use, [library], hint=f"pip install '{EXTRA}'")
