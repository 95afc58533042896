"""Source kind `local`: a folder of this machine."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.declaration import SHA256, BesideRecipe, about
from factory.model.source import Source
from factory.stages.sources.disk import explain_full_disk
from factory.stages.sources.source_files import leads_inside, source_files, tree_sha256
from factory.util.full_disk import FULL
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSource(Source):
    """The folder `path`, which holds the source."""

    kind: ClassVar[str] = "local"

    sha256: Annotated[str, SHA256] = field(
        default="", metadata=about("hash of the folder's files, if they must not change")
    )
    path: Annotated[Path, BesideRecipe(folder=True)] = field(metadata=about("folder, relative to the recipe's"))

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Copy the folder's source files: see `Source.fetch`.

        Raises:
            SourceError: the folder is missing or can't be copied, a link leaves it, or its files have another hash
                than the pinned one.
        """
        folder, work = self._existing_path(), destination / ".copying"
        shutil.rmtree(work, ignore_errors=True)
        with explain_full_disk(destination), _explain_unreadable(self.project):
            work.mkdir(parents=True)
            _copy(folder, work)
            sha256 = tree_sha256(work)
        log.write(f"copied {self.path}, sha256 {sha256}\n")
        self._require(sha256)
        final = destination / f"{self.project}-{self.version}"
        shutil.rmtree(final, ignore_errors=True)
        return SourceTree(path=work.rename(final), sha256=sha256)

    def content_sha256(self) -> str:
        """Return the hash of the folder's files as they are now.

        Raises:
            SourceError: the folder is missing, or can't be read.
        """
        with _explain_unreadable(self.project):
            return tree_sha256(self._existing_path())

    def _existing_path(self) -> Path:
        if not self.path.is_dir():
            raise SourceError(f"{self.project}: the source folder {self.path} is missing", hint="correct source.path")
        return self.path

    def _require(self, sha256: str) -> None:
        if self.sha256 and self.sha256 != sha256:
            raise SourceError(
                f"{self.project}: the source folder {self.path} has sha256 {sha256}, the recipe pins {self.sha256}",
                hint="review the changes there, then update source.sha256",
            )


def _copy(source: Path, target: Path) -> None:
    newest = 0.0
    for path in source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            _check_link(source, path)
        shutil.copy2(path, copy, follow_symlinks=False)
        newest = max(newest, path.lstat().st_mtime)
    # As with archives: the folder's own time is the source's date.
    os.utime(target, (newest, newest))


def _check_link(root: Path, link: Path) -> None:
    if link.readlink().is_absolute() or not leads_inside(link, root):
        raise SourceError(
            f"{link} is a link to {link.readlink()}, which leaves the source folder {root}",
            hint="copy the file there, or pin the folder that holds both",
        )


@contextmanager
def _explain_unreadable(project: str) -> Iterator[None]:
    """Raise SourceError for unreadable files, but not for errors of the disk written to."""
    try:
        yield
    except OSError as error:
        if error.errno in (*FULL, errno.EROFS):
            raise
        raise SourceError(
            f"{project}: {error.filename or 'the source folder'}: can't be read: {error.strerror or error}",
            hint="correct the file's permissions, or remove it from the source; leave the folder alone meanwhile",
        ) from error
