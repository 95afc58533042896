"""Names of toolchain packages; build records list their versions."""

from __future__ import annotations

from factory.model.distribution import Distribution
from factory.stages.environments.debian.native_tools import native_packages
from factory.stages.environments.debian.packages import EMULATED_PACKAGES, clang_packages
from factory.stages.environments.debian.rust import rust_packages


def toolchain_packages(distribution: Distribution) -> frozenset[str]:
    """Return the package names of compilers, their parts, QEMU and the Pythons."""
    return frozenset(
        {
            *native_packages(distribution),
            *EMULATED_PACKAGES,
            *rust_packages(distribution),
            *clang_packages(distribution),
            f"binutils-{distribution.triplet}",
            "binutils",
            "libc6",
            *(f"python{python}" for python in distribution.pythons),
        }
    )
