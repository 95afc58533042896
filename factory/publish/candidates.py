"""Candidates: stored wheels, described as the releases that publishing them makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from factory.errors import PublishError
from factory.model.artifacts import StoredWheel
from factory.publish.provenance import read_provenance
from factory.publish.release import Built, Origin, Release
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import describe_wheel


def describe_candidate(candidate: StoredWheel, published: Release | None) -> Release:
    """Describe a stored wheel as a release.

    `published` is the ledger's release with the same file name.

    A published wheel is not read again: its bytes are compared when it is put into the index.

    Raises:
        PublishError: no profile passed its checks, its bytes changed after them, or the provenance beside it is that of
            another file.
    """
    name = candidate.path.name
    if not candidate.profiles:
        raise PublishError(
            f"{name}: cannot publish: its checks passed on no ISA profile",
            hint=f"run: factory build {parse_filename(name)[0]}",
        )
    origin = Built(record=candidate.record_key, profiles=candidate.profiles, pythons=candidate.pythons)
    release = _reuse_description(candidate, origin, published) or describe_wheel(candidate.path, origin)
    if release.sha256 != candidate.sha256:
        raise PublishError(
            f"{name}: cannot publish: it changed after its checks:\n"
            f"  checked sha256 {candidate.sha256}\n"
            f"  found   sha256 {release.sha256}",
            hint="the store is damaged; build the package again",
        )
    return replace(release, provenance_sha256=read_provenance(candidate.path, release.sha256))


def _reuse_description(candidate: StoredWheel, origin: Origin, published: Release | None) -> Release | None:
    """Return the result of `describe_wheel` from the ledger, None if incomplete there."""
    if published is None or published.metadata_sha256 is None or published.sha256 != candidate.sha256:
        return None
    if not candidate.path.is_file() or candidate.path.stat().st_size != published.size:
        return None
    return replace(published.description(), origin=origin)


def describe_candidates(
    candidates: Iterable[StoredWheel], known: Mapping[str, Release]
) -> tuple[Sequence[Release], Sequence[PublishError]]:
    """Describe stored wheels as `describe_candidate` does; refuse each that cannot be.

    `known` are the ledger's releases by file name.
    """
    described, refused = [], []
    for candidate in candidates:
        try:
            described.append(describe_candidate(candidate, known.get(candidate.path.name)))
        except PublishError as error:
            refused.append(error)
    return described, refused
