"""Files of an index: wheels, their METADATA and their provenance, written into its folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.publish.provenance import provenance_path
from factory.publish.release import Release
from factory.publish.simple_api import write_pages
from factory.publish.wheel_metadata import METADATA_SUFFIX, read_metadata
from factory.util.atomic_files import copy_atomically, remove_unfinished, sha256_of, write_if_changed

Locate = Callable[[Release], Path]


def write_simple(releases: Sequence[Release], locate: Locate, out: Path) -> tuple[Path, ...]:
    """Write `<out>/simple/` and `<out>/files/`; returns the files that were new or changed.

    The same releases give the same bytes, and unchanged files are left alone. Wheels are written before the pages that
    link to them, so that no page has a dead link. Nothing is removed: what was published stays.

    Raises:
        PublishError: as `write_files`.
    """
    return (*write_files(releases, locate, out), *write_pages(releases, out))


def write_files(releases: Sequence[Release], locate: Locate, out: Path) -> tuple[Path, ...]:
    """Write `<out>/files/`; returns the files that were new or changed.

    `locate` returns the wheel of a release whose file the index itself holds.

    Raises:
        PublishError: a wheel has other bytes than its release states, or two releases have the same file name.
    """
    _require_unique_names(releases)
    remove_unfinished(out / "files")
    changed: list[Path] = []
    for release in releases:
        if release.url is None:
            changed += _write_wheel(release, locate(release), out / "files" / release.filename)
    return tuple(changed)


def _require_unique_names(releases: Sequence[Release]) -> None:
    twice = [name for name, count in Counter(release.filename for release in releases).items() if count > 1]
    if twice:
        raise PublishError(
            f"{', '.join(sorted(twice))}: cannot write the index: several releases have this file name",
            hint="omit the older one, or give the newer one a build tag: package.build = 1 in its recipe",
        )


def _write_wheel(release: Release, source: Path, path: Path) -> list[Path]:
    changed = []
    if not _is_in_place(release, source, path):
        _verify_hash(release, source)
        copy_atomically(source, path)
        changed.append(path)
    metadata_path = path.with_name(f"{path.name}{METADATA_SUFFIX}")
    if release.metadata_sha256 is None or not _has(metadata_path, release.metadata_sha256):
        changed += _write_metadata(release, path, metadata_path)
    return changed + _write_provenance(release, source, path)


def _write_provenance(release: Release, source: Path, path: Path) -> list[Path]:
    """Copy provenance from beside the source wheel, unless the index has it.

    It can't be made from the wheel.
    """
    provenance, beside = provenance_path(path), provenance_path(source)
    if release.provenance_sha256 is None or _has(provenance, release.provenance_sha256):
        return []
    if not _has(beside, release.provenance_sha256):
        raise PublishError(
            f"{provenance.name}: file not found: the ledger lists it, but no folder of this machine has it",
            hint=f"put the published file (sha256 {release.provenance_sha256}) into {provenance.parent}",
        )
    copy_atomically(beside, provenance)
    return [provenance]


def _has(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _is_in_place(release: Release, source: Path, path: Path) -> bool:
    """Report whether `path` holds the release.

    A hard link to the store's file is not read again.
    """
    if not path.is_file() or path.stat().st_size != release.size:
        return False
    return (source != path and source.samefile(path)) or sha256_of(path) == release.sha256


def _verify_hash(release: Release, source: Path) -> None:
    actual = sha256_of(source)
    if actual != release.sha256:
        raise PublishError(
            f"{source}: other bytes than {release.filename} in the ledger:\n"
            f"  published sha256 {release.sha256}\n"
            f"  found     sha256 {actual}",
            hint="the file was damaged after it was stored: fetch or build it again",
        )


def _write_metadata(release: Release, wheel: Path, path: Path) -> list[Path]:
    text = read_metadata(wheel)
    actual = hashlib.sha256(text).hexdigest()
    if actual != release.metadata_sha256:
        raise PublishError(
            f"{wheel.name}: METADATA differs from the ledger: sha256 {actual} instead of {release.metadata_sha256}",
            hint="the ledger entry was edited by hand: restore it from the last commit",
        )
    return [path] if write_if_changed(path, text) else []
