"""Tests of native mode, with the factory as a riscv64 program in a root like a board."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.model.protocols import Command
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import MODES
from factory.stages.environments.sandbox import Caches, OverlaySandbox
from factory.stages.environments.variables import BASE_PATH, COMMON
from factory.util.atomic_files import sha256_of
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.checkouts import PACKAGES, Checkout, make_checkout
from tests.support.layer_stores import layer_store

pytestmark = pytest.mark.environment

PROJECT = Path(__file__).parent.parent.parent
# What has no riscv64 wheel on the package index, and which Debian packages have it.
FROM_DEBIAN = {"numpy": "python3-numpy", "psutil": "python3-psutil", "zstandard": "python3-zstandard"}
CPU = "rva23s64"
# QEMU's user mode has no namespaces, so this one program has to be one for the machine beneath. That machine's kernel
# knows nothing of the calls of riscv64, which the filter is for.
BUBBLEWRAP = """#!/bin/sh
left=$#
while [ $left -gt 0 ]; do
    case $1 in
        --seccomp) shift 2; left=$((left - 2)) ;;
        *) set -- "$@" "$1"; shift; left=$((left - 1)) ;;
    esac
done
exec /build/bubblewrap/ld-linux-x86-64.so.2 --library-path /build/bubblewrap /build/bubblewrap/bwrap "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSandbox(OverlaySandbox):
    """A sandbox with the machine's layers at /layers, for a factory inside it."""

    machine_layers: Path

    def _root(self) -> list[str]:
        return [*OverlaySandbox._root(self), "--bind", str(self.machine_layers), "/layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A root that stands for a board: Debian's compilers, a factory in /build/factory, a checkout and a cache."""

    sandbox: OverlaySandbox

    @property
    def work(self) -> Path:
        return self.sandbox.work

    def factory(self, *arguments: str) -> str:
        """Run the `factory` command; returns what it printed.

        Raises:
            CommandFailed: it ended with another status than 0.
        """
        log = LogFile(self.work.with_name("factory.log"))
        before = log.path.stat().st_size
        command = ["/build/factory/bin/python", "-m", "factory.cli", *arguments]
        self.sandbox.run(Command(command, network=True, cwd=PurePosixPath("/build/checkout"), cpu=CPU), log=log)
        return log.path.read_text()[before:]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, layout: Layout, hybrid: RootfsEnvironment) -> Machine:
    work = tmp_path_factory.mktemp("machine") / "work"
    shutil.copytree(PROJECT / "factory", work / "project/factory", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGES / "vectors-c", work / "packages/vectors-c")
    make_checkout(work / "checkout", work / "cache", packages=work / "packages")
    (work / "cache").mkdir()
    (work / "cache/layers").symlink_to("/layers")
    provide_bubblewrap(work)
    install_dependencies(work, hybrid)
    root = MODES["emulated"](layer_store(layout), RootRequest(apt=tuple(FROM_DEBIAN.values())))
    variables = {"PATH": f"/build/bin:{BASE_PATH}", "PYTHONPATH": "/build/project", "FACTORY_CACHE": "/build/cache"}
    sandbox = BoardSandbox(
        layers=tuple(layer.tree for layer in root.layers),
        work=work,
        scratch=work.with_name("scratch"),
        environment={"HOME": COMMON["HOME"], "LANG": COMMON["LANG"], **variables},
        caches=Caches(packages=work.with_name("packages")),
        installs_packages=True,
        machine_layers=layout.layers.resolve(),
    )
    sandbox.prepare()
    return Machine(sandbox=sandbox)


def provide_bubblewrap(work: Path) -> None:
    program = shutil.which("bwrap")
    assert program is not None
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    (work / "bubblewrap").mkdir()
    for file in (program, *(word for word in listed.split() if word.startswith("/"))):
        shutil.copy(file, work / "bubblewrap")
    (work / "bin").mkdir()
    (work / "bin/bwrap").write_text(BUBBLEWRAP)
    (work / "bin/bwrap").chmod(0o755)


def install_dependencies(work: Path, hybrid: RootfsEnvironment) -> None:
    """Install as pip would on a board with Debian's packages, but at native speed; byte-compiled, as pip does too."""
    shutil.copy(PROJECT / "pyproject.toml", work / "pyproject.toml")
    (work / "there").write_text("".join(f"{name}; python_version < '3'\n" for name in FROM_DEBIAN))
    install = ["uv", "pip", "install", "--python", "/build/factory/bin/python", "--overrides", "/build/there"]
    unset = ["env", "--unset=PYTHONDONTWRITEBYTECODE", "--unset=SOURCE_DATE_EPOCH"]
    log = LogFile(work.with_name("install.log"))
    with hybrid.open(work, caches="test") as sandbox:
        sandbox.run(
            Command(["uv", "venv", "--system-site-packages", "--python=/usr/bin/python3", "/build/factory"]), log=log
        )
        # The version of the layer that the machine's cache has already.
        requirements = ["--requirements", "/build/pyproject.toml", f"uv=={version('uv')}"]
        sandbox.run(Command([*install, *requirements], network=True), log=log)
        folders = ["/build/factory/lib", "/build/project"]
        sandbox.run(Command([*unset, "python-pure", "-m", "compileall", "-q", *folders]), log=log)


def test_native_build_gives_bytes_of_hybrid_build(machine: Machine, built: Checkout) -> None:
    said = machine.factory("build", "vectors-c", "--environment", "native")
    (wheel,) = machine.work.glob("cache/store/wheels/*/*.whl")
    assert sha256_of(wheel) == sha256_of(built.wheel())
    assert "vectors-c 1.0: native: sum 499500.0" in said


def test_native_mode_reuses_layers_of_emulated_mode(machine: Machine) -> None:
    script = "gcc -dumpmachine; python3 -c 'import numpy' 2> /dev/null || echo nothing of the machine"
    said = machine.factory("shell", "vectors-c", "--", "sh", "-c", script)
    assert said.splitlines()[-3:-1] == ["riscv64-linux-gnu", "nothing of the machine"], said
    assert "layer: started" not in said


def test_a_riscv64_machine_emulates_nothing(machine: Machine) -> None:
    with pytest.raises(CommandFailed) as caught:
        machine.factory("build", "vectors-c", "--mode", "hybrid")
    assert caught.value.status == PrerequisiteMissing.exit_code
    assert "--mode hybrid:" in caught.value.output
    assert "--mode native" in caught.value.output
    assert "hint: use --mode native" in caught.value.output
