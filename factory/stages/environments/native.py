"""The environment `native`: a riscv64 machine with Debian is the root itself, instead of layers.

Commands see the machine's own programs and libraries, read-only. Every other folder is theirs alone and thrown away.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from factory.errors import PrerequisiteMissing
from factory.model.artifacts import PackagePin
from factory.model.protocols import Command
from factory.stages.environments.base import BASE_PATH, CHECK_VENV, COMMON, Root, RootRequest, debian_variables
from factory.stages.environments.debian import bootstrap, clang, rust
from factory.stages.environments.layers import Layer, content_key, ensure_layer
from factory.stages.environments.roots import uv_layer
from factory.stages.environments.sandbox import SealedSandbox
from factory.util.log import LogSink, OpenStage
from factory.util.paths import Layout

MACHINE = Path("/")
# Of the machine's folders those that its packages fill; most of them are links into /usr.
SHOWN = ("usr", "etc", "bin", "sbin", "lib", "lib64", "var/lib/dpkg")
# What people put on the machine beside its packages.
HIDDEN = "/usr/local"
WRITABLE = ("opt", "root", "tmp")
NEEDED = (*bootstrap.BASE_PACKAGES, *bootstrap.BUILD_PACKAGES, *bootstrap.EMULATED_PACKAGES, "ca-certificates")


def machine_root(layout: Layout, request: RootRequest, open_stage: OpenStage) -> Root:
    """The machine as a root to build in, with the compilers that it has.

    Raises:
        PrerequisiteMissing: it lacks packages.
    """
    compilers = (
        *(clang.PACKAGES if request.toolchain == "clang" else ()),
        *(rust.PACKAGES if request.rust else ()),
    )
    machine = machine_layer((*NEEDED, *compilers, *request.apt))
    _require_python(request.python)
    return Root(layers=(machine, uv_layer(layout, open_stage)), variables=debian_variables(request.toolchain))


def machine_check_root(layout: Layout, python: str, open_stage: OpenStage) -> Root:
    """The machine with an empty virtual environment in /opt/venv."""
    machine = machine_layer(NEEDED)
    _require_python(python)
    plain = NativeEnvironment(root=Root(layers=(machine,), variables={**COMMON, "PATH": BASE_PATH}), layout=layout)

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        with plain.open(tree.with_name("work")) as sandbox:
            sandbox.run(Command([f"python{python}", "-m", "venv", CHECK_VENV]), log=log)
            (sandbox.scratch / "opt").rename(tree / "opt")
        return ()

    definition = {"over": machine.digest, "python": python, "venv": CHECK_VENV}
    venv = ensure_layer(layout.layers, "venv", definition, make, open_stage)
    return Root(layers=(machine, venv), variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"})


def machine_layer(needed: tuple[str, ...]) -> Layer:
    """The machine as a layer of its own: it is what its packages are.

    Raises:
        PrerequisiteMissing: it lacks some of the packages `needed`.
    """
    packages = bootstrap.dpkg_packages(MACHINE)
    missing = sorted(set(needed) - {pin.name for pin in packages})
    if missing:
        raise PrerequisiteMissing(
            f"this machine is to be built on itself, and lacks Debian packages: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(missing)}",
        )
    return Layer(key=content_key("machine"), tree=MACHINE, packages=packages)


def _require_python(python: str) -> None:
    if not Path(f"/usr/bin/python{python}").is_file():
        raise PrerequisiteMissing(
            f"this machine has no Python {python}", hint="build with --environment rootfs, which brings its own"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeEnvironment:
    """Implements Environment: the lowest layer is the machine, the others are copied into its writable folders."""

    root: Root
    layout: Layout

    def open(self, work: Path, *, keep: bool = False, as_left: bool = False) -> AbstractContextManager[MachineSandbox]:
        """Open the machine with the folder `work` at /build; what else is written lies beside it until the end."""
        self.layout.package_cache.mkdir(parents=True, exist_ok=True)
        sandbox = MachineSandbox(
            over=tuple(layer.tree for layer in self.root.layers[1:]),
            work=work,
            scratch=work.with_name(f"{work.name}.root"),
            environment=self.root.variables,
            binds={self.layout.package_cache: "/packages"},
        )
        return sandbox.opened(keep=keep, as_left=as_left)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSandbox(SealedSandbox):
    """The machine's own files as the root, and those of the layers `over` it."""

    over: tuple[Path, ...]

    def prepare(self) -> None:
        """Make the writable folders, too, with what layers bring."""
        SealedSandbox.prepare(self)
        for name in WRITABLE:
            (self.scratch / name).mkdir(exist_ok=True)
        for layer in self.over:
            shutil.copytree(layer, self.scratch, symlinks=True, dirs_exist_ok=True)

    def _root(self) -> list[str]:
        options = []
        for path in (MACHINE / name for name in SHOWN):
            if path.is_symlink():
                options += ["--symlink", str(path.readlink()), str(path)]
            elif path.is_dir():
                options += ["--ro-bind", str(path), str(path)]
        for name in WRITABLE:
            options += ["--bind", str(self.scratch / name), str(MACHINE / name)]
        return [*options, "--tmpfs", HIDDEN]

    def _place(self, path: str) -> str:
        """Files of the network are often links into /run."""
        return os.path.realpath(path)


def native_environment(*, root: Root, layout: Layout, open_stage: OpenStage) -> NativeEnvironment:
    """The entry of ENVIRONMENTS: the machine needs nothing made."""
    return NativeEnvironment(root=root, layout=layout)
