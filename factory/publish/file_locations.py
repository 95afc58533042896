"""Where the files of releases are on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.model.artifacts import StoredWheel
from factory.publish.ledger import Mirrored, Release
from factory.util.atomic_files import is_file


class Sources:
    """Where the bytes of releases are: named candidates and the store's by sha256, others by name in `folders`."""

    def __init__(self, candidates: Mapping[str, Path], store: Path, folders: tuple[Path, ...]) -> None:
        self._candidates = candidates
        self._store = store
        self._folders = folders

    def locate(self, release: Release) -> Path:
        """The file of a release that the index has itself.

        Raises:
            PublishError: it is nowhere to be found.
        """
        path = self.find(release)
        if path is None:
            raise PublishError(
                f"{release.filename} is in the ledger, but the file is nowhere to be found",
                hint=f"put the published file (sha256 {release.sha256}) into {self._folders[-1]}",
            )
        return path

    def at_hand(self, release: Release) -> Path | None:
        """As `locate`, but None for a file that lies elsewhere and has no copy here."""
        return self.locate(release) if release.url is None else self.find(release)

    def missing_mirrored(self, releases: Sequence[Release]) -> tuple[Release, ...]:
        """Mirrored releases that the index has itself and whose files are gone; their own project still has them."""
        mirrored = (release for release in releases if isinstance(release.origin, Mirrored) and release.url is None)
        return tuple(release for release in mirrored if self.find(release) is None)

    def find(self, release: Release) -> Path | None:
        """The file of a release; None where this machine has none, since it lies elsewhere."""
        candidate = self._candidates.get(release.sha256)
        if candidate is not None and candidate.is_file():
            return candidate
        # Most releases of a large index lie elsewhere, and a Path costs more than looking for what it leads to.
        folders = (f"{self._store}/{release.sha256}", *self._folders)
        places = (f"{folder}/{release.filename}" for folder in folders)
        return next((Path(place) for place in places if is_file(place)), None)


def sources_of(candidates: Sequence[StoredWheel], *, store: Path, mirror: Path, output: Path) -> Sources:
    """What publishing `candidates` can take from.

    Themselves, the wheels in the `store`, the `mirror`, and the index that was written before.
    """
    return Sources({wheel.sha256: wheel.path for wheel in candidates}, store, (mirror, output / "files"))
