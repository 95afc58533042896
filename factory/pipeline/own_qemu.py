"""Our own QEMU, made when a profile needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from factory.errors import PatchError, PrerequisiteMissing
from factory.host import binfmt
from factory.model.target import OWN_PROFILES
from factory.pipeline.run import Run
from factory.stages.environments.base import Root
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.debian.own_qemu import QEMU, QemuSource
from factory.stages.environments.registry import DEFAULT_ENVIRONMENT
from factory.stages.sources import patches
from factory.stages.sources.debian import DebianSource
from factory.util.atomic_files import sha256_of
from factory.util.log import LogSink
from factory.util.scratch import discard

# The upstream tarball of the distribution's QEMU.
SOURCE = DebianSource(
    project="qemu",
    version="10.0.13+ds",
    sha256="6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae",
)


def with_own_qemu(root: Root, profiles: Iterable[str], run: Run) -> Root:
    """Return the root with our own QEMU if one of the profiles needs it.

    Raises:
        PrerequisiteMissing: this environment or machine cannot run it.
        PatchError: the project folder has no patch for it, or one does not apply.
        SourceError: its source cannot be fetched.
        EnvironmentSetupError: it cannot be built.
    """
    needing = [profile for profile in profiles if profile in OWN_PROFILES]
    if not needing:
        return root
    if run.config.environment != DEFAULT_ENVIRONMENT:
        raise PrerequisiteMissing(
            f"--environment {run.config.environment}: profile {needing[0]} needs a QEMU of its own",
            hint=f"use --environment {DEFAULT_ENVIRONMENT}",
        )
    source = _source(needing[0], run)
    binfmt.require_own_tables()
    layer = DebianLayers(run.roots.store).own_qemu(source, run.slots.total)
    return replace(root, own_qemu=layer.tree / QEMU)


def _source(profile: str, run: Run) -> QemuSource:
    selected = patches.select(run.recipes.patches, SOURCE)
    if not selected:
        folder = patches.folder_of(run.recipes.patches, SOURCE)
        raise PatchError(
            f"profile {profile}: {folder}: no patch of QEMU", hint="copy this folder from the factory's own project"
        )

    def put(folder: Path, log: LogSink) -> None:
        fetched = folder.with_name("fetched")
        tree = SOURCE.fetch(run.layout.downloads, fetched, log)
        patches.apply(selected, tree, log)
        tree.path.rename(folder)
        discard(fetched)

    return QemuSource(identity=(SOURCE.sha256, *map(sha256_of, selected)), put=put)
