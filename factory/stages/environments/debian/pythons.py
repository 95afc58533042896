"""Later Pythons: layers with packages of another suite, extracted over the base.

They use the root's glibc. Making the layer imports every extension module, so one that needs a newer glibc fails there.
Wheels built with them see the root's glibc and compiler, as all others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.native_tools import PURE_PYTHON, pure_python_script
from factory.stages.environments.debian.packages import ARCHIVE_LIST, RETRY_HINT, extracted_packages
from factory.stages.environments.layers import Layer, LayerStore
from factory.stages.environments.rootfs import change_root
from factory.util.log import LogSink
from factory.util.scratch import discard

# Counts up when the scripts change the layers.
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
    # Python's part of the XML parser calls functions that are new in this library.
    "libexpat1",
)
# The same Python as an x86-64 program, for hybrid roots.
NATIVE_PACKAGES = ("python{}-minimal", "libpython{}-minimal", "libpython{}-stdlib", "libexpat1")
# Extracted, not installed: dependencies such as the other suite's glibc must stay out. apt works in /build, so the
# root's own lists do not change.
EXTRACT = f"""
set -eu
base=$1 suite=$2 architecture=$3 place=$4
shift 4
mkdir -p /build/lists/partial /build/cache/archives/partial /build/debs
sed "s/ $base / $suite /" /etc/apt/sources.list > /build/suite.list
apt="apt-get -o Dir::Etc::SourceList=/build/suite.list -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists=/build/lists -o Dir::Cache=/build/cache
    -o APT::Architecture=$architecture -o APT::Architectures=$architecture"
$apt update
cd /build/debs
$apt download "$@"
for archive in *.deb; do dpkg-deb --extract "$archive" "$place"; done
ls > /build/{ARCHIVE_LIST}
"""
FINISH = """
set -eu
python=$1 base=$2
cd "/usr/lib/python$python"
# 190 MB, used only to link Python into programs.
rm config-*/libpython*.a
# The only module that needs a newer glibc. That of the base's Python uses the stable ABI, so it works here too.
rm lib-dynload/termios.*
ln -s /usr/lib/python$base/lib-dynload/termios.*.so lib-dynload/termios.abi3.so
"python$python" -m compileall -q --invalidation-mode timestamp .
"""
# Without its terminal module: nothing that runs natively has a terminal.
FINISH_NATIVE = f"""
set -eu
python=$1
printf %s "$2" > {PURE_PYTHON}
chmod 755 {PURE_PYTHON}
cd /opt/native
rm -r etc usr/share "usr/lib/python$python"/lib-dynload/termios.*
"usr/bin/python$python" -I -S -m compileall -q --invalidation-mode timestamp "usr/lib/python$python"
"""
# Imports every extension module.
IMPORT_EVERYTHING = """
import importlib, pathlib
for path in sorted(pathlib.Path(importlib.import_module("_ctypes").__file__).parent.glob("*.so")):
    importlib.import_module(path.name.partition(".")[0])
"""


def python_layers(store: LayerStore, distribution: Distribution, base: Layer, python: str) -> tuple[Layer, ...]:
    """Return the layers that add a riscv64 Python to `base`; none for the default."""
    if python == distribution.python:
        return ()
    suite, packages = distribution.python_suite(python), tuple(name.format(python) for name in PACKAGES)
    definition = {"steps": STEPS, "suite": suite, "packages": packages, "over": base.digest}
    commands = [
        ["sh", "-c", EXTRACT, "extract", distribution.suite, suite, "riscv64", "/", *packages],
        ["sh", "-c", FINISH, "finish", python, distribution.python],
        ["env", "LD_BIND_NOW=1", f"python{python}", "-c", IMPORT_EVERYTHING],
    ]

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return _make(store, (base,), tree, f"Python {python} of {suite}", commands, log)

    return (store.ensure(f"python{python}", definition, make),)


def native_python_layers(
    store: LayerStore, distribution: Distribution, base: Layer, native: Layer, python: str
) -> tuple[Layer, ...]:
    """Return the layers that add a native Python; none for the default version."""
    if python == distribution.python:
        return ()
    suite, packages = distribution.python_suite(python), tuple(name.format(python) for name in NATIVE_PACKAGES)
    definition = {"steps": STEPS, "suite": suite, "packages": packages, "over": [base.digest, native.digest]}
    commands = [
        ["sh", "-c", EXTRACT, "extract", distribution.suite, suite, "amd64", "/opt/native", *packages],
        ["sh", "-c", FINISH_NATIVE, "finish", python, pure_python_script(python)],
    ]

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return _make(store, (base, native), tree, f"native Python {python} of {suite}", commands, log)

    return (store.ensure(f"native-python{python}", definition, make),)


def _make(
    store: LayerStore,
    below: tuple[Layer, ...],
    tree: Path,
    subject: str,
    commands: Sequence[Sequence[str]],
    log: LogSink,
) -> tuple[PackagePin, ...]:
    try:
        change_root(store.layout, below, tree, commands, log, network=True)
    except CommandFailed as error:
        raise EnvironmentSetupError(
            f"{subject}: installation failed:\n{error.output}", hint=f"read the log {log.path}; {RETRY_HINT}"
        ) from error
    work = tree.with_name("work")
    pins = extracted_packages(work / ARCHIVE_LIST)
    discard(work)
    return pins
