"""The default environment: layers of a Debian riscv64 root under bubblewrap, with no daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from factory.environments import binfmt, debian
from factory.environments.layers import Layer, content_key, ensure_layer
from factory.environments.sandbox import OverlaySandbox
from factory.errors import CommandFailed, EnvironmentSetupError
from factory.layout import Layout
from factory.model import LogSink, OpenStage, PackagePin

# Two seconds after the epoch of zip files: wheels can't hold an earlier time.
SOURCE_DATE_EPOCH = "315532802"
# After the native tools and before the root's own: a build's virtual environment, where there is one.
BUILD_VENV = "/build/venv"
BUILD_VENV_PATH = f"{BUILD_VENV}/bin"
BASE_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
NATIVE_PATH = "/opt/native/ccache:/opt/native/bin"
UV_PATH = "/opt/uv/bin"
CHECK_VENV = "/opt/venv"
COMMON = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
    "UV_CACHE_DIR": "/packages/uv",
    "PIP_CACHE_DIR": "/packages/pip",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsEnvironment:
    """Layers, lowest first, and the variables that commands in them start with."""

    layers: tuple[Layer, ...]
    layout: Layout
    variables: Mapping[str, str]

    @property
    def key(self) -> str:
        """A hash over the layers' exact packages."""
        return content_key([layer.digest for layer in self.layers])

    def lock(self) -> tuple[PackagePin, ...]:
        """Every package of the root and of the native tools."""
        return tuple(
            sorted(
                {pin for layer in self.layers for pin in layer.packages}, key=lambda pin: (pin.name, pin.architecture)
            )
        )

    def toolchain(self) -> dict[str, str]:
        """The versions of what compiles and emulates."""
        return {pin.name: pin.version for pin in self.lock() if pin.name in debian.TOOLCHAIN}

    @contextmanager
    def open(self, work: Path, *, keep: bool = False) -> Iterator[OverlaySandbox]:
        """Open the root with the host folder `work` at /build; the writable layer lies beside it until the end."""
        sandbox = self.sandbox(work)
        sandbox.prepare()
        try:
            yield sandbox
        finally:
            if not keep:
                sandbox.close()

    def sandbox(self, work: Path) -> OverlaySandbox:
        """The sandbox that `open` opens: entering it again finds what a kept one left."""
        binds = {self.layout.package_cache: "/packages", self.layout.compiler_cache: "/ccache"}
        for folder in binds:
            folder.mkdir(parents=True, exist_ok=True)
        return OverlaySandbox(
            layers=tuple(layer.tree for layer in self.layers),
            work=work,
            scratch=work.with_name(f"{work.name}.root"),
            environment=self.variables,
            binds=binds,
        )


def hybrid_environment(layout: Layout, apt: Sequence[str], open_stage: OpenStage) -> RootfsEnvironment:
    """The root whose compilers are native x86-64 programs, with `apt` as extra Debian packages."""
    native, base = native_layer(layout, open_stage), base_layer(layout, open_stage)
    layers = _with_packages(layout, (base,), (debian.BUILD_PACKAGES, tuple(sorted(apt))), open_stage)
    # ccache knows the compiler by its packages' versions, instead of reading 30 MB for every call.
    compiler = content_key([(pin.name, pin.version) for pin in native.packages])
    ccache = {"CCACHE_DIR": "/ccache", "CCACHE_COMPILERCHECK": f"string:{compiler}", "CCACHE_NOHASHDIR": "1"}
    return RootfsEnvironment(
        layers=(*layers, native),
        layout=layout,
        variables={
            **COMMON,
            **ccache,
            "VIRTUAL_ENV": BUILD_VENV,
            "PATH": f"{NATIVE_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}",
        },
    )


def emulated_environment(layout: Layout, apt: Sequence[str], open_stage: OpenStage) -> RootfsEnvironment:
    """The same root with Debian's riscv64 compilers under QEMU: slow, the reference to compare with."""
    ready_to_emulate(layout, open_stage)
    wanted = (debian.BUILD_PACKAGES, debian.EMULATED_PACKAGES, tuple(sorted(apt)))
    layers = _with_packages(layout, (base_layer(layout, open_stage),), wanted, open_stage)
    uv = ensure_layer(layout.layers, "uv", {"steps": debian.STEPS, "uv": version("uv")}, debian.make_uv, open_stage)
    return RootfsEnvironment(
        layers=(*layers, uv),
        layout=layout,
        variables={**COMMON, "VIRTUAL_ENV": BUILD_VENV, "PATH": f"{UV_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}"},
    )


def check_environment(layout: Layout, open_stage: OpenStage) -> RootfsEnvironment:
    """A clean root as on a board: Debian's Python and an empty virtual environment in /opt/venv."""
    base = base_layer(layout, open_stage)
    definition = {"steps": debian.STEPS, "over": base.digest, "venv": CHECK_VENV}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        _change_root(layout, (base,), tree, [["python3", "-m", "venv", CHECK_VENV]], log, network=False)
        debian.compile_python(native_layer(layout, open_stage).tree, tree, log)
        return ()

    venv = ensure_layer(layout.layers, "venv", definition, make, open_stage)
    return RootfsEnvironment(
        layers=(base, venv), layout=layout, variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"}
    )


def native_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The native tools, QEMU among them."""
    definition = {"steps": debian.NATIVE_STEPS, "suite": debian.SUITE, "packages": debian.NATIVE_PACKAGES}
    return ensure_layer(layout.layers, "native", definition, debian.make_native, open_stage)


def base_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The riscv64 root with Python."""
    native = ready_to_emulate(layout, open_stage)
    definition = {"steps": debian.STEPS, "suite": debian.SUITE, "packages": debian.BASE_PACKAGES}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        packages = debian.make_base(tree, log)
        debian.compile_python(native.tree, tree, log)
        return packages

    return ensure_layer(layout.layers, "base", definition, make, open_stage)


def ready_to_emulate(layout: Layout, open_stage: OpenStage) -> Layer:
    """See to it that the kernel starts riscv64 programs through our QEMU; returns the layer that holds it."""
    native = native_layer(layout, open_stage)
    binfmt.ensure_registered(native.tree / "opt/native/usr/bin/qemu-riscv64")
    return native


def _with_packages(
    layout: Layout, layers: tuple[Layer, ...], wanted: Sequence[tuple[str, ...]], open_stage: OpenStage
) -> tuple[Layer, ...]:
    """Stack one layer for each list of Debian packages; a list that another recipe asked for is made only once."""
    for packages in wanted:
        if packages:
            layers = (*layers, _apt_layer(layout, layers, packages, open_stage))
    return layers


def _apt_layer(layout: Layout, below: tuple[Layer, ...], packages: tuple[str, ...], open_stage: OpenStage) -> Layer:
    definition = {"steps": debian.STEPS, "over": [layer.digest for layer in below], "packages": packages}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        clean = ["sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log"]
        try:
            _change_root(
                layout, below, tree, [["apt-get", "update"], install, ["apt-get", "clean"], clean], log, network=True
            )
        except CommandFailed as error:
            raise EnvironmentSetupError(
                f"the Debian packages {' '.join(packages)} could not be installed:\n{error.output}",
                hint=f"check the names with apt-cache in Debian {debian.SUITE}; the whole log is {log.path}",
            ) from error
        debian.compile_python(native_layer(layout, open_stage).tree, tree, log)
        return debian.dpkg_packages(tree)

    return ensure_layer(layout.layers, "apt", definition, make, open_stage)


def _change_root(
    layout: Layout,
    below: tuple[Layer, ...],
    tree: Path,
    commands: Sequence[Sequence[str]],
    log: LogSink,
    *,
    network: bool,
) -> None:
    """Run commands over `below` and move what they wrote to `tree`."""
    environment = RootfsEnvironment(
        layers=below, layout=layout, variables={**COMMON, "PATH": BASE_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    )
    work = tree.with_name("work")
    with environment.open(work) as sandbox:
        for command in commands:
            sandbox.run(command, log=log, network=network)
        tree.rmdir()
        (sandbox.scratch / "upper").rename(tree)


def strip_command(layout: Layout, open_stage: OpenStage) -> list[str]:
    """The command that strips riscv64 files on the host."""
    return debian.native_command(native_layer(layout, open_stage).tree, f"{debian.TRIPLET}-strip")
