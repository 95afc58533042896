"""The package index that this machine is configured with.

Its projects, and links to their files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from urllib.parse import urlsplit, urlunsplit

import requests
from packaging.metadata import parse_email
from packaging.utils import canonicalize_name
from pypi_simple import ACCEPT_ANY, DistributionPackage

from factory.errors import PublishError
from factory.host.index_page import UNREADABLE, read_page
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config
from factory.publish.release import SHA256, TIME_FORMAT, URL, Mirrored, Release
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import METADATA_LIMIT, METADATA_SUFFIX
from factory.util.redaction import without_secrets

CHECK_NETWORK = "check the network, the proxy variables and pip's index configuration (pip config list)"
CHUNK_BYTES = 1 << 16
NO_REASON = "its project yanked it and gave no reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The configured index at `url`, read through `session`."""

    url: str
    session: requests.Session

    def page_url(self, project: str) -> str | None:
        """Return the page's address of a normalized project, None if there is none.

        Raises:
            PublishError: the index can't be read.
        """
        page, headers = self.page(project), {"Accept": ACCEPT_ANY}
        try:
            with self.session.get(page, headers=headers, timeout=TIMEOUT_SECONDS, stream=True) as response:
                if response.status_code == requests.codes.not_found:
                    return None
                response.raise_for_status()
        except requests.RequestException as error:
            raise self._unreadable(project, error) from error
        return page

    def wheels(
        self, project: str, hashes: Collection[str], is_wanted: Callable[[str], bool] = bool
    ) -> tuple[Release, ...]:
        """Return a project's wheels with these sha256 and wanted file names, as linked releases.

        An index that lists no METADATA is asked for that of each wheel. `url` is None for an address with a query: that
        may be a signature or token, which must not be published, and without which the address may not work.

        Raises:
            PublishError: the index can't be read.
        """
        listed = [package for package in self.packages(project) if package.digests.get("sha256", "").lower() in hashes]
        versions = ((package, _version_of(package, project)) for package in listed)
        return tuple(
            self._release(package, project, version)
            for package, version in versions
            if version is not None and is_wanted(package.filename)
        )

    def packages(self, project: str) -> Sequence[DistributionPackage]:
        """Return all files of a project; none if the index has no such project.

        Raises:
            PublishError: the index can't be read.
        """
        try:
            page = read_page(project, self.url, self.session)
        except UNREADABLE as error:
            raise self._unreadable(project, error) from error
        return () if page is None else page.packages

    def linked(self, release: Release) -> Release:
        """Return a copied file as a link to the original, see `wheels`.

        Unchanged if the index lacks the original.
        """
        found = self.wheels(release.project, (release.sha256,), release.filename.__eq__)
        return next(iter(found), release)

    def _release(self, package: DistributionPackage, project: str, version: str) -> Release:
        """Describe a wheel of the project as a release."""
        url = _bare(package.url)
        metadata = (package.metadata_digests or {}).get("sha256", "").lower()
        if not SHA256.fullmatch(metadata):
            metadata = self._metadata(url, project, version)
        yanked = (package.yanked_reason or NO_REASON) if package.is_yanked else None
        return Release(
            filename=package.filename,
            project=project,
            version=version,
            sha256=package.digests["sha256"].lower(),
            size=self._size(url) if package.size is None else package.size,
            requires_python=package.requires_python,
            metadata_sha256=metadata or None,
            origin=Mirrored(),
            yanked=yanked,
            uploaded=None if package.upload_time is None else package.upload_time.astimezone(UTC).strftime(TIME_FORMAT),
            url=_public(url),
            provenance_url=_public(package.provenance_url or ""),
            tracks=self.page(project),
            yanked_upstream=yanked,
        )

    def _size(self, url: str) -> int:
        """Request a file's size, which HTML pages lack."""
        try:
            response = self.session.head(url, timeout=TIMEOUT_SECONDS, allow_redirects=True)
            response.raise_for_status()
            return int(response.headers["Content-Length"])
        except (requests.RequestException, KeyError, ValueError) as error:
            reason = without_secrets(str(error))
            raise PublishError(f"{without_secrets(url)}: cannot read its size: {reason}", hint=CHECK_NETWORK) from error

    def metadata(self, release: Release) -> bytes | None:
        """Fetch the METADATA of a linked file.

        Returns None unless it has the bytes that the ledger states.
        """
        if release.url is None or release.metadata_sha256 is None:
            return None
        text = self._fetch_metadata(release.url)
        return text if hashlib.sha256(text).hexdigest() == release.metadata_sha256 else None

    def _metadata(self, url: str, project: str, version: str) -> str:
        """Fetch a file's METADATA and return its sha256, empty if there is none.

        Not every index lists it.
        """
        text = self._fetch_metadata(url)
        fields, _unparsed = parse_email(text)
        states = (canonicalize_name(fields.get("name", "")), fields.get("version"))
        return hashlib.sha256(text).hexdigest() if states == (project, version) else ""

    def _fetch_metadata(self, url: str) -> bytes:
        """Fetch the METADATA beside a file, empty if there is none."""
        try:
            with self.session.get(f"{url}{METADATA_SUFFIX}", timeout=TIMEOUT_SECONDS, stream=True) as response:
                response.raise_for_status()
                return b"".join(islice(response.iter_content(CHUNK_BYTES), METADATA_LIMIT // CHUNK_BYTES))
        except requests.RequestException:
            return b""

    def page(self, project: str) -> str:
        """Return the address of a project's page, whether or not the index has the project."""
        return f"{self.url.rstrip('/')}/{project}/"

    def _unreadable(self, project: str, error: Exception) -> PublishError:
        return PublishError(
            f"{project}: cannot read its page on the package index {self.url}: {without_secrets(str(error))}",
            hint=CHECK_NETWORK,
        )


@contextmanager
def configured_upstream() -> Iterator[Upstream]:
    """Open the index of pip's configuration, else pypi-simple's default."""
    config = read_index_config()
    with open_session(config) as session:
        yield Upstream(url=config.url, session=session)


def _version_of(package: DistributionPackage, project: str) -> str | None:
    """Return the version of a wheel of the project; None for other files and without URL."""
    try:
        stated, version = parse_filename(package.filename)
    except PublishError:
        return None
    return version if stated == project and URL.fullmatch(_bare(package.url)) else None


def _public(url: str) -> str | None:
    """Return a URL that may be published; None for a URL with a query, and for other text."""
    return url if URL.fullmatch(url) and not urlsplit(url).query else None


def _bare(url: str) -> str:
    """Remove credentials and fragment."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
