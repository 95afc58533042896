"""The layers of a distribution: base, native tools, compilers, Pythons, packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host import binfmt
from factory.model.artifacts import PackagePin
from factory.model.distribution import DEFAULT_DISTRIBUTION, Distribution
from factory.stages.environments.debian import (
    bootstrap,
    clang,
    contents,
    native_tools,
    own_qemu,
    pythons,
    rust,
    uv,
)
from factory.stages.environments.debian.apt_progress import AptProgress
from factory.stages.environments.debian.contents import Contents
from factory.stages.environments.debian.packages import (
    BASE_PACKAGES,
    RETRY_HINT,
    clang_packages,
    compile_python,
    installed_packages,
)
from factory.stages.environments.layers import Layer, LayerStore
from factory.stages.environments.rootfs import change_root
from factory.stages.environments.variables import CHECK_VENV
from factory.util.log import LogSink

CLEAN = "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log"


@dataclass(frozen=True, slots=True)
class DebianLayers:
    """The layers of a distribution in a layer store; missing ones are made."""

    store: LayerStore
    distribution: Distribution = DEFAULT_DISTRIBUTION

    def base(self) -> Layer:
        """Return the riscv64 root with the default Python."""
        self.register_qemu()
        definition = self._definition(bootstrap.STEPS, BASE_PACKAGES)

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            packages = bootstrap.make_base(tree, self.distribution, log)
            compile_python(self._python_home(tree), tree, self.distribution.python, log)
            return packages

        return self.store.ensure("base", definition, make)

    def register_qemu(self) -> None:
        """Register QEMU for riscv64 programs, unless the machine runs them itself."""
        if not binfmt.is_native():
            binfmt.ensure_registered(self.native_tools().tree / native_tools.NATIVE / "usr/bin/qemu-riscv64")

    def native_tools(self) -> Layer:
        """Return the native tools, QEMU among them."""
        definition = self._definition(native_tools.STEPS, native_tools.native_packages(self.distribution))

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            return native_tools.make_native_tools(tree, self.distribution, log)

        return self.store.ensure("native", definition, make)

    def own_qemu(self, source: own_qemu.QemuSource, jobs: int) -> Layer:
        """Return our own QEMU; `jobs` compilers build it."""
        packages = self._definition(own_qemu.STEPS, own_qemu.PACKAGES)
        definition = {**packages, "source": source.identity, "options": own_qemu.OPTIONS}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            return own_qemu.make_own_qemu(tree, source, self.distribution, jobs, log)

        return self.store.ensure("qemu", definition, make)

    def clang(self) -> Layer:
        """Return Clang as a native program."""
        definition = self._definition(clang.STEPS, clang_packages(self.distribution))

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            return clang.make_clang(tree, self.distribution, log)

        return self.store.ensure("clang", definition, make)

    def rust(self) -> Layer:
        """Return rustc and cargo as native programs."""
        definition = self._definition(rust.STEPS, rust.native_rust_packages(self.distribution))

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            return rust.make_rust(tree, self.distribution, log)

        return self.store.ensure("rust", definition, make)

    def uv(self) -> Layer:
        """Return the riscv64 uv."""
        definition = {"steps": bootstrap.STEPS, "uv": metadata.version("uv")}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            return uv.make_uv(tree, self.distribution, log)

        return self.store.ensure("uv", definition, make)

    def native_uv(self) -> Layer:
        """Return uv as a native program.

        It has its own layer since it changes far more often than the tools.
        """
        definition = {"steps": bootstrap.STEPS, "uv": metadata.version("uv")}
        return self.store.ensure("uv-native", definition, uv.make_native_uv)

    def python(self, base: Layer, python: str) -> tuple[Layer, ...]:
        """Return the layers over `base` that add a riscv64 Python version."""
        return pythons.python_layers(self.store, self.distribution, base, python)

    def native_python(self, base: Layer, native: Layer, python: str) -> tuple[Layer, ...]:
        """Return the layers over the native tools that add a native Python version."""
        return pythons.native_python_layers(self.store, self.distribution, base, native, python)

    def installed(self, below: tuple[Layer, ...], *lists: Iterable[str]) -> tuple[Layer, ...]:
        """Return `below` with one layer for each list of packages.

        Recipes with equal lists share a layer.
        """
        layers = below
        for packages in map(tuple, lists):
            if packages:
                layers = (*layers, self.packages(layers, packages))
        return layers

    def packages(self, below: tuple[Layer, ...], packages: tuple[str, ...]) -> Layer:
        """Return a layer of packages and dependencies, from the mirror of `below`.

        Raises:
            EnvironmentSetupError: the package lists cannot be read, or the packages cannot be installed.
        """
        definition = {"steps": bootstrap.STEPS, "over": [layer.digest for layer in below], "packages": packages}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            self._install(below, tree, packages, log)
            compile_python(self._python_home(below[0].tree), tree, self.distribution.python, log)
            return installed_packages(tree)

        more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
        return self.store.ensure("apt", definition, make, of=f"{packages[0]}{more}")

    def contents(self) -> Contents:
        """Return the distribution's index of files, from the mirror of the base.

        Raises:
            EnvironmentSetupError: the mirror has none.
        """
        base = self.base()
        definition = {"steps": contents.STEPS, "over": [base.digest]}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            try:
                change_root(self.store.layout, (base,), tree, [["sh", "-c", contents.FETCH]], log, network=True)
            except CommandFailed as error:
                raise EnvironmentSetupError(
                    f"{self.distribution.name}: its index of files can't be fetched:\n{error.output}",
                    hint=f"{RETRY_HINT}; read the log {log.path}",
                ) from error
            contents.reduce_lists(tree, self.distribution, log)
            return ()

        layer = self.store.ensure("contents", definition, make)
        return Contents(layer.tree / contents.FILE, self.distribution.triplet)

    def check_venv(self, below: tuple[Layer, ...], python: str) -> Layer:
        """Return an empty virtual environment for checks."""
        definition = {"steps": bootstrap.STEPS, "over": [layer.digest for layer in below], "venv": CHECK_VENV}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            # With SOURCE_DATE_EPOCH, pip's byte code would be checked against hashes of its sources at each start.
            make_venv = ["env", "--unset=SOURCE_DATE_EPOCH", f"python{python}", "-m", "venv", CHECK_VENV]
            change_root(self.store.layout, below, tree, [make_venv], log, network=False)
            return ()

        return self.store.ensure("venv", definition, make)

    def _definition(self, steps: int, packages: tuple[str, ...]) -> dict[str, object]:
        return {"steps": steps, "suite": self.distribution.suite, "packages": packages}

    def _python_home(self, base: Path) -> Path:
        """Return the tree with a native Python of the version in the riscv64 root `base`."""
        return base if binfmt.is_native() else self.native_tools().tree / native_tools.NATIVE

    def _install(self, below: tuple[Layer, ...], tree: Path, packages: tuple[str, ...], log: LogSink) -> None:
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        commands = [["apt-get", "update"], install, ["apt-get", "clean"], ["sh", "-c", CLEAN]]
        try:
            change_root(self.store.layout, below, tree, commands, AptProgress(log), network=True)
        except CommandFailed as error:
            raise EnvironmentSetupError(
                f"Debian packages {' '.join(packages)}: installation failed:\n{error.output}",
                hint=f"check the names with apt-cache in {self.distribution.name} ({self.distribution.suite}); "
                f"{RETRY_HINT}; read the log {log.path}",
            ) from error
