"""Source kind `url`: an archive at an address, with mirrors that have the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

from factory.errors import SourceError
from factory.model.artifacts import SourceOrigin, SourceTree
from factory.model.declaration import OneOf, about
from factory.model.source import Source
from factory.stages.sources.addresses import ARCHIVE_ADDRESS
from factory.stages.sources.archive import SUFFIXES, unpack
from factory.stages.sources.disk import cached_file
from factory.stages.sources.versions import scm_variables
from factory.util.log import LogSink

Addresses = Annotated[
    tuple[Annotated[str, ARCHIVE_ADDRESS], ...],
    OneOf(if_empty="must have at least one address"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource(Source):
    """An archive that a web server has; the first of `urls` that delivers it is taken."""

    kind: ClassVar[str] = "url"

    urls: Addresses = field(metadata=about("addresses of the archive: the project's own, then mirrors of it"))

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Download and unpack the archive: see `Source.fetch`."""
        archive = self.metadata_archive(cache, log)
        log.write(f"unpacking {archive.name}, sha256 {self.sha256}\n")
        origin = SourceOrigin(kind=self.kind, urls=self.urls, sha256=self.sha256)
        return SourceTree(path=unpack(archive, destination), sha256=self.sha256, origins=(origin,))

    def metadata_archive(self, cache: Path, log: LogSink) -> Path:
        """Return the archive: see `Source.metadata_archive`."""
        from factory.stages.sources.mirrors import download_any  # HTTP clients are slow to import

        name = f"{self.project}-{self.version}{_suffix(self.urls[0])}"
        return cached_file(self.sha256, cache) or download_any(self.urls, name, self.sha256, cache, log)

    def origin_warning(self) -> str:
        """Ask every server for the archive: see `Source.origin_warning`."""
        from factory.stages.sources.mirrors import find_problems

        problems = find_problems(self.urls)
        if len(problems) == len(self.urls):
            raise SourceError(f"{self.project} {self.version}: no address has the archive: {'; '.join(problems)}")
        return "; ".join(problems)

    def bump_obstacle(self) -> str:
        """Return why no newer archive can be told: see `Source.bump_obstacle`."""
        return "its archive is at an address, which lists no versions: bump it by hand"

    def deciding(self) -> Source:
        """Return the source without its addresses, since its hash decides: see `Source.deciding`."""
        return replace(self, urls=(), parts={folder: part.deciding() for folder, part in self.parts.items()})

    def build_variables(self, version: str) -> Mapping[str, str]:
        """Return the variables with the version, for an archive without git's history."""
        return scm_variables(version)


def _suffix(url: str) -> str:
    return next(suffix for suffix in SUFFIXES if url.endswith(suffix))
