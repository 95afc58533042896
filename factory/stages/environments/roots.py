"""The modes: which layers a root is made of, and so how its compilers run."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError, PrerequisiteMissing
from factory.host import binfmt, native_programs
from factory.model.artifacts import PackagePin
from factory.model.target import NATIVE_MODE
from factory.stages.environments.base import (
    BASE_PATH,
    BUILD_VENV,
    BUILD_VENV_PATH,
    CHECK_VENV,
    COMMON,
    NATIVE_PATH,
    MakeRoot,
    Root,
    RootRequest,
    debian_variables,
)
from factory.stages.environments.debian import bootstrap, clang, rust
from factory.stages.environments.debian.pythons import native_python_layers, python_layers
from factory.stages.environments.layers import Layer, content_key, ensure_layer
from factory.stages.environments.rootfs import change_root
from factory.util.log import LogSink, OpenStage
from factory.util.paths import Layout


def hybrid_root(layout: Layout, request: RootRequest, open_stage: OpenStage) -> Root:
    """The root whose compilers are native x86-64 programs, with what the recipe asks for."""
    native, base = native_layer(layout, open_stage), base_layer(layout, open_stage)
    layers = _with_packages(layout, (base,), (bootstrap.BUILD_PACKAGES, tuple(sorted(request.apt))), open_stage)
    python = python_layers(layout, base, request.python, open_stage)
    native_python = native_python_layers(layout, base, native, request.python, open_stage)
    compilers = (native, clang_layer(layout, open_stage)) if request.toolchain == "clang" else (native,)
    ccache = {"CCACHE_DIR": "/ccache", "CCACHE_COMPILERCHECK": _compiler_check(compilers), "CCACHE_NOHASHDIR": "1"}
    rustc = (rust_layer(layout, open_stage),) if request.rust else ()
    return Root(
        layers=(*layers, *python, *compilers, native_uv_layer(layout, open_stage), *rustc, *native_python),
        variables={
            **COMMON,
            **ccache,
            **(clang.VARIABLES if request.toolchain == "clang" else {}),
            **(rust.variables(request.python) if request.rust else {}),
            "VIRTUAL_ENV": BUILD_VENV,
            "PATH": f"{NATIVE_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}",
        },
    )


def _compiler_check(layers: Sequence[Layer]) -> str:
    """How ccache tells compilers apart: by their packages' versions, instead of reading 30 MB for every call."""
    pins = (pin for layer in layers for pin in layer.packages if pin.name not in bootstrap.NO_COMPILER)
    return f"string:{content_key([(pin.name, pin.version) for pin in pins])}"


def debian_root(layout: Layout, request: RootRequest, open_stage: OpenStage) -> Root:
    """The same root with Debian's riscv64 compilers: slow under QEMU, but the reference to compare with."""
    rust_packages = rust.PACKAGES if request.rust else ()
    clang_packages = clang.PACKAGES if request.toolchain == "clang" else ()
    compilers = (bootstrap.EMULATED_PACKAGES, clang_packages, rust_packages)
    wanted = (bootstrap.BUILD_PACKAGES, *compilers, tuple(sorted(request.apt)))
    base = base_layer(layout, open_stage)
    layers = _with_packages(layout, (base,), wanted, open_stage)
    python = python_layers(layout, base, request.python, open_stage)
    variables = debian_variables(request.toolchain)
    return Root(layers=(*layers, *python, uv_layer(layout, open_stage)), variables=variables)


def check_root(layout: Layout, python: str, open_stage: OpenStage) -> Root:
    """A clean root as on a board: Debian's Python of that version and an empty virtual environment in /opt/venv."""
    base = base_layer(layout, open_stage)
    below = (base, *python_layers(layout, base, python, open_stage))
    definition = {"steps": bootstrap.STEPS, "over": [layer.digest for layer in below], "venv": CHECK_VENV}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        # Without that variable pip byte-compiles itself in the form that needs no hashing of the sources at each start.
        make_venv = ["env", "--unset=SOURCE_DATE_EPOCH", f"python{python}", "-m", "venv", CHECK_VENV]
        change_root(layout, below, tree, [make_venv], log, network=False)
        return ()

    venv = ensure_layer(layout.layers, "venv", definition, make, open_stage)
    return Root(layers=(*below, venv), variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"})


def uv_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The riscv64 uv."""
    return ensure_layer(
        layout.layers, "uv", {"steps": bootstrap.STEPS, "uv": version("uv")}, bootstrap.make_uv, open_stage
    )


def native_uv_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """uv as a native program: the tools have another layer, since it comes in new versions far more often."""
    definition = {"steps": bootstrap.STEPS, "uv": version("uv")}
    return ensure_layer(layout.layers, "uv-native", definition, bootstrap.make_native_uv, open_stage)


def native_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The native tools, QEMU among them."""
    definition = {"steps": bootstrap.NATIVE_STEPS, "suite": bootstrap.SUITE, "packages": bootstrap.NATIVE_PACKAGES}
    return ensure_layer(layout.layers, "native", definition, bootstrap.make_native, open_stage)


def rust_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """rustc and cargo as native programs, for what is built in Rust."""
    definition = {"steps": rust.STEPS, "suite": bootstrap.SUITE, "packages": rust.NATIVE_PACKAGES}
    return ensure_layer(layout.layers, "rust", definition, rust.make_rust, open_stage)


def clang_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """Clang as a native program, for jobs that ask for it."""
    definition = {"steps": clang.STEPS, "suite": bootstrap.SUITE, "packages": clang.PACKAGES}
    return ensure_layer(layout.layers, "clang", definition, clang.make_clang, open_stage)


def base_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The riscv64 root with Python."""
    ready_for_riscv64(layout, open_stage)
    definition = {"steps": bootstrap.STEPS, "suite": bootstrap.SUITE, "packages": bootstrap.BASE_PACKAGES}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        packages = bootstrap.make_base(tree, log)
        bootstrap.compile_python(_python_home(layout, tree, open_stage), tree, log)
        return packages

    return ensure_layer(layout.layers, "base", definition, make, open_stage)


def ready_for_riscv64(layout: Layout, open_stage: OpenStage) -> None:
    """See to it that riscv64 programs start: the machine itself runs them, or the kernel knows our QEMU."""
    if not binfmt.is_native():
        binfmt.ensure_registered(native_layer(layout, open_stage).tree / "opt/native/usr/bin/qemu-riscv64")


def _python_home(layout: Layout, base: Path, open_stage: OpenStage) -> Path:
    """Where a Python for this machine lies, of the version that the riscv64 root `base` has."""
    return base if binfmt.is_native() else native_layer(layout, open_stage).tree / "opt/native"


def _with_packages(
    layout: Layout, layers: tuple[Layer, ...], wanted: Sequence[tuple[str, ...]], open_stage: OpenStage
) -> tuple[Layer, ...]:
    """Stack one layer for each list of Debian packages; a list that another recipe asked for is made only once."""
    for packages in wanted:
        if packages:
            layers = (*layers, apt_layer(layout, layers, packages, open_stage))
    return layers


def apt_layer(layout: Layout, below: tuple[Layer, ...], packages: tuple[str, ...], open_stage: OpenStage) -> Layer:
    """Debian packages and what they need, installed over the layers `below`, from the mirror that those name.

    Raises:
        EnvironmentSetupError: the packages could not be installed, or the mirror's lists of them not be read.
    """
    definition = {"steps": bootstrap.STEPS, "over": [layer.digest for layer in below], "packages": packages}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        clean = ["sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log"]
        try:
            change_root(
                layout, below, tree, [["apt-get", "update"], install, ["apt-get", "clean"], clean], log, network=True
            )
        except CommandFailed as error:
            raise EnvironmentSetupError(
                f"the Debian packages {' '.join(packages)} could not be installed:\n{error.output}",
                hint=f"check the names with apt-cache in Debian {bootstrap.SUITE}; {bootstrap.LATER_TRY}; "
                f"the whole log is {log.path}",
            ) from error
        bootstrap.compile_python(_python_home(layout, below[0].tree, open_stage), tree, log)
        return bootstrap.dpkg_packages(tree)

    return ensure_layer(layout.layers, "apt", definition, make, open_stage)


def strip_command(layout: Layout, root: Root, open_stage: OpenStage) -> list[str]:
    """The command that strips riscv64 files on this machine."""
    program = f"{bootstrap.TRIPLET}-strip"
    if binfmt.is_native():
        return native_programs.program_command([layer.tree for layer in root.layers], program)
    return native_programs.native_command(native_layer(layout, open_stage).tree, program)


MODES: Mapping[str, MakeRoot] = {"hybrid": hybrid_root, "emulated": debian_root, NATIVE_MODE: debian_root}


def default_mode() -> str:
    """The fastest mode that this machine has."""
    return NATIVE_MODE if binfmt.is_native() else "hybrid"


def require_machine(mode: str, environment: str) -> None:
    """See to it that this machine is one for the mode and the environment.

    Raises:
        PrerequisiteMissing: it is not.
    """
    machine = platform.machine()
    if machine not in native_programs.LOADERS:
        raise PrerequisiteMissing(
            f"this machine is {machine}, for which there are no native tools", hint="use an x86-64 or riscv64 machine"
        )
    if NATIVE_MODE in (mode, environment) and not binfmt.is_native():
        option = "--mode" if mode == NATIVE_MODE else "--environment"
        raise PrerequisiteMissing(
            f"{option} {NATIVE_MODE} is for riscv64 machines, and this one is {machine}",
            hint="use --mode hybrid, or --mode emulated for Debian's own compilers under QEMU",
        )
    if mode != NATIVE_MODE and binfmt.is_native():
        raise PrerequisiteMissing(
            f"--mode {mode} is for machines that emulate riscv64, and this one is {machine} itself",
            hint=f"use --mode {NATIVE_MODE}",
        )
