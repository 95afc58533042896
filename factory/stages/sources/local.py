"""Sources that are a folder of this machine: copied without what version control and builds left there, and hashed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.recipe import SourcePin
from factory.stages.sources.disk import explain_full_disk
from factory.util.atomic_files import sha256_of
from factory.util.log import LogSink

IGNORED = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "__pycache__", ".eggs", ".nox", ".tox"})
IGNORED_SUFFIXES = (".pyc", ".egg-info")
# Build results of the backends; deeper down such names may be sources.
IGNORED_AT_TOP = frozenset({"build", "dist"})
# A folder with one of these is a cache (bford.info/cachedir names the first) or a virtual environment.
CACHE_MARKERS = ("CACHEDIR.TAG", "pyvenv.cfg")


def fetch_local(pin: SourcePin, _cache: Path, destination: Path, log: LogSink) -> SourceTree:
    """Copy the folder `pin.path` to `destination/<project>-<version>`; `sha256` is `tree_sha256` of the copy.

    Raises:
        SourceError: there is no such folder, a link leaves it, or a pinned hash is not the tree's.
    """
    source = existing_folder(pin)
    work = destination / ".copying"
    shutil.rmtree(work, ignore_errors=True)
    with explain_full_disk(destination):
        work.mkdir(parents=True)
        _copy(source, work)
    sha256 = tree_sha256(work)
    log.write(f"copied {source}, sha256 {sha256}\n")
    if pin.sha256 and pin.sha256 != sha256:
        raise SourceError(
            f"{pin.project}: the folder {source} has sha256 {sha256}, the recipe pins {pin.sha256}",
            hint="look at what changed there, then correct source.sha256",
        )
    final = destination / f"{pin.project}-{pin.version}"
    shutil.rmtree(final, ignore_errors=True)
    return SourceTree(path=work.rename(final), sha256=sha256)


def existing_folder(pin: SourcePin) -> Path:
    if pin.path is None or not pin.path.is_dir():
        raise SourceError(f"{pin.project}: the source folder {pin.path} does not exist", hint="correct source.path")
    return pin.path


def tree_sha256(root: Path) -> str:
    """Hash names, bytes, the executable bit and link targets of all files, in the order of their names.

    Times, owners and empty folders do not count, nor does what `fetch_local` leaves out.
    """
    digest = hashlib.sha256()
    for path in source_files(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            entry = f"link {name}\0{path.readlink()}\0"
        else:
            executable = bool(path.stat().st_mode & 0o100)
            entry = f"file {name}\0{executable:d}\0{sha256_of(path)}\0"
        digest.update(entry.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    newest = 0.0
    for path in source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            _check_link(source, path)
        shutil.copy2(path, copy, follow_symlinks=False)
        newest = max(newest, path.lstat().st_mtime)
    # As with archives: the folder's own time is the source's date.
    os.utime(target, (newest, newest))


def _check_link(root: Path, link: Path) -> None:
    if link.readlink().is_absolute() or not link.resolve().is_relative_to(root.resolve()):
        raise SourceError(
            f"{link} is a link to {link.readlink()}, which leaves the source folder {root}",
            hint="copy the file there, or pin the folder that holds both",
        )


def source_files(root: Path) -> Iterator[Path]:
    """All files and links of a folder that are sources, sorted by name."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not _is_ignored(here / name, root)]
        found.extend(here / name for name in [*links, *files] if not _is_ignored(here / name, root))
    return iter(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


def _is_ignored(path: Path, root: Path) -> bool:
    named = path.name in IGNORED or path.name.endswith(IGNORED_SUFFIXES)
    at_top = path.parent == root and path.name in IGNORED_AT_TOP
    return named or at_top or any((path / marker).exists() for marker in CACHE_MARKERS)
