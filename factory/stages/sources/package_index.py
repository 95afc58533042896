"""Files of the configured package index, found through its simple API."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable
from pathlib import Path

import requests
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pypi_simple import DistributionPackage

from factory.errors import SourceError
from factory.host.index_page import UNREADABLE, read_page
from factory.host.index_session import open_session, read_index_config
from factory.model.target import PYTHONS
from factory.stages.sources.download import RemoteFile, download
from factory.stages.sources.versions import parse_version
from factory.util.log import LogSink
from factory.util.redaction import without_secrets

SDIST, WHEEL = "sdist", "wheel"
NEAREST_VERSIONS = 3


def download_file(project: str, version: str, kind: str, sha256: str, cache: Path, log: LogSink) -> Path:
    """Download the `sdist` or `wheel` of that version and hash into the cache.

    Raises:
        SourceError: the index has no such file, it has another hash, or it cannot be downloaded.
    """
    config = read_index_config()
    with open_session(config) as session:
        packages = _list_files(project, config.url, session)
        package = choose(packages, project, version, kind, sha256)
        if package.is_yanked:
            log.write(f"warning: {package.filename} is yanked: {package.yanked_reason or 'no reason given'}\n")
        log.write(f"downloading {without_secrets(package.url)}\n")
        file = RemoteFile(url=package.url, name=package.filename, sha256=sha256, size=package.size)
        return download(file, cache, session, log)


def list_files(project: str) -> list[DistributionPackage]:
    """Return all files of a project on the configured index.

    Raises:
        SourceError: the index has no such project, or cannot be read.
    """
    config = read_index_config()
    with open_session(config) as session:
        return _list_files(project, config.url, session)


def _list_files(project: str, index: str, session: requests.Session) -> list[DistributionPackage]:
    try:
        page = read_page(project, index, session)
    except UNREADABLE as error:
        raise SourceError(
            f"{project}: the package index {index} can't be read: {without_secrets(str(error))}",
            hint="check the network, the proxy variables and pip's index configuration (pip config list)",
            machines_fault=True,
        ) from error
    if page is None:
        raise SourceError(
            f"{project}: the package index {index} has no such project",
            hint="check the name, package.name in a recipe, and pip's index configuration (pip config list)",
        )
    return page.packages


def is_pinnable(file: DistributionPackage, kind: str) -> bool:
    """Report whether a file of that kind can be pinned: it has a sha256 and is not yanked."""
    return file.package_type == kind and not file.is_yanked and "sha256" in file.digests


def admits(file: DistributionPackage, python: str) -> bool:
    """Report whether a file is for a Python (`3.13`).

    An invalid Requires-Python excludes none, as for installers.
    """
    try:
        return SpecifierSet(file.requires_python or "").contains(f"{python}.99")
    except InvalidSpecifier:
        return True


def newest_sdist(project: str, is_wanted: Callable[[Version], bool]) -> DistributionPackage | None:
    """Return the sdist of the newest wanted version, None if there is none.

    Raises:
        SourceError: the index has no such project, cannot be read, or has only wheels of wanted versions.
    """
    files = list_files(project)
    found = newest_file(files, SDIST, is_wanted)
    if found is None and (wheel := newest_file(files, WHEEL, is_wanted)):
        raise SourceError(
            f"{project} {wheel.version}: the package index has wheels of this version, but no sdist",
            hint="take a source of another kind, as docs/add-a-recipe.md says",
        )
    return found


def newest_file(
    files: Iterable[DistributionPackage], kind: str, is_wanted: Callable[[Version], bool]
) -> DistributionPackage | None:
    """Return the file of a kind with the newest wanted version, None if there is none.

    Yanked files, those without a hash and those for other Pythons are excluded.
    """
    usable = [each for each in files if is_pinnable(each, kind) and any(admits(each, python) for python in PYTHONS)]
    found = [(version, each) for each in usable if (version := parse_version(each.version)) and is_wanted(version)]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def choose(
    packages: Iterable[DistributionPackage], project: str, version: str, kind: str, sha256: str
) -> DistributionPackage:
    """Return the file of that version, kind (`sdist` or `wheel`) and hash.

    Raises:
        SourceError: saying which versions or which hashes the index does have.
    """
    of_kind = [package for package in packages if package.package_type == kind]
    of_version = [package for package in of_kind if _same_version(package.version, version)]
    if not of_version:
        raise _no_such_version(of_kind, project, version, kind)
    # An index need not give hashes; then the download tells.
    fitting = [package for package in of_version if package.digests.get("sha256", sha256) == sha256]
    if not fitting:
        raise _other_hashes(of_version, project, version, sha256)
    return fitting[0]


def _no_such_version(of_kind: list[DistributionPackage], project: str, version: str, kind: str) -> SourceError:
    versions = sorted({known for package in of_kind if (known := parse_version(package.version))})
    place = bisect(versions, Version(version))
    nearest = versions[max(0, place - NEAREST_VERSIONS) : place + NEAREST_VERSIONS]
    listed = ", ".join(map(str, nearest)) or "none of any version"
    return SourceError(
        f"{project} {version}: the package index has no {kind} of this version; the nearest: {listed}",
        hint="correct package.version, and source.sha256 with it",
    )


def _other_hashes(of_version: list[DistributionPackage], project: str, version: str, sha256: str) -> SourceError:
    listed = "\n".join(f"  index: {package.digests['sha256']}  {package.filename}" for package in of_version)
    return SourceError(
        f"{project} {version}: the package index has another hash than the one pinned; nothing was downloaded\n"
        f"  pinned: {sha256}\n{listed}",
        hint="find out why before you change the pin: a published file never changes its bytes",
    )


def _same_version(found: str | None, wanted: str) -> bool:
    return parse_version(found) == Version(wanted)
