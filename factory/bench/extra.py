"""Optional dependencies of the benchmarks: the `bench` extra of the distribution."""

from __future__ import annotations

from importlib.util import find_spec

from factory.errors import PrerequisiteMissing

EXTRA = "riscv64-wheel-factory[bench]"


def require_library(library: str, use: str) -> None:
    """Check that a library of the extra is installed; `use` is what needs it.

    Raises:
        PrerequisiteMissing: it is not installed.
    """
    if find_spec(library) is None:
        raise PrerequisiteMissing(f"{use}: {library} is not installed", hint=f"pip install '{EXTRA}'")
