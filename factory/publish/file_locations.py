"""Locations of releases' files on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.model.artifacts import StoredWheel
from factory.publish.release import Mirrored, Release
from factory.util.atomic_files import is_file


class FileLocations:
    """Files of releases: candidates, stored wheels, the mirror, and the written index."""

    def __init__(self, candidates: Sequence[StoredWheel], *, store: Path, mirror: Path, output: Path) -> None:
        self._candidates = {wheel.sha256: wheel.path for wheel in candidates}
        self._store = store
        self._folders = (mirror, output / "files")

    def locate(self, release: Release) -> Path:
        """Return the file of a release whose file the index itself holds.

        Raises:
            PublishError: none of the locations has it.
        """
        path = self.find(release)
        if path is None:
            raise PublishError(
                f"{release.filename}: file not found: the ledger lists it, but no folder of this machine has it",
                hint=f"put the published file (sha256 {release.sha256}) into {self._folders[-1]}",
            )
        return path

    def locate_unless_linked(self, release: Release) -> Path | None:
        """Return the file as `locate` does; None for a linked release without a local file."""
        return self.locate(release) if release.url is None else self.find(release)

    def missing_mirrored(self, releases: Sequence[Release]) -> tuple[Release, ...]:
        """Select mirrored releases whose files, which the index itself holds, are lost."""
        mirrored = (release for release in releases if isinstance(release.origin, Mirrored) and release.url is None)
        return tuple(release for release in mirrored if self.find(release) is None)

    def find(self, release: Release) -> Path | None:
        """Return the local file of a release, None where there is none."""
        candidate = self._candidates.get(release.sha256)
        if candidate is not None and candidate.is_file():
            return candidate
        # Most releases of a large index are linked, and making a Path costs more than the look-up.
        folders = (f"{self._store}/{release.sha256}", *self._folders)
        paths = (f"{folder}/{release.filename}" for folder in folders)
        return next((Path(path) for path in paths if is_file(path)), None)
