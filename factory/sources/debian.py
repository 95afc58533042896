"""Sources from a Debian mirror's pool: the upstream tarball of a source package, as the distribution keeps it.

What is pinned is the tarball: Debian's revisions come and go, while the tarball stays in the pool as long as any suite
has that version.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

import requests

from factory.debian_mirror import MIRROR_VARIABLE, mirror_url
from factory.errors import SourceError
from factory.index_config import TIMEOUT_SECONDS, open_session, read_index_config, without_secrets
from factory.model import LogSink, SourcePin, SourceTree
from factory.sources.archive import unpack
from factory.sources.disk import cached_file
from factory.sources.download import RemoteFile, download

# The compressions that dpkg-source allows, the usual one first.
SUFFIXES = ("xz", "gz", "bz2")
CHECK_MIRROR = f"check the network and the proxy variables, or name another mirror in {MIRROR_VARIABLE}"


def fetch_debian(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Find, download and unpack the upstream tarball of the pinned version, as in `0.3.34+ds`: no epoch, no revision.

    Raises:
        SourceError: the pool has no such version, its tarball has another hash, can't be downloaded or is not safe to
            unpack.
    """
    archive = cached_file(pin.sha256, cache) or _obtain(pin, cache, log)
    log.write(f"unpacking {archive.name}, sha256 {pin.sha256}\n")
    return SourceTree(path=unpack(archive, destination), sha256=pin.sha256)


def pool_folder(project: str) -> str:
    """Where the pool of a mirror has a source package: `pool/main/o/openblas`, `pool/main/libf/libffi`."""
    letters = project[:4] if project.startswith("lib") else project[0]
    return f"pool/main/{letters}/{project}"


def _tarball(pin: SourcePin, suffix: str) -> str:
    return f"{pin.project}_{pin.version}.orig.tar.{suffix}"


def _obtain(pin: SourcePin, cache: Path, log: LogSink) -> Path:
    folder = f"{mirror_url()}/{pool_folder(pin.project)}"
    with open_session(read_index_config()) as session:
        for suffix in SUFFIXES:
            name = _tarball(pin, suffix)
            url = f"{folder}/{quote(name)}"
            if _is_there(url, session):
                log.write(f"downloading {without_secrets(url)}\n")
                file = RemoteFile(url=url, name=name, sha256=pin.sha256, hint=CHECK_MIRROR)
                return download(file, cache, session, log)
        raise _not_there(pin, folder, session)


def _is_there(url: str, session: requests.Session) -> bool:
    response = _ask("HEAD", url, session)
    if response.ok or response.status_code == requests.codes.not_found:
        return response.ok
    raise _unreachable(url, f"it answers {response.status_code} {response.reason}")


def _ask(method: str, url: str, session: requests.Session) -> requests.Response:
    try:
        return session.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        raise _unreachable(url, str(error)) from error


def _unreachable(url: str, reason: str) -> SourceError:
    return SourceError(
        f"the Debian mirror can't be read at {without_secrets(url)}: {without_secrets(reason)}", hint=CHECK_MIRROR
    )


def _not_there(pin: SourcePin, folder: str, session: requests.Session) -> SourceError:
    versions = _versions(pin.project, _ask("GET", f"{folder}/", session))
    return SourceError(
        f"{pin.project} {pin.version}: the Debian mirror has no {_tarball(pin, '{' + ','.join(SUFFIXES) + '}')} in "
        f"{without_secrets(folder)}; " + (f"the versions there: {', '.join(versions)}" if versions else _UNLISTED),
        hint=f"Debian removes versions that no suite has any more: correct source.version and source.sha256, or name a "
        f"mirror that keeps it in {MIRROR_VARIABLE}",
    )


_UNLISTED = "the mirror lists no versions of it"


def _versions(project: str, listing: requests.Response) -> list[str]:
    """The versions whose tarballs a folder's listing names, where the mirror makes listings."""
    names = re.findall(rf"\b{re.escape(project)}_([^\"<>/_]+)\.orig\.tar\.\w+\b", unquote(listing.text))
    return sorted(set(names)) if listing.ok else []
