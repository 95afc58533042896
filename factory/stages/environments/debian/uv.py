"""uv in a root: as a native program, or as the riscv64 one."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

import uv

from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.util.log import LogSink
from factory.util.process import run

# The lowest glibc version of a manylinux tag: manylinux_2_17.
FIRST_MINOR = 17


def make_native_uv(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of the native uv: a copy of this Python's own."""
    programs = tree / "opt/native/bin"
    programs.mkdir(parents=True)
    shutil.copy(uv.find_uv_bin(), programs / "uv")
    return (PackagePin(name="uv", version=metadata.version("uv"), architecture="amd64"),)


def make_uv(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the layer of the riscv64 uv in /opt/uv, in the native one's version."""
    version = metadata.version("uv")
    major, minor = distribution.glibc
    # pip takes each platform tag literally, so list every tag that the distribution's glibc satisfies.
    platforms = [f"--platform=manylinux_{major}_{number}_riscv64" for number in range(minor, FIRST_MINOR - 1, -1)]
    target = ["--target", str(tree / "opt/uv"), "--only-binary=:all:", *platforms]
    run([sys.executable, "-m", "pip", "install", "--no-deps", *target, f"uv=={version}"], log=log, what="pip")
    return (PackagePin(name="uv", version=version, architecture="riscv64"),)
