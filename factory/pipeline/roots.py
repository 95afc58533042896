"""Root provider: build and check roots, made on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from factory.errors import EnvironmentSetupError
from factory.model.recipe import Recipe
from factory.stages.builders.registry import builder_of
from factory.stages.environments.base import CopyingEnvironment, Environment, Root, RootRequest
from factory.stages.environments.docker.cibuildwheel import CibuildwheelEnvironment
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.manylinux import manylinux_root
from factory.stages.environments.registry import ENVIRONMENTS, OWN_CHECK_ROOTS, OWN_ROOTS
from factory.stages.environments.roots import MODES, binutils_command, check_root, strip_command

# By kind, mode, environment and request.
Asked = tuple[str, str, str, str]
MadeRoots = dict[Asked, Root]
# Equal requests wait for each other. Others wait for a layer that they share (`LayerStore.ensure`), and for the
# kernel's table of interpreters, as those of other processes do.
_LOCKS: dict[Asked, threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RootProvider:
    """Roots of one mode and environment, from one layer store.

    `made` has the roots that the command asked for before: their layers are in use until it ends, so none changes.
    """

    store: LayerStore
    mode: str
    environment: str
    made: MadeRoots = field(default_factory=dict)

    def build_root(self, request: RootRequest) -> Root:
        """Return a build root; make its layers first if they are missing."""
        make = OWN_ROOTS.get(self.environment, MODES[self.mode])
        return self._once("build", request, lambda: make(self.store, request))

    def check_root(self, python: str) -> Root:
        """Return the clean root that wheels for a Python are installed in."""
        make = OWN_CHECK_ROOTS.get(self.environment, check_root)
        return self._once("check", python, lambda: make(self.store, python))

    def build_environment(self, recipe: Recipe, request: RootRequest) -> Environment:
        """Return the environment of a recipe's builder: a build root, or the manylinux image."""
        if not builder_of(recipe.build.builder).IN_MANYLINUX:
            return self.environment_of(self.build_root(request))
        root = self._once("manylinux", request, lambda: manylinux_root(self.store, self.mode, request))
        return CibuildwheelEnvironment(root=root, store=self.store)

    def environment_of(self, root: Root) -> CopyingEnvironment:
        """Return a root in this provider's kind of environment."""
        return ENVIRONMENTS[self.environment](root=root, store=self.store)

    def _once(self, kind: str, request: object, make: Callable[[], Root]) -> Root:
        """Return the root that was made for an equal request, or make it."""
        asked = (kind, self.mode, self.environment, repr(request))
        with _LOCKS.setdefault(asked, threading.Lock()):
            if asked not in self.made:
                self.made[asked] = make()
            return self.made[asked]

    def strip_command(self, root: Root) -> Sequence[str]:
        """Return the host command that strips riscv64 files of a build root."""
        return strip_command(self.store, root)

    def disassembler(self, root: Root) -> Sequence[str]:
        """Return the host command of objdump for riscv64 code; empty if no layer has it."""
        try:
            return binutils_command(self.store, root, "objdump")
        except EnvironmentSetupError:
            return ()
