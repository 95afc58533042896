"""Sources from a Debian mirror's pool: the upstream tarball of a source package, as the distribution keeps it.

What is pinned is the tarball: Debian's revisions come and go, while the tarball stays in the pool as long as any suite
has that version. Where a recipe wants the source as the distribution builds it, a revision's packaging is pinned too.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import requests

from factory.errors import CommandFailed, SourceError
from factory.host.apt import MIRROR_VARIABLE, mirror_url
from factory.host.index_session import TIMEOUT_SECONDS, open_session, read_index_config, without_secrets
from factory.model.artifacts import SourceTree
from factory.model.recipe import DebianPackaging, SourcePin
from factory.stages.sources.archive import unpack
from factory.stages.sources.disk import cached_file, explain_full_disk
from factory.stages.sources.download import RemoteFile, download
from factory.stages.sources.gnu_patch import run_patch
from factory.util.log import LogSink
from factory.util.process import run

PATCHES = "patches"
# Of binary packages; what is the same for all is in packages of their own.
ARCHITECTURES = ("riscv64", "all")
# The compressions that dpkg-source allows, the usual one first.
SUFFIXES = ("xz", "gz", "bz2")
NEWER_REVISION = (
    "Debian removes a revision when the next one comes: correct the revision and its sha256 in the recipe, or name a "
    f"mirror that keeps it in {MIRROR_VARIABLE}"
)
CHECK_MIRROR = f"check the network and the proxy variables, or name another mirror in {MIRROR_VARIABLE}"


def fetch_debian(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Find, download and unpack the upstream tarball of the pinned version, as in `0.3.34+ds`: no epoch, no revision.

    With `pin.packaging`, the distribution's patches are applied and its files are in the tree's folder `debian`.

    Raises:
        SourceError: the pool has no such version, its tarball has another hash, can't be downloaded or is not safe to
            unpack; or a patch of the distribution doesn't apply.
    """
    archive = cached_file(pin.sha256, cache) or _obtain(pin, cache, log)
    log.write(f"unpacking {archive.name}, sha256 {pin.sha256}\n")
    tree = SourceTree(path=unpack(archive, destination), sha256=pin.sha256)
    if pin.packaging is not None:
        _apply_packaging(pin, pin.packaging, cache, tree, log)
    return tree


def _apply_packaging(pin: SourcePin, packaging: DebianPackaging, cache: Path, tree: SourceTree, log: LogSink) -> None:
    """Make the tree what dpkg-source makes of it, but for the patches that are left out; its date stays."""
    name = f"{pin.project}_{pin.version}-{packaging.revision}.debian.tar.xz"
    archive = cached_file(packaging.sha256, cache) or _obtain_file(pin, name, packaging.sha256, cache, log)
    log.write(f"unpacking {archive.name}, sha256 {packaging.sha256}\n")
    date = tree.path.stat().st_mtime
    folder = unpack(archive, tree.path)
    series = _series(folder)
    if unknown := [name for name in packaging.left_out if name not in series]:
        raise SourceError(
            f"{archive.name} has no patch {unknown[0]} that could be left out",
            hint=f"correct source.packaging.left-out; its patches are: {', '.join(series)}",
        )
    for name in series:
        if name not in packaging.left_out:
            _apply(folder / PATCHES / name, tree, log)
    for path in (path for path in tree.path.rglob("*") if path.stat(follow_symlinks=False).st_mtime > date):
        os.utime(path, (date, date), follow_symlinks=False)
    os.utime(tree.path, (date, date))


def _series(folder: Path) -> list[str]:
    """The names in a packaging's list of patches, in their order; none where it has no such list."""
    series = folder / PATCHES / "series"
    lines = series.read_text(encoding="utf-8").splitlines() if series.is_file() else []
    return [words[0] for line in lines if (words := line.partition("#")[0].split())]


def _apply(patch: Path, tree: SourceTree, log: LogSink) -> None:
    """As dpkg-source does: with no context left over. A name in the patch that leads out of the tree is refused."""
    log.write(f"the distribution's {patch.name}\n")
    try:
        run_patch(patch, tree.path, "-", log)
    except CommandFailed as error:
        raise SourceError(
            f"the distribution's {patch.name} does not apply to {tree.path.name}\n{error.output}",
            hint="name it in source.packaging.left-out, or pin the revision that belongs to this version",
        ) from error


def fetch_deb(pin: SourcePin, cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Find, download and unpack a binary package; the tree holds its files, as `usr/...`.

    Raises:
        SourceError: it can't be downloaded, has another hash, is no whole package or is not safe to unpack.
    """
    archive = cached_file(pin.sha256, cache) or _obtain_deb(pin, cache, log)
    log.write(f"unpacking {archive.name}, sha256 {pin.sha256}\n")
    folder = destination / pin.package
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / f"{archive.name}.tar"
        with explain_full_disk(files.parent), _explain_package(archive):
            run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" > "$2"', "unpack", str(archive), str(files)], log=log)
        unpacked = unpack(files, folder)
    date = unpacked.stat().st_mtime
    os.utime(folder, (date, date))
    return SourceTree(path=folder, sha256=pin.sha256)


@contextmanager
def _explain_package(archive: Path) -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        raise SourceError(
            f"{archive.name} can't be unpacked: {error.output}", hint="only what dpkg-deb reads is a package"
        ) from error


def pool_folder(project: str) -> str:
    """Where the pool of a mirror has a source package: `pool/main/o/openblas`, `pool/main/libf/libffi`."""
    letters = project[:4] if project.startswith("lib") else project[0]
    return f"pool/main/{letters}/{project}"


def _tarball(pin: SourcePin, suffix: str) -> str:
    return f"{pin.project}_{pin.version}.orig.tar.{suffix}"


def _folder_url(pin: SourcePin) -> str:
    return f"{mirror_url()}/{pool_folder(pin.project)}"


def _obtain_file(pin: SourcePin, name: str, sha256: str, cache: Path, log: LogSink) -> Path:
    """A file of the source package's folder whose whole name is known."""
    file = RemoteFile(url=f"{_folder_url(pin)}/{quote(name)}", name=name, sha256=sha256, hint=NEWER_REVISION)
    with open_session(read_index_config()) as session:
        return _download(file, cache, session, log)


def _obtain_deb(pin: SourcePin, cache: Path, log: LogSink) -> Path:
    names = [f"{pin.package}_{pin.version}_{architecture}.deb" for architecture in ARCHITECTURES]
    with open_session(read_index_config()) as session:
        name = _first_there(_folder_url(pin), names, session) or names[0]
    return _obtain_file(pin, name, pin.sha256, cache, log)


def _obtain(pin: SourcePin, cache: Path, log: LogSink) -> Path:
    folder = _folder_url(pin)
    with open_session(read_index_config()) as session:
        name = _first_there(folder, [_tarball(pin, suffix) for suffix in SUFFIXES], session)
        if name is None:
            raise _not_there(pin, folder, session)
        file = RemoteFile(url=f"{folder}/{quote(name)}", name=name, sha256=pin.sha256, hint=CHECK_MIRROR)
        return _download(file, cache, session, log)


def _download(file: RemoteFile, cache: Path, session: requests.Session, log: LogSink) -> Path:
    log.write(f"downloading {without_secrets(file.url)}\n")
    return download(file, cache, session, log)


def _first_there(folder: str, names: Iterable[str], session: requests.Session) -> str | None:
    return next((name for name in names if _is_there(f"{folder}/{quote(name)}", session)), None)


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
        f"the Debian mirror can't be read at {without_secrets(url)}: {without_secrets(reason)}",
        hint=CHECK_MIRROR,
        machines_fault=True,
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
