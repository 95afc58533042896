"""The environment `native`: a riscv64 machine with Debian is itself the root.

Commands see the machine's programs and libraries, read-only. All other folders are temporary.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from factory.errors import PrerequisiteMissing
from factory.model.artifacts import PackagePin
from factory.model.distribution import DEFAULT_DISTRIBUTION, Distribution
from factory.model.protocols import Command
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.debian.packages import (
    BASE_PACKAGES,
    EMULATED_PACKAGES,
    build_packages,
    clang_packages,
    installed_packages,
)
from factory.stages.environments.debian.rust import rust_packages
from factory.stages.environments.layers import Layer, LayerStore, content_key
from factory.stages.environments.sandbox import SealedSandbox, caches_of, copy_tree
from factory.stages.environments.variables import BASE_PATH, CHECK_VENV, COMMON, debian_variables
from factory.util.confinement import private_options, system_options
from factory.util.log import LogSink
from factory.util.paths import Layout

MACHINE = Path("/")
# The folders that Debian packages install to; most are links into /usr.
SHOWN = ("usr", "etc", "bin", "sbin", "lib", "lib64", "var/lib/dpkg")
# Local software, in no package.
HIDDEN = "/usr/local"
WRITABLE = ("opt", "root", "tmp")


def machine_root(store: LayerStore, request: RootRequest) -> Root:
    """Return the machine as a build root, with its own compilers.

    Raises:
        PrerequisiteMissing: packages are missing.
    """
    compilers = (
        *(clang_packages(request.distribution) if request.toolchain == "clang" else ()),
        *(rust_packages(request.distribution) if request.rust else ()),
    )
    machine = machine_layer((*required_packages(request.distribution), *compilers, *request.apt))
    _require_python(request.python)
    uv = DebianLayers(store, request.distribution).uv()
    return Root(layers=(machine, uv), variables=debian_variables(request.toolchain, request.distribution))


def machine_check_root(store: LayerStore, python: str) -> Root:
    """Return the machine as a check root, with an empty environment in /opt/venv."""
    machine = machine_layer(required_packages(DEFAULT_DISTRIBUTION))
    _require_python(python)
    plain = NativeEnvironment(
        root=Root(layers=(machine,), variables={**COMMON, "PATH": BASE_PATH}), layout=store.layout
    )

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        with plain.open(tree.with_name("work"), caches="_layers") as sandbox:
            sandbox.run(Command([f"python{python}", "-m", "venv", CHECK_VENV]), log=log)
            (sandbox.scratch / "opt").rename(tree / "opt")
        return ()

    definition = {"over": machine.digest, "python": python, "venv": CHECK_VENV}
    venv = store.ensure("venv", definition, make)
    return Root(layers=(machine, venv), variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"})


def required_packages(distribution: Distribution) -> tuple[str, ...]:
    """Return the packages that every build needs on the machine."""
    return (*BASE_PACKAGES, *build_packages(distribution), *EMULATED_PACKAGES, "ca-certificates")


def machine_layer(needed: tuple[str, ...]) -> Layer:
    """Return the machine as a layer, identified by its installed packages.

    Raises:
        PrerequisiteMissing: some of the packages `needed` are missing.
    """
    packages = installed_packages(MACHINE)
    missing = sorted(set(needed) - {pin.name for pin in packages})
    if missing:
        raise PrerequisiteMissing(
            f"--environment native: this machine lacks Debian packages: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(missing)}",
        )
    return Layer(key=content_key("machine"), tree=MACHINE, packages=packages)


def _require_python(python: str) -> None:
    if not Path(f"/usr/bin/python{python}").is_file():
        raise PrerequisiteMissing(
            f"--environment native: /usr/bin/python{python} does not exist",
            hint="use --environment rootfs, which has its own",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeEnvironment:
    """The machine as a root. Layers above it are copied into its writable folders."""

    root: Root
    layout: Layout

    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> AbstractContextManager[MachineSandbox]:
        """Open the machine; see Environment.open. Other changes go to a folder next to `work`."""
        sandbox = MachineSandbox(
            over=tuple(layer.tree for layer in self.root.layers[1:]),
            work=work,
            scratch=work.with_name(f"{work.name}.root"),
            environment=self.root.variables,
            caches=caches_of(self.layout, caches, self.root.variables),
        )
        return sandbox.opened(keep=keep, as_left=as_left)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSandbox(SealedSandbox):
    """A sandbox of the machine's own files and of the layers `over` it."""

    over: tuple[Path, ...]

    def prepare(self) -> None:
        """Make the writable folders too, with the files of layers."""
        SealedSandbox.prepare(self)
        for name in WRITABLE:
            (self.scratch / name).mkdir(exist_ok=True)
        for layer in self.over if self.original is None else ():
            shutil.copytree(layer, self.scratch, symlinks=True, dirs_exist_ok=True)
        if self.original is not None:
            for name in WRITABLE:
                copy_tree(self.original.scratch / name, self.scratch / name)
            copy_tree(self.original.work, self.work)

    def _root(self) -> list[str]:
        options = system_options(SHOWN)
        for name in WRITABLE:
            options += ["--bind", str(self.scratch / name), str(MACHINE / name)]
        return [*options, *private_options(), "--tmpfs", HIDDEN]

    def _own_folders(self) -> tuple[str, ...]:
        return ("/opt", "/root")

    def _place(self, path: str) -> str:
        """Resolve links: network configuration files often link into /run."""
        return os.path.realpath(path)


def native_environment(*, root: Root, store: LayerStore) -> NativeEnvironment:
    """Return a root in the environment `native`."""
    return NativeEnvironment(root=root, layout=store.layout)
