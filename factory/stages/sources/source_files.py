"""Source files of a folder, without results of version control and builds."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from factory.errors import SourceError
from factory.util.atomic_files import sha256_of

IGNORED = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "__pycache__", ".eggs", ".nox", ".tox"})
IGNORED_SUFFIXES = (".pyc", ".egg-info")
# Build results of the backends; deeper down such names may be sources.
IGNORED_AT_TOP = frozenset({"build", "dist"})
# A folder with one of these is a cache (bford.info/cachedir names the first) or a virtual environment.
CACHE_MARKERS = ("CACHEDIR.TAG", "pyvenv.cfg")
# Longest path in a source, in bytes: builds add folders of their own, and Linux opens no path of more than 4,095.
MAX_PATH_BYTES = 1024


def tree_sha256(root: Path, *, all_files: bool = False) -> str:
    """Return a hash over the names, contents and executable bits of source files.

    Link targets count too.

    Times, owners and empty folders do not count, and neither do files that are no sources (`source_files`), unless the
    hash is over `all_files`.
    """
    digest = hashlib.sha256()
    for path in source_files(root, all_files=all_files):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            entry = f"link {name}\0{path.readlink()}\0"
        else:
            executable = bool(path.stat().st_mode & 0o100)
            entry = f"file {name}\0{executable:d}\0{sha256_of(path)}\0"
        digest.update(entry.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def leads_inside(path: Path, root: Path) -> bool:
    """Report whether a path with its links followed is inside a folder.

    A loop of links leads nowhere else, so it counts as inside; Path.resolve raises for one.
    """
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def source_files(root: Path, *, all_files: bool = False) -> Iterator[Path]:
    """Iterate over the source files and links of a folder, or over all, sorted by name.

    Raises:
        SourceError: it holds a special file, a path that is too long, or a folder that can't be read.
    """
    found: list[Path] = []
    for folder, folders, files in os.walk(root, onerror=_raise_unreadable):
        here = Path(folder)
        _require_short(here, root)
        links = [name for name in folders if (here / name).is_symlink()]
        kept = [name for name in [*folders, *files] if all_files or not _is_ignored(here / name, root)]
        found.extend(here / name for name in kept if name in links or name not in folders)
        folders[:] = [name for name in folders if name in kept and name not in links]
    for path in found:
        _require_short(path, root)
        _require_file_or_link(path)
    return iter(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


def _raise_unreadable(error: OSError) -> None:
    raise SourceError(
        f"{error.filename}: can't be read: {error.strerror}",
        hint="correct the folder's permissions, or remove it from the source",
    ) from error


def _require_short(path: Path, root: Path) -> None:
    if (length := len(os.fsencode(path.relative_to(root)))) > MAX_PATH_BYTES:
        shown = path.relative_to(root).as_posix()[:80]
        raise SourceError(
            f"{root}: a path in it is too long: {length} bytes, at most {MAX_PATH_BYTES}: {shown}...",
            hint="remove it from the source, or shorten it",
        )


def _require_file_or_link(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise SourceError(
            f"{path}: can't be part of a source: {_SPECIAL.get(stat.S_IFMT(mode), 'a special file')}",
            hint="remove it from the folder",
        )


_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device file",
    stat.S_IFBLK: "a device file",
}


def _is_ignored(path: Path, root: Path) -> bool:
    named = path.name in IGNORED or path.name.endswith(IGNORED_SUFFIXES)
    at_top = path.parent == root and path.name in IGNORED_AT_TOP
    return named or at_top or any((path / marker).exists() for marker in CACHE_MARKERS)
