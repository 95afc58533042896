"""Source kind `pypi`: a source distribution on the configured package index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

from packaging.version import Version

from factory.model.artifacts import SourceTree
from factory.model.declaration import VERSION, about
from factory.model.source import Source
from factory.stages.sources.archive import unpack
from factory.stages.sources.disk import cached_file
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSource(Source):
    """The source distribution of one version of a project on the package index."""

    kind: ClassVar[str] = "pypi"

    version: Annotated[str, VERSION] = field(metadata=about("version of the source distribution"))

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Find, download and unpack the source distribution: see `Source.fetch`."""
        archive = self.metadata_archive(cache, log)
        log.write(f"unpacking {archive.name}, sha256 {self.sha256}\n")
        return SourceTree(path=unpack(archive, destination), sha256=self.sha256)

    def metadata_archive(self, cache: Path, log: LogSink) -> Path:
        """Return the source distribution: see `Source.metadata_archive`."""
        # Imported here because pypi-simple takes half a second, which most runs do not need.
        from factory.stages.sources.package_index import SDIST, download_file

        cached = cached_file(self.sha256, cache)
        return cached or download_file(self.project, self.version, SDIST, self.sha256, cache, log)

    def bump_obstacle(self) -> str:
        """Return no obstacle: see `Source.bump_obstacle`."""
        return ""

    def newest(self, is_wanted: Callable[[Version], bool]) -> Source | None:
        """Return the newest wanted source distribution: see `Source.newest`."""
        from factory.stages.sources.package_index import newest_sdist

        found = newest_sdist(self.project, is_wanted)
        if found is None:
            return None
        return replace(self, version=str(found.version), sha256=found.digests["sha256"])

    def origin_warning(self) -> str:
        """Look the source distribution up on the index: see `Source.origin_warning`."""
        from factory.stages.sources.package_index import SDIST, choose, list_files

        found = choose(list_files(self.project), self.project, self.version, SDIST, self.sha256)
        return f"{found.filename} is yanked: {found.yanked_reason or 'no reason given'}" if found.is_yanked else ""
