"""Files that lie elsewhere: release assets, object storage, another project's own. Here they are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

import requests
from msgspec.structs import replace

from factory.errors import PublishError
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config, without_secrets
from factory.publish.ledger import URL, Release
from factory.publish.wheel_metadata import METADATA, PROVENANCE

CHUNK_BYTES = 1 << 20


def moved(releases: Sequence[Release], base: str) -> tuple[Release, ...]:
    """The releases with their files in the folder of URLs `base`, after the files were seen there.

    What isn't beside a file, its METADATA or its provenance, is not offered to installers.

    Raises:
        PublishError: `base` is no URL, or a file isn't there, or has other bytes.
    """
    with open_session(read_index_config()) as session:
        return tuple(_moved(release, f"{base.rstrip('/')}/{quote(release.filename)}", session) for release in releases)


def _moved(release: Release, url: str, session: requests.Session) -> Release:
    if not URL.fullmatch(url):
        raise PublishError(f"{url!r} is no address that a page can link to", hint="give one that begins with https://")
    _require(release, url, session)
    provenance = _offered(release.provenance_sha256, url + PROVENANCE, session)
    return replace(
        release,
        url=url,
        metadata_sha256=_offered(release.metadata_sha256, url + METADATA, session),
        provenance_sha256=provenance,
        provenance_url=None if provenance is None else url + PROVENANCE,
    )


def missing(releases: Sequence[Release]) -> tuple[str, ...]:
    """What is not at the address that its release says, or has other bytes; one line each."""
    with open_session(read_index_config()) as session:
        return tuple(line for release in releases for line in _missing(release, session))


def _missing(release: Release, session: requests.Session) -> list[str]:
    """A file and what the pages say is beside it; provenance may have stayed in the index when the wheel moved."""
    url = release.url or ""
    wanted = {url: release.sha256, url + METADATA: release.metadata_sha256}
    if release.provenance_url == url + PROVENANCE:
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
            f"{release.filename} is not published: {without_secrets(url)}: {found}",
            hint="upload the file first, then publish it with --url and the address of its folder",
        )


def _offered(sha256: str | None, url: str, session: requests.Session) -> str | None:
    return sha256 if sha256 is not None and _difference(url, sha256, session) is None else None


def _difference(url: str, sha256: str, session: requests.Session) -> str | None:
    """Why the file at `url` is not that one; None where it is."""
    digest = hashlib.sha256()
    try:
        with session.get(url, timeout=TIMEOUT_SECONDS, stream=True, headers={"Accept-Encoding": "identity"}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK_BYTES):
                digest.update(chunk)
    except requests.RequestException as error:
        return f"it can't be fetched: {without_secrets(str(error))}"
    found = digest.hexdigest()
    return None if found == sha256 else f"has sha256 {found}, published was {sha256}"
