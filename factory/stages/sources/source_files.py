"""Source files of a folder, without results of version control and builds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from factory.util.atomic_files import sha256_of

IGNORED = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "__pycache__", ".eggs", ".nox", ".tox"})
IGNORED_SUFFIXES = (".pyc", ".egg-info")
# Build results of the backends; deeper down such names may be sources.
IGNORED_AT_TOP = frozenset({"build", "dist"})
# A folder with one of these is a cache (bford.info/cachedir names the first) or a virtual environment.
CACHE_MARKERS = ("CACHEDIR.TAG", "pyvenv.cfg")


def tree_sha256(root: Path) -> str:
    """Return a hash over the names, contents and executable bits of source files.

    Link targets count too.

    Times, owners and empty folders do not count, and neither do files that are no sources: `source_files`.
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


def source_files(root: Path) -> Iterator[Path]:
    """Iterate over the source files and links of a folder, sorted by name."""
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
