"""Rust: native rustc and cargo that compile for riscv64, in their own layer.

To cargo this is a cross build: build scripts and procedural macros are x86-64 programs. The root's variables configure
it, so projects need no changes.
"""

from __future__ import annotations

from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.bootstrap import extract
from factory.stages.environments.debian.native_tools import trim
from factory.util.log import LogSink

# Counts up when the layer changes without its package list.
STEPS = 1
TARGET = "riscv64gc-unknown-linux-gnu"
HOST_TRIPLET = "x86_64-linux-gnu"
PROGRAMS = ("cargo", "rustc")
BINUTILS = ("ar", "as", "ld", "ld.bfd")


def rust_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the packages of rustc and cargo."""
    return (f"rustc{distribution.rust}", f"cargo{distribution.rust}")


def native_rust_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the layer's packages: rustc, cargo, std for riscv64, GCC for x86-64."""
    library = f"libstd-rust{distribution.rust}-dev:riscv64"
    return (*rust_packages(distribution), library, f"gcc-{distribution.gcc}", "libc6-dev")


def make_rust(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer: rustc and cargo, with std for both architectures."""
    native, gcc = tree / "opt/native", distribution.gcc
    packages = extract(native, "amd64,riscv64", native_rust_packages(distribution), distribution, log)
    unused = (f"usr/lib/{distribution.triplet}", f"usr/libexec/gcc/{HOST_TRIPLET}/{gcc}/lto1", "usr/lib64", "usr/share")
    trim(native, unused, (*PROGRAMS, *(f"{HOST_TRIPLET}-{tool}" for tool in (f"gcc-{gcc}", *BINUTILS))))
    (native / "bin").mkdir()
    for program in (*PROGRAMS, f"{HOST_TRIPLET}-ar"):
        (native / "bin" / program).symlink_to(f"../usr/bin/{program}")
    (native / "bin" / f"{HOST_TRIPLET}-gcc").symlink_to(f"../usr/bin/{HOST_TRIPLET}-gcc-{gcc}")
    _link_host_gcc_files(native)
    return packages


def rust_variables(python: str) -> dict[str, str]:
    """Return the variables for cargo, the crate `cc` and PyO3, for a Python (`3.13`).

    gcc and ar under their plain names are the target's, so build scripts need the host's by name.
    """
    return {
        "CARGO_BUILD_TARGET": TARGET,
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": f"{HOST_TRIPLET}-gcc",
        "HOST_CC": f"{HOST_TRIPLET}-gcc",
        "HOST_AR": f"{HOST_TRIPLET}-ar",
        # The crate `pkg-config` refuses cross builds, but the root's pkg-config is the target's own.
        "PKG_CONFIG_ALLOW_CROSS": "1",
        # Makes PyO3 read the target's sysconfig instead of running a Python of the build machine.
        "PYO3_CROSS_LIB_DIR": f"/usr/lib/python{python}",
    }


def _link_host_gcc_files(native: Path) -> None:
    """Link the x86-64 tools and headers into usr/TRIPLET, where GCC searches first."""
    own = native / "usr" / HOST_TRIPLET
    (own / "bin").mkdir(parents=True)
    for program in ("as", "ld"):
        (own / "bin" / program).symlink_to(f"../../bin/{HOST_TRIPLET}-{program}")
    headers = native / "usr/include"
    for path in (headers / HOST_TRIPLET).iterdir():
        path.rename(headers / path.name)
    (own / "include").symlink_to("../include")
