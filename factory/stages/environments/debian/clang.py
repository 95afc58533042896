"""Clang in a root: the C and C++ compilers of LLVM as x86-64 programs, in a layer of its own over the native tools.

Headers, libstdc++, libgcc and the linker are those that GCC uses, so packages of both toolchains go together. Fortran
stays GCC's, and gcc and g++ under their own names too. There is no OpenMP library: builds that ask for one find none.
"""

from __future__ import annotations

from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.stages.environments.debian import bootstrap
from factory.stages.environments.debian.bootstrap import TRIPLET
from factory.util.log import LogSink

# Counts up when make_clang changes what the layer holds without changing the lists.
STEPS = 1
VERSION = "22"
PACKAGES = (f"clang-{VERSION}",)
HOME = f"usr/lib/llvm-{VERSION}"
# Build systems take their compilers from there; the names are Debian's, and so the same in every mode.
VARIABLES = {"CC": f"clang-{VERSION}", "CXX": f"clang++-{VERSION}"}
COMPILERS = {"cc": "clang", "clang": "clang", "c++": "clang++", "clang++": "clang++"}
# Read at each start from the program's own folder. Everything else that Clang needs it finds in the root as on a board.
CONFIGURATION = f"--target={TRIPLET}\n"
UNUSED = (
    f"{HOME}/lib/libclang-{VERSION}.so.1",
    f"usr/lib/x86_64-linux-gnu/libclang-{VERSION}.so.{VERSION}",
    "usr/lib/bfd-plugins",
    "usr/lib/gcc",
    "usr/lib64",
    "usr/libexec",
    "usr/include",
    "usr/share",
)


def make_clang(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer: Clang under its own names and as cc and c++, with ccache in front like GCC."""
    native = tree / "opt/native"
    packages = bootstrap.extract(native, "amd64", PACKAGES, log)
    bootstrap.trim(native, UNUSED, ())
    for program in set(COMPILERS.values()):
        (native / HOME / f"bin/{program}.cfg").write_text(CONFIGURATION)
    binaries, wrapped = native / "bin", native / "ccache"
    binaries.mkdir()
    wrapped.mkdir()
    for name, program in COMPILERS.items():
        versioned = (f"{name}-{VERSION}",) if name == program else ()
        for plain in (name, *versioned):
            for alias in (plain, f"{TRIPLET}-{plain}"):
                (binaries / alias).symlink_to(f"../{HOME}/bin/{program}")
                (wrapped / alias).symlink_to("../usr/bin/ccache")
    return packages
