"""Roots: their layers and variables, and the protocols of what opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from factory.model.artifacts import PackagePin
from factory.model.distribution import DEFAULT_DISTRIBUTION, DISTRIBUTIONS, Distribution
from factory.model.protocols import Command, CopiedRoot, Sandbox
from factory.model.target import TOOLCHAINS
from factory.stages.environments.debian.toolchain import toolchain_packages
from factory.stages.environments.layers import Layer, LayerStore, content_key
from factory.stages.environments.native_pip import NativePip

TOOLCHAIN = frozenset[str]().union(*map(toolchain_packages, DISTRIBUTIONS.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRequest:
    """A job's requirements on its root: Python, packages, Rust, and toolchain."""

    python: str = DEFAULT_DISTRIBUTION.python
    apt: tuple[str, ...] = ()
    rust: bool = False
    toolchain: str = TOOLCHAINS[0]
    distribution: Distribution = DEFAULT_DISTRIBUTION


@dataclass(frozen=True, kw_only=True)
class Root:
    """A root filesystem: its layers, lowest first, and the variables of its commands.

    `native_pip` is for commands of pip, and `own_qemu` runs CPUs that the distribution's QEMU lacks; neither is part of
    the root.
    """

    layers: tuple[Layer, ...]
    variables: Mapping[str, str]
    native_pip: NativePip | None = None
    own_qemu: Path | None = None

    @cached_property
    def key(self) -> str:
        """The hash of the layers with their exact packages."""
        return content_key([layer.digest for layer in self.layers])

    def lock(self) -> tuple[PackagePin, ...]:
        """Return every package of the root and of the native tools."""
        return tuple(
            sorted(
                {pin for layer in self.layers for pin in layer.packages}, key=lambda pin: (pin.name, pin.architecture)
            )
        )

    def toolchain(self) -> dict[str, str]:
        """Return the versions of the compilers, their parts and the emulator."""
        return {pin.name: pin.version for pin in self.lock() if pin.name in TOOLCHAIN}


class OpenedRoot(Sandbox, Protocol):
    """A sandbox that a person can open a shell in."""

    def interact(self, command: Command) -> int:
        """Run a command with this process's own terminal; returns its exit status."""
        ...


class Environment(Protocol):
    """A root, and a way to run commands in it. Every way gives the same wheel."""

    @property
    def root(self) -> Root: ...

    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> AbstractContextManager[OpenedRoot]:
        """Open the root with the host folder `work` at /build, and the caches of that name.

        A package's code can write its caches, so no other package has the same. All other changes are discarded at the
        end, unless they are to be kept: then the root can be opened `as_left`, with the changes of the last time.
        """
        ...


class OpenedCopiedRoot(OpenedRoot, CopiedRoot, Protocol):
    """A sandbox that a person can open a shell in, and that can be copied."""


class CopyingEnvironment(Environment, Protocol):
    """An environment whose open roots can be copied: all but the image for cibuildwheel."""

    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> AbstractContextManager[OpenedCopiedRoot]: ...


class MakeEnvironment(Protocol):
    """Constructor of an environment: an entry of ENVIRONMENTS."""

    def __call__(self, *, root: Root, store: LayerStore) -> CopyingEnvironment: ...


MakeRoot = Callable[[LayerStore, RootRequest], Root]
MakeCheckRoot = Callable[[LayerStore, str], Root]
