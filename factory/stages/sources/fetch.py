"""Fetch of a source with its parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from factory.errors import SourceError
from factory.model.artifacts import SourceOrigin, SourceTree
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
        fetched = part.fetch(cache, destination / PARTS, log)
        _insert(folder, fetched, tree)
        tree = replace(tree, origins=(*tree.origins, *_below(folder, fetched)))
    if source.overlay is None:
        require_identity(source, read_project_metadata(tree))
    return tree


def _below(folder: str, part: SourceTree) -> Iterator[SourceOrigin]:
    """Iterate over the origins of a part, with their folders in the whole source."""
    for origin in part.origins:
        yield replace(origin, folder=str(PurePosixPath(folder, origin.folder)))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _insert(folder: str, part: SourceTree, tree: SourceTree) -> None:
    """Move a part's tree to its folder of the source; keep the source's date."""
    target = tree.path / folder
    date = tree.path.stat().st_mtime
    inside = leads_inside(target.parent, tree.path)
    if inside and _is_empty_folder(target):  # as of a submodule
        target.rmdir()
    if os.path.lexists(target) or not inside:
        raise SourceError(
            f"{part.path.name}: cannot become {folder} of {tree.path.name}: it exists, or leaves the source",
            hint="name another folder in source.parts",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.path.rename(target)
    part.path.parent.rmdir()
    os.utime(tree.path, (date, date))
