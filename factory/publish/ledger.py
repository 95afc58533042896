"""The ledger: one JSON file a release, the index's source of truth.

Published files never change their bytes.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import filelock
from msgspec.structs import replace
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.ledger_entry import encode_entry, load_entry
from factory.publish.release import Release
from factory.publish.wheel_filename import MAX_FILENAME_CHARACTERS, parse_filename
from factory.util.atomic_files import is_file, make_folder, write_if_changed

LOCK_TIMEOUT = 900.0  # seconds; the lock is held while the dependencies of new wheels are fetched


class Ledger:
    """A folder of entries, `<project>/<filename>.json`.

    Reading needs no lock: every file appears by rename.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = filelock.FileLock(folder / ".lock", timeout=LOCK_TIMEOUT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude other publishers; may be nested.

        Raises:
            PublishError: another publisher held the lock for LOCK_TIMEOUT seconds, or the folder can't be written.
        """
        try:
            make_folder(self.folder, durable=True)
            self._lock.acquire()
        except PermissionError as error:
            raise PublishError(
                f"{self.folder}: cannot write the ledger: {error.strerror}: {error.filename}",
                hint=f"make it yours: sudo chown -R $(id -un) {shlex.quote(str(self.folder))}",
            ) from error
        except filelock.Timeout as error:
            raise PublishError(
                f"{self._lock.lock_file}: cannot lock the ledger: another publisher held it for {LOCK_TIMEOUT:.0f} s",
                hint="wait until that publisher has ended, or end it; its lock ends with its process",
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def locked_if_writable(self) -> Iterator[None]:
        """Wait for publishers to finish and exclude new ones.

        Without write access, read without a lock.

        Raises:
            PublishError: a publisher held the lock for LOCK_TIMEOUT seconds.
        """
        lock = Path(self._lock.lock_file)
        writable = os.access(self.folder, os.W_OK) and (not lock.exists() or os.access(lock, os.W_OK))
        with self.locked() if writable else nullcontext():
            yield

    def read(self) -> tuple[Release, ...]:
        """Return every release, ordered by project and file name.

        Raises:
            PublishError: an entry is damaged; the message names its file.
        """
        if not self.folder.is_dir():
            return ()
        with os.scandir(self.folder) as entries:
            projects = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
        return tuple(release for project in projects for release in self.read_project(project))

    def read_project(self, project: str) -> tuple[Release, ...]:
        """Return the releases of one project, ordered by file name.

        Raises:
            PublishError: as `read`.
        """
        folder = f"{self.folder}/{project}"  # a string: making a Path costs as much as reading the file
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(".json") and entry.name[0] != ".")
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(load_entry(folder, name) for name in names)

    def find(self, filename: str) -> Release | None:
        """Return the release with this file name, None if it was never published."""
        path = self._path(filename)
        return load_entry(str(path.parent), path.name) if is_file(path) else None

    def verify(self, release: Release) -> None:
        """Verify that `release` may be added.

        Raises:
            PublishError: its file name was published with other bytes, or is too long.
        """
        published = self.find(release.filename)
        if published is None and len(release.filename) > MAX_FILENAME_CHARACTERS:
            raise _too_long(release.filename)
        if published is not None and published.sha256 != release.sha256:
            raise _other_bytes(release.filename, "already published with other bytes", published, release)

    def verify_all(self, releases: Sequence[Release]) -> None:
        """Verify that all of `releases` may be added together.

        Raises:
            PublishError: as `verify`, or two of them have the same file name and different bytes.
        """
        by_name: dict[str, Release] = {}
        for release in releases:
            self.verify(release)
            other = by_name.setdefault(release.filename, release)
            if other.sha256 != release.sha256:
                raise _other_bytes(release.filename, "given twice with different bytes", other, release)

    def add(self, release: Release) -> Release:
        """Add one release; returns the existing entry where the same bytes were published before.

        Raises:
            PublishError: as `verify`.
        """
        with self.locked():
            self.verify(release)
            published = self.find(release.filename)
            if published is not None:
                return published
            write_if_changed(self._path(release.filename), encode_entry(release), durable=True)
            return release

    def set_yanked(self, project: str, version: Version, reason: str | None) -> tuple[Release, ...]:
        """Yank every file of a version with `reason` (PEP 592), or unyank it with None.

        Returns the changed releases.

        Raises:
            PublishError: no file of that version was published.
        """
        with self.locked():
            published = self.read_project(project)
            files = [release for release in published if Version(release.version) == version]
            if not files:
                raise _not_published(project, version, published)
            encodable = None if reason is None else reason.encode(errors="replace").decode()
            return self.update(replace(release, yanked=encodable) for release in files)

    def update(self, releases: Iterable[Release]) -> tuple[Release, ...]:
        """Replace the entries of published releases; returns those that changed.

        Raises:
            PublishError: one was not published, or with other bytes.
        """
        with self.locked():
            changed = []
            for release in releases:
                published = self.find(release.filename)
                if published is None:
                    raise _not_published(release.project, Version(release.version), [])
                self.verify(release)
                if release != published:
                    write_if_changed(self._path(release.filename), encode_entry(release), durable=True)
                    changed.append(release)
            return tuple(changed)

    def _path(self, filename: str) -> Path:
        project, _version = parse_filename(filename)
        return self.folder / project / f"{filename}.json"


def _not_published(project: str, version: Version, published: Sequence[Release]) -> PublishError:
    versions = sorted({release.version for release in published}, key=Version)
    hint = f"published versions: {', '.join(versions)}" if versions else f"the ledger has no project {project}"
    return PublishError(f"{project} {version}: not published", hint=hint)


def _too_long(filename: str) -> PublishError:
    return PublishError(
        f"{filename}: cannot publish: its file name has {len(filename)} characters, the limit is "
        f"{MAX_FILENAME_CHARACTERS}",
        hint="give the wheel fewer platform tags, or a shorter version",
    )


def _other_bytes(filename: str, problem: str, published: Release, refused: Release) -> PublishError:
    return PublishError(
        f"{filename}: {problem}:\n  published sha256 {published.sha256}\n  refused   sha256 {refused.sha256}",
        hint="a published file never changes; give the rebuilt wheel a build tag: package.build = 1 in its recipe",
    )
