"""What a root filesystem is made of, and what opens one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.model.artifacts import PackagePin
from factory.model.protocols import Command, Sandbox
from factory.model.target import TOOLCHAINS
from factory.stages.environments.debian import bootstrap, clang, rust
from factory.stages.environments.layers import Layer, content_key
from factory.util.log import OpenStage
from factory.util.paths import Layout

# Two seconds after the epoch of zip files: wheels can't hold an earlier time.
SOURCE_DATE_EPOCH = "315532802"
# After the native tools and before the root's own: a build's virtual environment, where there is one.
BUILD_VENV = "/build/venv"
BUILD_VENV_PATH = f"{BUILD_VENV}/bin"
BASE_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
NATIVE_PATH = "/opt/native/ccache:/opt/native/bin"
UV_PATH = "/opt/uv/bin"
CHECK_VENV = "/opt/venv"
TOOLCHAIN = {*bootstrap.TOOLCHAIN, *rust.PACKAGES, *clang.PACKAGES}
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


def debian_variables(toolchain: str) -> dict[str, str]:
    """For builds with the compilers that Debian has for riscv64."""
    compilers = clang.VARIABLES if toolchain == "clang" else {}
    return {**COMMON, **compilers, "VIRTUAL_ENV": BUILD_VENV, "PATH": f"{UV_PATH}:{BUILD_VENV_PATH}:{BASE_PATH}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRequest:
    """What a job asks of its root: a Python, extra Debian packages, a Rust compiler, and which C and C++ compilers."""

    python: str = bootstrap.PYTHON
    apt: tuple[str, ...] = ()
    rust: bool = False
    toolchain: str = TOOLCHAINS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Layers, lowest first, and the variables that commands in them start with."""

    layers: tuple[Layer, ...]
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
        return {pin.name: pin.version for pin in self.lock() if pin.name in TOOLCHAIN}


class OpenedRoot(Sandbox, Protocol):
    """A sandbox that a person can look around in, too."""

    def interact(self, command: Command) -> int:
        """Run a command with this process's own terminal; returns its exit status."""
        ...


class Environment(Protocol):
    """A way to run commands in a root. The same root gives the same wheel in each of them."""

    @property
    def root(self) -> Root: ...

    def open(self, work: Path, *, keep: bool = False, as_left: bool = False) -> AbstractContextManager[OpenedRoot]:
        """Open the root with the host folder `work` at /build.

        What else is written is thrown away at the end, unless it is to be kept for a look: one opens the root `as_left`
        then, with what is there of an earlier time. Otherwise it is as it was made.
        """
        ...


class MakeEnvironment(Protocol):
    """What each entry of ENVIRONMENTS is."""

    def __call__(self, *, root: Root, layout: Layout, open_stage: OpenStage) -> Environment: ...


MakeRoot = Callable[[Layout, RootRequest, OpenStage], Root]
MakeCheckRoot = Callable[[Layout, str, OpenStage], Root]
