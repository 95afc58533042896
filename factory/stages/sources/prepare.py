"""Preparation of a fetched source for its build: patches, and then the overlay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.model.artifacts import AppliedPatch, SourceTree
from factory.model.job import ProjectMetadata
from factory.model.source import Source
from factory.stages.sources import patches
from factory.stages.sources.identity import require_identity
from factory.stages.sources.metadata import PYPROJECT, read_project_metadata
from factory.stages.sources.overlay import lay
from factory.util.log import LogSink


def prepare(source: Source, selected: Sequence[Path], tree: SourceTree, log: LogSink) -> tuple[AppliedPatch, ...]:
    """Apply the selected patches to a fetched tree, then lay the source's overlay.

    Raises:
        PatchError: a patch does not apply; the tree is then half patched.
        SourceError: the overlay cannot be laid.
    """
    applied = patches.apply(selected, tree, log)
    lay_over(source, tree, log)
    return applied


def read_patched(source: Source, selected: Sequence[Path], tree: SourceTree, log: LogSink) -> ProjectMetadata:
    """Prepare a fetched tree as for its build, and read the metadata that the build will see.

    Raises:
        PatchError, SourceError: as for `prepare`; or the metadata is invalid.
    """
    prepare(source, selected, tree, log)
    return read_project_metadata(tree, patched=patches.touch_top_files(selected, [PYPROJECT]))


def lay_over(source: Source, tree: SourceTree, log: LogSink) -> None:
    """Lay the source's overlay, if it has one, over its tree.

    Raises:
        SourceError: the overlay cannot be laid, or does not make the source into the project that it names.
    """
    if source.overlay is not None:
        lay(source.overlay, tree, log)
        require_identity(source.overlay, read_project_metadata(tree))
