"""Download cache: its folders, complete files, and full disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.errors import SourceError
from factory.util.atomic_files import sha256_of
from factory.util.full_disk import FULL, describe_full_disk


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Raise SourceError for a full disk or quota while writing to `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise SourceError(
            describe_full_disk(error, folder),
            hint="free some space there, or choose a cache folder on another disk, and run again",
            machines_fault=True,
        ) from error


def cache_slot(cache: Path, sha256: str) -> Path:
    """Return the cache folder for content of that hash, created if missing."""
    slot = cache / sha256[:2] / sha256
    with explain_full_disk(cache):
        slot.mkdir(parents=True, exist_ok=True)
    return slot


def cached_file(sha256: str, cache: Path) -> Path | None:
    """Return the cached file of that hash, for which no server is needed."""
    files = sorted(cache_slot(cache, sha256).iterdir())
    finished = [file for file in files if file.suffix not in (".part", ".lock")]
    return next((file for file in finished if sha256_of(file) == sha256), None)


def publish(part: Path, final: Path) -> Path:
    """Rename a complete file into place, after its content is on the disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    return part.replace(final)
