"""Fetch of a source with its parts."""

from __future__ import annotations

import os
from pathlib import Path

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.source import Source
from factory.stages.sources.identity import require_identity
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.source_files import leads_inside
from factory.util.log import LogSink

# Folder of the destination that parts of a source are unpacked in, before they are moved into it.
PARTS = ".parts"


def fetch(source: Source, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Put the source into a new folder in `destination`; `cache` keeps downloads.

    A tree that an earlier run left there is replaced. An interrupted fetch leaves no incomplete tree. The overlay is
    not laid yet, because patches are made for the source without it: `prepare`.

    Raises:
        SourceError: it cannot be found or downloaded, differs from its pin, or is not safe to unpack.
    """
    tree = source.fetch(cache, destination, log)
    for folder, part in source.parts.items():
        _insert(folder, part.fetch(cache, destination / PARTS, log), tree)
    if source.overlay is None:
        require_identity(source, read_project_metadata(tree))
    return tree


def _insert(folder: str, part: SourceTree, tree: SourceTree) -> None:
    """Move a part's tree to its folder of the source; keep the source's date."""
    target = tree.path / folder
    date = tree.path.stat().st_mtime
    if os.path.lexists(target) or not leads_inside(target.parent, tree.path):
        raise SourceError(
            f"{part.path.name}: cannot become {folder} of {tree.path.name}: it exists, or leaves the source",
            hint="name another folder in source.parts",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.path.rename(target)
    part.path.parent.rmdir()
    os.utime(tree.path, (date, date))
