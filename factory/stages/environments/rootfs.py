"""The environment `rootfs`, the default: a root under bubblewrap, no daemon."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from factory.model.protocols import Command
from factory.stages.environments.base import Root
from factory.stages.environments.layers import Layer, LayerStore
from factory.stages.environments.sandbox import OverlaySandbox, caches_of
from factory.stages.environments.variables import BASE_PATH, COMMON
from factory.util.log import LogSink
from factory.util.paths import Layout

# Name of the package cache of layers, which only Debian's packages and our own scripts use.
LAYERS = "_layers"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsEnvironment:
    """A root whose layers overlayfs mounts for each command."""

    root: Root
    layout: Layout

    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> AbstractContextManager[OverlaySandbox]:
        """Open the root; see Environment.open. The writable layer is a folder next to `work`."""
        return self.sandbox(work, caches).opened(keep=keep, as_left=as_left)

    def sandbox(self, work: Path, caches: str, *, installs_packages: bool = False) -> OverlaySandbox:
        """Return the sandbox that `open` opens, or one in which apt can install packages."""
        return OverlaySandbox(
            layers=tuple(layer.tree for layer in self.root.layers),
            tools=self.root.native_pip,
            own_qemu=self.root.own_qemu,
            work=work,
            scratch=work.with_name(f"{work.name}.root"),
            environment=self.root.variables,
            caches=caches_of(self.layout, caches, self.root.variables),
            installs_packages=installs_packages,
        )


def rootfs_environment(*, root: Root, store: LayerStore) -> RootfsEnvironment:
    """Return a root in the environment `rootfs`."""
    return RootfsEnvironment(root=root, layout=store.layout)


def change_root(
    layout: Layout,
    below: tuple[Layer, ...],
    tree: Path,
    commands: Sequence[Sequence[str]],
    log: LogSink,
    *,
    network: bool,
) -> None:
    """Run commands over `below` and move the files that they wrote to `tree`."""
    root = Root(layers=below, variables={**COMMON, "PATH": BASE_PATH, "DEBIAN_FRONTEND": "noninteractive"})
    sandbox = RootfsEnvironment(root=root, layout=layout).sandbox(
        tree.with_name("work"), LAYERS, installs_packages=True
    )
    with sandbox.opened(keep=False, as_left=False):
        for command in commands:
            sandbox.run(Command(command, network=network), log=log)
        tree.rmdir()
        (sandbox.scratch / "upper").rename(tree)
