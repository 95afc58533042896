"""Debian packages of a root: their lists, and the packages that a tree has."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from factory.host.native_programs import program_command
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.util.log import LogSink
from factory.util.process import run

BASE_PACKAGES = ("python3", "python3-venv")
# The distribution's default compilers, under their plain names.
EMULATED_PACKAGES = ("g++", "gfortran", "ninja-build", "make")
ARCHIVE_LIST = "archives.list"
RETRY_HINT = "retry later if the mirror is in the middle of an update"


def build_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the headers and libraries that every build root has."""
    return ("python3-dev", "libc6-dev", f"libstdc++-{distribution.gcc}-dev", "pkgconf")


def clang_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the packages of the Clang toolchain."""
    return (f"clang-{distribution.clang}",)


def compile_python(home: Path, tree: Path, python: str, log: LogSink) -> None:
    """Byte-compile a layer's Python files with the native Python below `home`.

    The result does not depend on the machine.
    """
    folders = [
        str(folder)
        for name in (f"usr/lib/python{python}", "usr/lib/python3", "opt")
        if (folder := tree / name).is_dir()
    ]
    if not folders:
        return
    command = program_command([home], f"python{python}")
    environment = {"PYTHONHOME": str(home / "usr"), "PATH": os.defpath}
    arguments = ["-S", "-m", "compileall", "-q", "-s", str(tree), "-p", "/", *folders]
    run([*command, *arguments], log=log, env=environment, what="byte-compiling Python files")


def installed_packages(tree: Path) -> tuple[PackagePin, ...]:
    """Return the installed packages in a root's or layer's dpkg database, by name.

    A layer whose packages were all installed below it has no database.
    """
    database = tree / "var/lib/dpkg/status"
    status = database.read_text(encoding="utf-8") if database.is_file() else ""
    pins = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            pins.append(
                PackagePin(name=fields["Package"], version=fields["Version"], architecture=fields["Architecture"])
            )
    return tuple(sorted(pins, key=lambda pin: (pin.name, pin.architecture)))


def extracted_packages(archives: Path) -> tuple[PackagePin, ...]:
    """Return the packages of extracted archives, for which there is no dpkg database.

    The file `archives` lists their file names, name_version_architecture.deb.
    """
    names = archives.read_text(encoding="utf-8").split()
    triples = (unquote(name.removesuffix(".deb")).split("_") for name in names)
    return tuple(PackagePin(name=name, version=version, architecture=arch) for name, version, arch in sorted(triples))
