"""Source kind `url`: an archive at an address, with mirrors that have the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

import requests

from factory.errors import SourceError
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config, without_secrets
from factory.model.artifacts import SourceOrigin, SourceTree
from factory.model.declaration import OneOf, about
from factory.model.source import Source
from factory.stages.sources.addresses import ARCHIVE_ADDRESS
from factory.stages.sources.archive import SUFFIXES, unpack
from factory.stages.sources.disk import cached_file
from factory.stages.sources.download import RemoteFile, download
from factory.stages.sources.versions import scm_variables
from factory.util.log import LogSink

Addresses = Annotated[
    tuple[Annotated[str, ARCHIVE_ADDRESS], ...],
    OneOf(if_empty="must have at least one address"),
]
HINT = "check the network and the proxy variables; if the archive has moved, correct source.urls"


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
        return cached_file(self.sha256, cache) or self._download(cache, log)

    def origin_warning(self) -> str:
        """Ask every server for the archive: see `Source.origin_warning`."""
        with open_session(read_index_config()) as session:
            problems = [problem for url in self.urls if (problem := _problem(url, session))]
        if len(problems) == len(self.urls):
            raise SourceError(f"{self.project} {self.version}: no address has the archive: {'; '.join(problems)}")
        return "; ".join(problems)

    def bump_obstacle(self) -> str:
        """Return why no newer archive can be told: see `Source.bump_obstacle`."""
        return "its archive is at an address, which lists no versions: bump it by hand"

    def deciding(self) -> Source:
        """Return the source without its addresses, since its hash decides: see `Source.deciding`."""
        return replace(self, urls=(), parts={folder: part.deciding() for folder, part in self.parts.items()})

    def build_variables(self) -> Mapping[str, str]:
        """Return the variables with the version, for an archive without git's history."""
        return scm_variables(self.version)

    def _download(self, cache: Path, log: LogSink) -> Path:
        """Download from the first server that has the pinned bytes."""
        errors: list[SourceError] = []
        name = f"{self.project}-{self.version}{_suffix(self.urls[0])}"
        with open_session(read_index_config()) as session:
            for url in self.urls:
                log.write(f"downloading {url}\n")
                try:
                    file = RemoteFile(url=url, name=name, sha256=self.sha256, hint=HINT)
                    return download(file, cache, session, log)
                except SourceError as error:
                    log.write(f"{error.message}\n")
                    errors.append(error)
        raise self._failed(errors)

    def _failed(self, errors: list[SourceError]) -> SourceError:
        if len(errors) == 1:
            return errors[0]
        listed = "\n".join(f"  {url}: {error.message}" for url, error in zip(self.urls, errors, strict=True))
        return SourceError(
            f"{self.project} {self.version}: no address delivers the archive\n{listed}",
            hint=HINT,
            machines_fault=any(error.machines_fault for error in errors),
        )


def _suffix(url: str) -> str:
    return next(suffix for suffix in SUFFIXES if url.endswith(suffix))


def _problem(url: str, session: requests.Session) -> str:
    """Return why a server does not deliver a file, empty if it does.

    The file is asked for and not read: some servers refuse HEAD.
    """
    try:
        with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response:
            return "" if response.ok else f"{url}: the server answers {response.status_code} {response.reason}"
    except requests.RequestException as error:
        return f"{url}: {without_secrets(str(error))}"
