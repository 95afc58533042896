"""Clang: LLVM's C and C++ compilers as native programs, in their own layer.

They use GCC's headers, libstdc++, libgcc and linker, so packages of both toolchains are compatible. Fortran is still
GCC's, and gcc and g++ stay available under their names. There is no OpenMP library.
"""

from __future__ import annotations

from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.bootstrap import extract
from factory.stages.environments.debian.native_tools import trim
from factory.stages.environments.debian.packages import clang_packages
from factory.util.log import LogSink

# Counts up when the layer changes without its package list.
STEPS = 1
COMPILERS = {"cc": "clang", "clang": "clang", "c++": "clang++", "clang++": "clang++"}
UNUSED_FOLDERS = ("usr/lib/bfd-plugins", "usr/lib/gcc", "usr/lib64", "usr/libexec", "usr/include", "usr/share")


def clang_variables(distribution: Distribution) -> dict[str, str]:
    """Return the variables that select Clang; program names are equal in all modes."""
    return {"CC": f"clang-{distribution.clang}", "CXX": f"clang++-{distribution.clang}"}


def make_clang(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer: Clang under its own names and as cc and c++, with ccache."""
    native, version, triplet = tree / "opt/native", distribution.clang, distribution.triplet
    home = f"usr/lib/llvm-{version}"
    packages = extract(native, "amd64", clang_packages(distribution), distribution, log)
    libraries = (f"{home}/lib/libclang-{version}.so.1", f"usr/lib/x86_64-linux-gnu/libclang-{version}.so.{version}")
    trim(native, (*libraries, *UNUSED_FOLDERS), ())
    for program in set(COMPILERS.values()):
        # Clang reads it at each start; everything else it finds in the root as on a board.
        (native / home / f"bin/{program}.cfg").write_text(f"--target={triplet}\n")
    binaries, wrapped = native / "bin", native / "ccache"
    binaries.mkdir()
    wrapped.mkdir()
    for name, program in COMPILERS.items():
        versioned = (f"{name}-{version}",) if name == program else ()
        for plain in (name, *versioned):
            for alias in (plain, f"{triplet}-{plain}"):
                (binaries / alias).symlink_to(f"../{home}/bin/{program}")
                (wrapped / alias).symlink_to("../usr/bin/ccache")
    return packages
