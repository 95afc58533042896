"""Pythons that the root's own suite lacks: layers with Debian's packages of another suite, extracted over the base.

They bring no libc of their own: a program that needs a newer glibc than the root's does not start, and making the layer
starts all of it. Wheels built with them see the root's glibc and compiler, like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.stages.environments.debian import bootstrap
from factory.stages.environments.layers import Layer, ensure_layer
from factory.stages.environments.rootfs import change_root
from factory.util.log import LogSink, OpenStage
from factory.util.paths import Layout
from factory.util.scratch import discard

SUITES: Mapping[str, str] = {"3.14": "forky"}
# Counts up when the script changes what the layer holds.
STEPS = 1
PACKAGES = (
    "python{}-minimal",
    "python{}",
    "python{}-dev",
    "python{}-venv",
    "libpython{}-minimal",
    "libpython{}-stdlib",
    "libpython{}",
    "libpython{}-dev",
    # Python has a part of its XML parser in itself, and that calls functions which are new in this library.
    "libexpat1",
)
# The same Python as an x86-64 program, for what runs natively in hybrid roots.
NATIVE_PACKAGES = ("python{}-minimal", "libpython{}-minimal", "libpython{}-stdlib", "libexpat1")
# Not installed but extracted, since what the packages depend on (the suite's glibc above all) must stay out. apt works
# in /build, so that the root's own lists stay as they are.
EXTRACT = f"""
set -eu
suite=$1 architecture=$2 place=$3
shift 3
mkdir -p /build/lists/partial /build/cache/archives/partial /build/debs
sed "s/ {bootstrap.SUITE} / $suite /" /etc/apt/sources.list > /build/suite.list
apt="apt-get -o Dir::Etc::SourceList=/build/suite.list -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists=/build/lists -o Dir::Cache=/build/cache
    -o APT::Architecture=$architecture -o APT::Architectures=$architecture"
$apt update
cd /build/debs
$apt download "$@"
for archive in *.deb; do dpkg-deb --extract "$archive" "$place"; done
ls > /build/{bootstrap.ARCHIVE_LIST}
"""
FINISH = f"""
set -eu
python=$1
cd "/usr/lib/python$python"
# 190 MB that only programs with a Python linked into them use.
rm config-*/libpython*.a
# This module alone needs a newer glibc. That of the suite's Python is written for the stable ABI, so it fits here too.
rm lib-dynload/termios.*
ln -s /usr/lib/python{bootstrap.PYTHON}/lib-dynload/termios.*.so lib-dynload/termios.abi3.so
"python$python" -m compileall -q --invalidation-mode timestamp .
"""
# Its own terminal module is left out: nothing that runs natively has a terminal.
FINISH_NATIVE = f"""
set -eu
python=$1
printf %s "$2" > {bootstrap.NATIVE_PURE}
chmod 755 {bootstrap.NATIVE_PURE}
cd /opt/native
rm -r etc usr/share "usr/lib/python$python"/lib-dynload/termios.*
"usr/bin/python$python" -I -S -m compileall -q --invalidation-mode timestamp "usr/lib/python$python"
"""
# Imports every extension module with all its symbols looked up at once.
IMPORT_EVERYTHING = """
import importlib, pathlib
for path in sorted(pathlib.Path(importlib.import_module("_ctypes").__file__).parent.glob("*.so")):
    importlib.import_module(path.name.partition(".")[0])
"""


def python_layers(layout: Layout, base: Layer, python: str, open_stage: OpenStage) -> tuple[Layer, ...]:
    """What lies over `base` so that the root has this Python (`3.14`): nothing for the one that `base` brings."""
    if python == bootstrap.PYTHON:
        return ()
    packages = tuple(name.format(python) for name in PACKAGES)
    definition = {"steps": STEPS, "suite": SUITES[python], "packages": packages, "over": base.digest}
    commands = [
        ["sh", "-c", EXTRACT, "extract", SUITES[python], "riscv64", "/", *packages],
        ["sh", "-c", FINISH, "finish", python],
        ["env", "LD_BIND_NOW=1", f"python{python}", "-c", IMPORT_EVERYTHING],
    ]

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return _make(layout, (base,), tree, python, commands, log)

    return (ensure_layer(layout.layers, f"python{python}", definition, make, open_stage),)


def native_python_layers(
    layout: Layout, base: Layer, native: Layer, python: str, open_stage: OpenStage
) -> tuple[Layer, ...]:
    """What lies over the native tools so that they have this Python too: nothing for the one that they bring."""
    if python == bootstrap.PYTHON:
        return ()
    packages = tuple(name.format(python) for name in NATIVE_PACKAGES)
    definition = {"steps": STEPS, "suite": SUITES[python], "packages": packages, "over": [base.digest, native.digest]}
    commands = [
        ["sh", "-c", EXTRACT, "extract", SUITES[python], "amd64", "/opt/native", *packages],
        ["sh", "-c", FINISH_NATIVE, "finish", python, bootstrap.python_pure(python)],
    ]

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return _make(layout, (base, native), tree, python, commands, log)

    return (ensure_layer(layout.layers, f"native-python{python}", definition, make, open_stage),)


def _make(
    layout: Layout, below: tuple[Layer, ...], tree: Path, python: str, commands: Sequence[Sequence[str]], log: LogSink
) -> tuple[PackagePin, ...]:
    try:
        change_root(layout, below, tree, commands, log, network=True)
    except CommandFailed as error:
        raise EnvironmentSetupError(
            f"Python {python} of Debian {SUITES[python]} could not be put into the root:\n{error.output}",
            hint=f"the whole log is {log.path}; {bootstrap.LATER_TRY}",
        ) from error
    work = tree.with_name("work")
    pins = bootstrap.extracted_packages(work / bootstrap.ARCHIVE_LIST)
    discard(work)
    return pins
