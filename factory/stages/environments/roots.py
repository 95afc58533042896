"""Roots of the modes: hybrid, emulated and native builds, and checks."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from factory.errors import PrerequisiteMissing
from factory.host import binfmt, native_programs
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.target import HYBRID_MODE, NATIVE_MODE
from factory.stages.environments.base import MakeRoot, Root, RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.debian.native_tools import NOT_COMPILERS
from factory.stages.environments.debian.packages import EMULATED_PACKAGES, build_packages, clang_packages
from factory.stages.environments.debian.rust import rust_packages, rust_variables
from factory.stages.environments.layers import Layer, LayerStore, content_key
from factory.stages.environments.native_pip import NativePip
from factory.stages.environments.variables import (
    BASE_PATH,
    BUILD_VENV,
    BUILD_VENV_PATH,
    CHECK_VENV,
    COMMON,
    NATIVE_PATH,
    compiler_variables,
    debian_variables,
)


def hybrid_root(store: LayerStore, request: RootRequest) -> Root:
    """Return the riscv64 root whose compilers are native x86-64 programs."""
    debian = DebianLayers(store, request.distribution)
    native, base = debian.native_tools(), debian.base()
    layers = debian.installed((base,), build_packages(request.distribution), sorted(request.apt))
    python = debian.python(base, request.python)
    native_python = debian.native_python(base, native, request.python)
    compilers = (native, debian.clang()) if request.toolchain == "clang" else (native,)
    rustc = (debian.rust(),) if request.rust else ()
    return Root(
        layers=(*layers, *python, *compilers, debian.native_uv(), *rustc, *native_python),
        variables={
            **COMMON,
            **_ccache_variables(compilers),
            **compiler_variables(request.toolchain, request.distribution),
            **(rust_variables(request.python) if request.rust else {}),
            "VIRTUAL_ENV": BUILD_VENV,
            "PATH": f"{NATIVE_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}",
        },
    )


def _ccache_variables(compilers: Sequence[Layer]) -> dict[str, str]:
    """Return ccache's settings.

    Package versions identify a compiler: hashing its 30 MB for each call is slow.
    """
    pins = (pin for layer in compilers for pin in layer.packages if pin.name not in NOT_COMPILERS)
    check = f"string:{content_key([(pin.name, pin.version) for pin in pins])}"
    return {"CCACHE_DIR": "/ccache", "CCACHE_COMPILERCHECK": check, "CCACHE_NOHASHDIR": "1"}


def debian_root(store: LayerStore, request: RootRequest) -> Root:
    """Return the same root with Debian's riscv64 compilers.

    They are slow under QEMU, but the reference for comparison.
    """
    debian, distribution = DebianLayers(store, request.distribution), request.distribution
    base = debian.base()
    layers = debian.installed(
        (base,),
        build_packages(distribution),
        EMULATED_PACKAGES,
        clang_packages(distribution) if request.toolchain == "clang" else (),
        rust_packages(distribution) if request.rust else (),
        sorted(request.apt),
    )
    python = debian.python(base, request.python)
    variables = debian_variables(request.toolchain, distribution)
    return Root(layers=(*layers, *python, debian.uv()), variables=variables)


def check_root(store: LayerStore, python: str) -> Root:
    """Return a clean root as on a board, with a Python and an empty venv in /opt/venv."""
    debian = DebianLayers(store)
    base = debian.base()
    below = (base, *debian.python(base, python))
    venv = debian.check_venv(below, python)
    return Root(
        layers=(*below, venv),
        variables={**COMMON, "PATH": f"{CHECK_VENV}/bin:{BASE_PATH}"},
        native_pip=_native_pip(debian, base, venv, python),
    )


def _native_pip(debian: DebianLayers, base: Layer, venv: Layer, python: str) -> NativePip | None:
    """Return what runs the pip of a check's environment natively; None on a riscv64 machine."""
    if binfmt.is_native():
        return None
    native = debian.native_tools()
    layers = (native, *debian.native_python(base, native, python), venv)
    return NativePip(trees=tuple(layer.tree for layer in layers), python=python)


def strip_command(store: LayerStore, root: Root) -> list[str]:
    """Return the host command that strips riscv64 files."""
    return binutils_command(store, root, "strip")


def binutils_command(store: LayerStore, root: Root, tool: str) -> list[str]:
    """Return the host command of a tool of binutils for riscv64 files, such as `objdump`."""
    program = f"{DEFAULT_DISTRIBUTION.triplet}-{tool}"
    if binfmt.is_native():
        return native_programs.program_command([layer.tree for layer in root.layers], program)
    return native_programs.native_command(DebianLayers(store).native_tools().tree, program)


MODES: Mapping[str, MakeRoot] = {HYBRID_MODE: hybrid_root, "emulated": debian_root, NATIVE_MODE: debian_root}


def default_mode() -> str:
    """Return the fastest mode of this machine."""
    return NATIVE_MODE if binfmt.is_native() else HYBRID_MODE


def require_machine(mode: str, environment: str) -> None:
    """Check that this machine supports the mode and the environment.

    Raises:
        PrerequisiteMissing: it does not.
    """
    machine = platform.machine()
    if machine not in native_programs.LOADERS:
        raise PrerequisiteMissing(
            f"machine {machine}: no native tools exist for it", hint="use an x86-64 or riscv64 machine"
        )
    if NATIVE_MODE in (mode, environment) and not binfmt.is_native():
        option = "--mode" if mode == NATIVE_MODE else "--environment"
        raise PrerequisiteMissing(
            f"{option} {NATIVE_MODE}: needs a riscv64 machine: this one is {machine}",
            hint="use --mode hybrid, or --mode emulated for Debian's own compilers under QEMU",
        )
    if mode != NATIVE_MODE and binfmt.is_native():
        raise PrerequisiteMissing(
            f"--mode {mode}: needs a machine that emulates riscv64: this one is {machine}",
            hint=f"use --mode {NATIVE_MODE}",
        )
