"""The native tools: x86-64 programs in /opt/native of a riscv64 root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.bootstrap import extract
from factory.util.log import LogSink
from factory.util.scratch import discard

# Counts up when the layer changes without its package list.
STEPS = 3
NATIVE = "opt/native"
# /bin/sh. Build tools start a shell for every command: 1.6 ms as a native program, 27 ms under QEMU.
SHELL = "dash"
# The native packages that do not affect compiled code: the shell and its dependency.
NOT_COMPILERS = (SHELL, "debianutils")
# Folders that no tree of native tools needs.
UNUSED_FOLDERS = ("usr/sbin", "var", "dev", "etc", "tmp")
COMPILERS = {"gcc": "gcc", "cc": "gcc", "g++": "g++", "c++": "g++", "gfortran": "gfortran", "cpp": "cpp"}
BINUTILS = ("ar", "as", "ld", "ld.bfd", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip")
GCC_TOOLS = ("gcc-ar", "gcc-nm", "gcc-ranlib", "gcov")
PLAIN_PROGRAMS = ("ninja", "make", "ccache", "patchelf")
PURE_PYTHON = "/opt/native/bin/python-pure"


def native_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the packages of the native tools."""
    gcc, triplet, python = distribution.gcc, distribution.triplet, distribution.python
    return (
        f"g++-{gcc}-{triplet}",
        f"gfortran-{gcc}-{triplet}",
        "ninja-build",
        "make",
        "ccache",
        "patchelf",
        "qemu-user",
        f"libpython{python}-stdlib",
        f"python{python}-minimal",
        SHELL,
    )


def make_native_tools(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of native tools."""
    native = tree / NATIVE
    packages = extract(native, "amd64", native_packages(distribution), distribution, log)
    trim(native, _unused(distribution), _programs(distribution))
    _link_programs(native, distribution)
    _link_fixed_paths(tree, distribution)
    return packages


def trim(native: Path, unused: Sequence[str], programs: Sequence[str]) -> None:
    """Remove unused files, and all of usr/bin except the patterns in `programs`."""
    for name in (*unused, *UNUSED_FOLDERS):
        path = native / name
        discard(path) if path.is_dir() else path.unlink(missing_ok=True)
    kept = {path for pattern in programs for path in (native / "usr/bin").glob(pattern)}
    for program in set((native / "usr/bin").iterdir()) - kept:
        program.unlink()


def pure_python_script(python: str) -> str:
    """Return the script PURE_PYTHON for builds with a Python version (`3.13`).

    Code generators in pure Python, such as Cython, run on the native Python of the same version: more than ten times
    faster than under QEMU (measured on numpy's sources), with the same output. -S excludes its own site-packages.
    """
    return f"""#!/bin/sh
for PYTHONPATH in "$VIRTUAL_ENV"/lib/python3.*/site-packages; do :; done
export PYTHONHOME=/opt/native/usr PYTHONPATH
exec /opt/native/usr/bin/python{python} -S "$@"
"""


def _programs(distribution: Distribution) -> tuple[str, ...]:
    """Return patterns of the programs that builds call, which excludes other QEMUs."""
    return (*PLAIN_PROGRAMS, "qemu-riscv64", f"python{distribution.python}", f"{distribution.triplet}-*", SHELL)


def _unused(distribution: Distribution) -> tuple[str, ...]:
    return (f"usr/bin/{distribution.triplet}-lto-dump-{distribution.gcc}", "usr/share", "usr/include")


def _link_programs(native: Path, distribution: Distribution) -> None:
    """Link the programs under plain names in bin, and compilers with ccache in ccache."""
    gcc, triplet = distribution.gcc, distribution.triplet
    binaries, wrapped = native / "bin", native / "ccache"
    binaries.mkdir()
    wrapped.mkdir()
    for name, program in COMPILERS.items():
        for alias in (name, f"{triplet}-{name}", f"{name}-{gcc}", f"{triplet}-{name}-{gcc}"):
            (binaries / alias).symlink_to(f"../usr/bin/{triplet}-{program}-{gcc}")
            (wrapped / alias).symlink_to("../usr/bin/ccache")
    for name in (*BINUTILS, *GCC_TOOLS):
        suffix = f"-{gcc}" if name in GCC_TOOLS else ""
        for alias in (name, f"{triplet}-{name}"):
            (binaries / alias).symlink_to(f"../usr/bin/{triplet}-{name}{suffix}")
    for name in PLAIN_PROGRAMS:
        (binaries / name).symlink_to(f"../usr/bin/{name}")
    (binaries / "python-pure").write_text(pure_python_script(distribution.python))
    (binaries / "python-pure").chmod(0o755)


def _link_fixed_paths(tree: Path, distribution: Distribution) -> None:
    """Link the files with fixed paths: x86-64 loader, linker scripts, /bin/sh."""
    libraries = tree / "usr/lib"
    libraries.mkdir(parents=True)
    (libraries / "x86_64-linux-gnu").symlink_to("/opt/native/usr/lib/x86_64-linux-gnu")
    (tree / "usr" / distribution.triplet).symlink_to(f"/opt/native/usr/{distribution.triplet}")
    (tree / "usr/lib64").mkdir()
    (tree / "usr/lib64/ld-linux-x86-64.so.2").symlink_to("/opt/native/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    (tree / "lib64").symlink_to("usr/lib64")
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/sh").symlink_to(f"/opt/native/usr/bin/{SHELL}")
