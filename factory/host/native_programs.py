"""Native programs of layers, run on this machine outside of a root."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from factory.errors import EnvironmentSetupError

# Machine -> its library folder, and the dynamic loader in that.
LOADERS = {
    "x86_64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "riscv64": ("riscv64-linux-gnu", "ld-linux-riscv64-lp64d.so.1"),
}

CPUINFO = Path("/proc/cpuinfo")


def uses_fused_arithmetic(cpuinfo: Path = CPUINFO) -> bool:
    """Report if functions of an x86-64 C library round as on riscv64, in all but a few.

    glibc has them for processors with fused multiply-add, which it looks for together with AVX2, and for others.
    """
    flags = (line.partition(":")[2].split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    return {"fma", "avx2"} <= set(next(flags, ()))


def native_command(native_layer: Path, program: str) -> list[str]:
    """Return the command of a program of the native layer, with its own libc."""
    return program_command([native_layer / "opt/native"], program)


def program_command(trees: Sequence[Path], program: str) -> list[str]:
    """Return the command of a native program of layers, outside of their root.

    Raises:
        EnvironmentSetupError: no layer has the program.
    """
    triplet, loader = LOADERS[platform.machine()]
    libraries = [folder for tree in trees if (folder := tree / "usr/lib" / triplet).is_dir()]
    loaders = [folder / loader for folder in libraries if (folder / loader).is_file()]
    programs = [path for tree in trees if (path := tree / "usr/bin" / program).is_file()]
    if not loaders or not programs:
        raise EnvironmentSetupError(f"{program}: no layer has this program", hint="remove the layers and run again")
    return [str(loaders[0]), "--library-path", ":".join(map(str, libraries)), str(programs[0])]
