"""Linked files on other servers, fetched and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import requests
from msgspec.structs import replace

from factory.errors import PublishError
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config
from factory.publish.provenance import PROVENANCE_SUFFIX
from factory.publish.release import URL, Release
from factory.publish.wheel_metadata import METADATA_SUFFIX
from factory.util.redaction import without_secrets

CHUNK_BYTES = 1 << 20


def relocate(releases: Iterable[Release], bases: Mapping[str, str]) -> tuple[Sequence[Release], Sequence[PublishError]]:
    """Relocate releases to the folders of their uploads, after fetching and comparing them.

    `bases` are the addresses by file name; releases without one stay where they are. METADATA and provenance that are
    missing there are not offered to installers. The second value holds the refusals of releases whose address is no
    URL, or whose file is missing there or has other bytes.
    """
    placed, refused = [], []
    with open_session(read_index_config()) as session:
        for release in releases:
            base = bases.get(release.filename)
            try:
                placed.append(release if base is None else _moved(release, base, session))
            except PublishError as error:
                refused.append(error)
    return placed, refused


def _moved(release: Release, base: str, session: requests.Session) -> Release:
    url = f"{base.rstrip('/')}/{quote(release.filename)}"
    if not URL.fullmatch(url):
        raise PublishError(f"--url: invalid address: {url!r}", hint="give an address that begins with https://")
    _require(release, url, session)
    provenance = _offered(release.provenance_sha256, url + PROVENANCE_SUFFIX, session)
    return replace(
        release,
        url=url,
        metadata_sha256=_offered(release.metadata_sha256, url + METADATA_SUFFIX, session),
        provenance_sha256=provenance,
        provenance_url=None if provenance is None else url + PROVENANCE_SUFFIX,
    )


def find_remote_differences(releases: Sequence[Release]) -> tuple[str, ...]:
    """Return a line for each file that is missing or different at its address."""
    with open_session(read_index_config()) as session:
        return tuple(line for release in releases for line in _missing(release, session))


def _missing(release: Release, session: requests.Session) -> list[str]:
    """Compare a file and its sidecar files.

    Provenance may be in the index while the wheel is elsewhere.
    """
    url = release.url or ""
    wanted = {url: release.sha256, url + METADATA_SUFFIX: release.metadata_sha256}
    if release.provenance_url == url + PROVENANCE_SUFFIX:
        wanted[release.provenance_url] = release.provenance_sha256
    return [
        f"{address}: {found}"
        for address, sha256 in wanted.items()
        if sha256 is not None and (found := _difference(address, sha256, session)) is not None
    ]


def _require(release: Release, url: str, session: requests.Session) -> None:
    found = _difference(url, release.sha256, session)
    if found is not None:
        raise PublishError(
            f"{release.filename}: cannot publish: {without_secrets(url)}: {found}",
            hint="upload the file first, then publish it with --url ADDRESS-OF-ITS-FOLDER",
        )


def _offered(sha256: str | None, url: str, session: requests.Session) -> str | None:
    return sha256 if sha256 is not None and _difference(url, sha256, session) is None else None


def _difference(url: str, sha256: str, session: requests.Session) -> str | None:
    """Describe how the file at `url` differs from `sha256`; None if it is the same."""
    digest = hashlib.sha256()
    try:
        with session.get(url, timeout=TIMEOUT_SECONDS, stream=True, headers={"Accept-Encoding": "identity"}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK_BYTES):
                digest.update(chunk)
    except requests.RequestException as error:
        return f"cannot fetch it: {without_secrets(str(error))}"
    found = digest.hexdigest()
    return None if found == sha256 else f"has sha256 {found}, published with {sha256}"
