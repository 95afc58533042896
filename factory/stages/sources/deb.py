"""Source kind `deb`: a binary package of Debian's, from a mirror's pool."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from factory.errors import CommandFailed, SourceError
from factory.model.artifacts import BinaryPackage, SourceTree
from factory.model.declaration import SHA256, about, matching
from factory.model.source import Source
from factory.stages.sources.archive import unpack
from factory.stages.sources.debian import SOURCE_NAME, UPSTREAM_VERSION
from factory.stages.sources.disk import cached_file, explain_full_disk
from factory.util.log import LogSink
from factory.util.process import run

# Debian Policy 5.6.1.
PACKAGE_NAME = matching(r"[a-z0-9][a-z0-9+.-]+", "{value} is not the name of a Debian package")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebSource(Source):
    """The binary package `package` that is built of the source package `project`."""

    kind: ClassVar[str] = "deb"

    project: Annotated[str, SOURCE_NAME] = field(metadata=about("source package that the package is built of"))
    version: Annotated[str, UPSTREAM_VERSION] = field(
        metadata=about("whole version in Debian, without epoch: `2.14.1+dfsg-1`")
    )
    sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of the `.deb`"))
    package: Annotated[str, PACKAGE_NAME] = field(metadata=about("name of the binary package"))

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Fetch the package: see `Source.fetch`; the tree has its files as `usr/...`."""
        archive = self._archive(cache, log)
        log.write(f"unpacking {archive.name}, sha256 {self.sha256}\n")
        folder = destination / self.package
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=destination) as scratch:
            files = Path(scratch) / f"{archive.name}.tar"
            with explain_full_disk(files.parent), _explain_package(archive):
                run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" > "$2"', "unpack", str(archive), str(files)], log=log)
            unpacked = unpack(files, folder)
        date = unpacked.stat().st_mtime
        os.utime(folder, (date, date))
        return SourceTree(path=folder, sha256=self.sha256)

    def origin_warning(self) -> str:
        """Look the package up in the pool: see `Source.origin_warning`."""
        from factory.stages.sources.debian_pool import package_files, require_file

        require_file(self, package_files(self, self.package))
        return ""

    @property
    def binary_package(self) -> BinaryPackage:
        """The package, as build records name it."""
        return BinaryPackage(name=self.package, source=self.project, version=self.version, sha256=self.sha256)

    def _archive(self, cache: Path, log: LogSink) -> Path:
        from factory.stages.sources.debian_pool import download_package  # HTTP clients are slow to import

        return cached_file(self.sha256, cache) or download_package(self, self.package, cache, log)


@contextmanager
def _explain_package(archive: Path) -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        raise SourceError(
            f"{archive.name}: cannot be unpacked: {error.output}", hint="pin a package that dpkg-deb can read"
        ) from error
