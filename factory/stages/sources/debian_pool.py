"""Files of a source package in the pool of a Debian mirror."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import requests

from factory.errors import SourceError
from factory.host.apt import MIRROR_VARIABLE, mirror_url
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config
from factory.model.source import Source
from factory.stages.sources.download import RemoteFile, download
from factory.util.log import LogSink
from factory.util.redaction import without_secrets

# Of binary packages; packages that are the same for all architectures are not built for each.
ARCHITECTURES = ("riscv64", "all")
# The compressions that dpkg-source allows, the usual one first.
SUFFIXES = ("xz", "gz", "bz2")
NEWER_REVISION = (
    "Debian removes a revision when the next one is released: update the revision and its sha256 in the recipe, or set "
    f"{MIRROR_VARIABLE} to a mirror that keeps it"
)
CHECK_MIRROR = f"check the network and the proxy variables, or set {MIRROR_VARIABLE} to another mirror"


def pool_folder(project: str) -> str:
    """Return the folder of a source package: `pool/main/o/openblas`."""
    letters = project[:4] if project.startswith("lib") else project[0]
    return f"pool/main/{letters}/{project}"


def download_tarball(source: Source, cache: Path, log: LogSink) -> Path:
    """Download the upstream tarball of the source package, in any compression.

    Raises:
        SourceError: the pool has no tarball of that version, or it cannot be downloaded.
    """
    folder = _folder_url(source)
    with open_session(read_index_config()) as session:
        name = _existing_tarball(source, folder, session)
        file = RemoteFile(url=f"{folder}/{quote(name)}", name=name, sha256=source.sha256, hint=CHECK_MIRROR)
        return _download(file, cache, session, log)


def require_tarball(source: Source) -> None:
    """Require the pool to have the upstream tarball, in any compression.

    Raises:
        SourceError: it has none of that version, or cannot be read.
    """
    with open_session(read_index_config()) as session:
        _existing_tarball(source, _folder_url(source), session)


def require_file(source: Source, names: Sequence[str]) -> None:
    """Require the source package's folder to have a file with one of the names.

    Raises:
        SourceError: it has none, or cannot be read.
    """
    with open_session(read_index_config()) as session:
        if _first_existing(_folder_url(source), names, session) is None:
            raise SourceError(f"{names[0]}: the Debian mirror has no such file any more", hint=NEWER_REVISION)


def package_files(source: Source, package: str) -> Sequence[str]:
    """Return the names that a binary package's file may have."""
    return [f"{package}_{source.version}_{architecture}.deb" for architecture in ARCHITECTURES]


def download_file(source: Source, name: str, sha256: str, cache: Path, log: LogSink) -> Path:
    """Download a file of the source package's folder by its name.

    Raises:
        SourceError: it cannot be downloaded.
    """
    file = RemoteFile(url=f"{_folder_url(source)}/{quote(name)}", name=name, sha256=sha256, hint=NEWER_REVISION)
    with open_session(read_index_config()) as session:
        return _download(file, cache, session, log)


def download_package(source: Source, package: str, cache: Path, log: LogSink) -> Path:
    """Download a binary package that is built of the source package.

    Raises:
        SourceError: it cannot be downloaded.
    """
    names = package_files(source, package)
    with open_session(read_index_config()) as session:
        name = _first_existing(_folder_url(source), names, session) or names[0]
    return download_file(source, name, source.sha256, cache, log)


def _existing_tarball(source: Source, folder: str, session: requests.Session) -> str:
    name = _first_existing(folder, [_tarball(source, suffix) for suffix in SUFFIXES], session)
    if name is None:
        raise _missing(source, folder, session)
    return name


def _tarball(source: Source, suffix: str) -> str:
    return f"{source.project}_{source.version}.orig.tar.{suffix}"


def _folder_url(source: Source) -> str:
    return f"{mirror_url()}/{pool_folder(source.project)}"


def _download(file: RemoteFile, cache: Path, session: requests.Session, log: LogSink) -> Path:
    log.write(f"downloading {without_secrets(file.url)}\n")
    return download(file, cache, session, log)


def _first_existing(folder: str, names: Iterable[str], session: requests.Session) -> str | None:
    return next((name for name in names if _exists(f"{folder}/{quote(name)}", session)), None)


def _exists(url: str, session: requests.Session) -> bool:
    response = _ask("HEAD", url, session)
    if response.ok or response.status_code == requests.codes.not_found:
        return response.ok
    raise _unreachable(url, f"the server answers {response.status_code} {response.reason}")


def _ask(method: str, url: str, session: requests.Session) -> requests.Response:
    try:
        return session.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        raise _unreachable(url, str(error)) from error


def _unreachable(url: str, reason: str) -> SourceError:
    return SourceError(
        f"Debian mirror: cannot read {without_secrets(url)}: {without_secrets(reason)}",
        hint=CHECK_MIRROR,
        machines_fault=True,
    )


def _missing(source: Source, folder: str, session: requests.Session) -> SourceError:
    versions = _versions(source.project, _ask("GET", f"{folder}/", session))
    tarball = _tarball(source, "{" + ",".join(SUFFIXES) + "}")
    return SourceError(
        f"{source.project} {source.version}: the Debian mirror has no {tarball} in {without_secrets(folder)}; "
        + (f"the versions there: {', '.join(versions)}" if versions else _UNLISTED),
        hint=f"Debian removes versions that no suite has any more: update source.version and source.sha256, or set "
        f"{MIRROR_VARIABLE} to a mirror that keeps it",
    )


_UNLISTED = "the mirror lists no versions of it"


def _versions(project: str, listing: requests.Response) -> list[str]:
    """Return the versions of the tarballs in a folder's listing, if there is one."""
    names = re.findall(rf"\b{re.escape(project)}_([^\"<>/_]+)\.orig\.tar\.\w+\b", unquote(listing.text))
    return sorted(set(names)) if listing.ok else []
