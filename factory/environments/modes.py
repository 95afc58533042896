"""The modes: which layers a root is made of, and so how its compilers run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from factory.environments import binfmt, debian, rust
from factory.environments.layers import Layer, content_key, ensure_layer
from factory.environments.pythons import native_python_layers, python_layers
from factory.environments.root import (
    BASE_PATH,
    BUILD_VENV,
    BUILD_VENV_PATH,
    CHECK_VENV,
    COMMON,
    NATIVE_PATH,
    UV_PATH,
    Root,
    RootRequest,
)
from factory.environments.rootfs import change_root
from factory.errors import CommandFailed, EnvironmentSetupError
from factory.layout import Layout
from factory.model import LogSink, OpenStage, PackagePin


def hybrid_root(layout: Layout, request: RootRequest, open_stage: OpenStage) -> Root:
    """The root whose compilers are native x86-64 programs, with what the recipe asks for."""
    native, base = native_layer(layout, open_stage), base_layer(layout, open_stage)
    layers = _with_packages(layout, (base,), (debian.BUILD_PACKAGES, tuple(sorted(request.apt))), open_stage)
    python = python_layers(layout, base, request.python, open_stage)
    native_python = native_python_layers(layout, base, native, request.python, open_stage)
    # ccache knows the compiler by its packages' versions, instead of reading 30 MB for every call.
    compiler = content_key([(pin.name, pin.version) for pin in native.packages])
    ccache = {"CCACHE_DIR": "/ccache", "CCACHE_COMPILERCHECK": f"string:{compiler}", "CCACHE_NOHASHDIR": "1"}
    compilers = (native, rust_layer(layout, open_stage)) if request.rust else (native,)
    return Root(
        layers=(*layers, *python, *compilers, *native_python),
        variables={
            **COMMON,
            **ccache,
            **(rust.variables(request.python) if request.rust else {}),
            "VIRTUAL_ENV": BUILD_VENV,
            "PATH": f"{NATIVE_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}",
        },
    )


def emulated_root(layout: Layout, request: RootRequest, open_stage: OpenStage) -> Root:
    """The same root with Debian's riscv64 compilers under QEMU: slow, the reference to compare with."""
    ready_to_emulate(layout, open_stage)
    rust_packages = rust.PACKAGES if request.rust else ()
    wanted = (debian.BUILD_PACKAGES, debian.EMULATED_PACKAGES, rust_packages, tuple(sorted(request.apt)))
    base = base_layer(layout, open_stage)
    layers = _with_packages(layout, (base,), wanted, open_stage)
    python = python_layers(layout, base, request.python, open_stage)
    uv = ensure_layer(layout.layers, "uv", {"steps": debian.STEPS, "uv": version("uv")}, debian.make_uv, open_stage)
    return Root(
        layers=(*layers, *python, uv),
        variables={**COMMON, "VIRTUAL_ENV": BUILD_VENV, "PATH": f"{UV_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}"},
    )


def check_root(layout: Layout, python: str, open_stage: OpenStage) -> Root:
    """A clean root as on a board: Debian's Python of that version and an empty virtual environment in /opt/venv."""
    base = base_layer(layout, open_stage)
    below = (base, *python_layers(layout, base, python, open_stage))
    definition = {"steps": debian.STEPS, "over": [layer.digest for layer in below], "venv": CHECK_VENV}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        # Without that variable pip byte-compiles itself in the form that needs no hashing of the sources at each start.
        make_venv = ["env", "--unset=SOURCE_DATE_EPOCH", f"python{python}", "-m", "venv", CHECK_VENV]
        change_root(layout, below, tree, [make_venv], log, network=False)
        return ()

    venv = ensure_layer(layout.layers, "venv", definition, make, open_stage)
    return Root(layers=(*below, venv), variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"})


def native_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """The native tools, QEMU among them."""
    definition = {"steps": debian.NATIVE_STEPS, "suite": debian.SUITE, "packages": debian.NATIVE_PACKAGES}
    return ensure_layer(layout.layers, "native", definition, debian.make_native, open_stage)


def rust_layer(layout: Layout, open_stage: OpenStage) -> Layer:
    """rustc and cargo as native programs, for what is built in Rust."""
    definition = {"steps": rust.STEPS, "suite": debian.SUITE, "packages": rust.NATIVE_PACKAGES}
    return ensure_layer(layout.layers, "rust", definition, rust.make_rust, open_stage)


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
            change_root(
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


def strip_command(layout: Layout, open_stage: OpenStage) -> list[str]:
    """The command that strips riscv64 files on the host."""
    return debian.native_command(native_layer(layout, open_stage).tree, f"{debian.TRIPLET}-strip")


MakeRoot = Callable[[Layout, RootRequest, OpenStage], Root]

MODES: Mapping[str, MakeRoot] = {"hybrid": hybrid_root, "emulated": emulated_root}
