"""Overlays: folders of a recipe that make a source the recipe's Python project."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.source import Overlay
from factory.stages.sources.source_files import leads_inside, source_files, tree_sha256
from factory.util.log import LogSink

PKG_INFO = "PKG-INFO"


def lay(overlay: Overlay, tree: SourceTree, log: LogSink) -> None:
    """Copy the overlay's folders over the tree, later ones over earlier ones.

    The new files get the source's date, so that builds stay reproducible. Where an overlay has a pyproject.toml, what
    the source's PKG-INFO says holds no longer, and it is removed.

    Raises:
        SourceError: a folder is missing or holds a link, or a file of it would replace a folder or a link of the
            source, or leave the tree through one.
    """
    date = tree.path.stat().st_mtime
    for folder in overlay.folders:
        for file in source_files(existing(folder)):
            target = tree.path / file.relative_to(folder)
            _check(file, target, tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            os.utime(target, (date, date))
        log.write(f"laid {folder} over it\n")
        if (folder / "pyproject.toml").is_file():
            (tree.path / PKG_INFO).unlink(missing_ok=True)
    os.utime(tree.path, (date, date))


def overlaid_sha256(source: str, overlay: Overlay) -> str:
    """Return the hash over a source's own and those of its overlay's folders.

    Raises:
        SourceError: a folder is missing.
    """
    hashes = (source, *(tree_sha256(existing(folder)) for folder in overlay.folders))
    return hashlib.sha256("\0".join(hashes).encode()).hexdigest()


def existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise SourceError(f"the overlay {folder} is missing", hint="correct source.overlay")
    return folder


def _check(file: Path, target: Path, tree: SourceTree) -> None:
    if file.is_symlink():
        raise SourceError(f"the overlay's {file} is a link", hint="put the file itself there")
    place = target.relative_to(tree.path)
    if target.is_symlink() or target.is_dir() or not leads_inside(target.parent, tree.path):
        raise SourceError(
            f"the overlay's {file} can't be laid over the source: {place} is a folder or a link there",
            hint="choose another name for it",
        )
