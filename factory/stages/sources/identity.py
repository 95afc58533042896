"""Identity of a source: its hash, and the project and version in its metadata."""

from __future__ import annotations

import hashlib

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from factory.errors import SourceError
from factory.model.job import ProjectMetadata
from factory.model.source import Overlay, Source
from factory.stages.sources.overlay import overlaid_sha256


def identity(source: Source) -> str:
    """Return the sha256 over the source, its parts and its overlay, without network.

    Raises:
        SourceError: a local folder or an overlay is missing.
    """
    sha256 = source.content_sha256()
    if source.parts:
        hashes = (sha256, *(f"{folder}\0{identity(part)}" for folder, part in source.parts.items()))
        sha256 = hashlib.sha256("\0".join(hashes).encode()).hexdigest()
    return sha256 if source.overlay is None else overlaid_sha256(sha256, source.overlay)


def require_identity(source: Source | Overlay, metadata: ProjectMetadata) -> None:
    """Require the project and version in a source's metadata to be the recipe's.

    Raises:
        SourceError: naming both.
    """
    if metadata.name is not None and canonicalize_name(metadata.name) != canonicalize_name(source.project):
        raise _mismatch(source, "name", metadata.name, source.project)
    if metadata.version is not None and not _same_version(metadata.version, source.version):
        raise _mismatch(source, "version", metadata.version, source.version)


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _mismatch(source: Source | Overlay, key: str, found: str, expected: str) -> SourceError:
    return SourceError(
        f"{source.project} {source.version}: the source's own metadata has {key} {found!r}, the recipe {expected!r}",
        hint=f"correct package.{key} in the recipe, or pin the source of {expected!r}",
    )
