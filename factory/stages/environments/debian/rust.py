"""Rust in a root: a compiler that runs on x86-64 and compiles for riscv64, in a layer of its own over the native tools.

To cargo this is a cross build: build scripts and procedural macros are x86-64 programs, which cargo and rustc run
themselves. All that tools have to know about it is in the root's variables, so projects need not care.
"""

from __future__ import annotations

from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.stages.environments.debian import bootstrap
from factory.stages.environments.debian.bootstrap import GCC, TRIPLET
from factory.util.log import LogSink

# Counts up when make_rust changes what the layer holds without changing the lists.
STEPS = 1
TARGET = "riscv64gc-unknown-linux-gnu"
HOST_TRIPLET = "x86_64-linux-gnu"

# The suite has this Rust for its web browsers: newer than the suite's own, as crates soon ask for.
PACKAGES = ("rustc-web", "cargo-web")
# The target's standard library, and what compiles and links for x86-64.
NATIVE_PACKAGES = (*PACKAGES, "libstd-rust-web-dev:riscv64", f"gcc-{GCC}", "libc6-dev")
PROGRAMS = ("cargo", "rustc")
HOST_TOOLS = (f"gcc-{GCC}", "ar", "as", "ld", "ld.bfd")
UNUSED = (
    f"usr/lib/{TRIPLET}",
    f"usr/libexec/gcc/{HOST_TRIPLET}/{GCC}/lto1",
    "usr/lib64",
    "usr/share",
)


def make_rust(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer: rustc and cargo beside the native tools, with standard libraries for both architectures."""
    native = tree / "opt/native"
    packages = bootstrap.extract(native, "amd64,riscv64", NATIVE_PACKAGES, log)
    bootstrap.trim(native, UNUSED, (*PROGRAMS, *(f"{HOST_TRIPLET}-{tool}" for tool in HOST_TOOLS)))
    (native / "bin").mkdir()
    for program in (*PROGRAMS, f"{HOST_TRIPLET}-ar"):
        (native / "bin" / program).symlink_to(f"../usr/bin/{program}")
    (native / "bin" / f"{HOST_TRIPLET}-gcc").symlink_to(f"../usr/bin/{HOST_TRIPLET}-gcc-{GCC}")
    _let_host_gcc_find_its_parts(native)
    return packages


def variables(python: str) -> dict[str, str]:
    """What cargo, the crate `cc` and PyO3 are told, where the riscv64 Python is version `python`, such as 3.13.

    gcc and ar under their plain names are the target's: right for what cargo builds for it, wrong for build scripts.
    """
    return {
        "CARGO_BUILD_TARGET": TARGET,
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": f"{HOST_TRIPLET}-gcc",
        "HOST_CC": f"{HOST_TRIPLET}-gcc",
        "HOST_AR": f"{HOST_TRIPLET}-ar",
        # The crate `pkg-config` mistrusts cross builds, but the root's pkg-config is the target's own.
        "PKG_CONFIG_ALLOW_CROSS": "1",
        # PyO3 reads the target's sysconfig there, where it would else run a Python of the build machine.
        "PYO3_CROSS_LIB_DIR": f"/usr/lib/python{python}",
    }


def _let_host_gcc_find_its_parts(native: Path) -> None:
    """GCC looks into usr/TRIPLET beside itself, as cross compilers do, before PATH and the root's own /usr/include."""
    own = native / "usr" / HOST_TRIPLET
    (own / "bin").mkdir(parents=True)
    for program in ("as", "ld"):
        (own / "bin" / program).symlink_to(f"../../bin/{HOST_TRIPLET}-{program}")
    headers = native / "usr/include"
    for path in (headers / HOST_TRIPLET).iterdir():
        path.rename(headers / path.name)
    (own / "include").symlink_to("../include")
