"""Trees of files that a build left: of any depth, with any names, and with holes in files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

# Bytes of holes in the files of a tree. An archive has zeros in their place, which take disk where it is imported.
HOLES_LIMIT = 4 << 30
# Of a path in a tree: Linux takes 4096 bytes with the path of the tree itself, which is another one after an import.
PATH_LIMIT = 2048


def walk(
    folder: Path,
    depth: int | None = None,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    on_error: Callable[[OSError], None] = lambda error: None,
) -> Iterator[os.DirEntry[str]]:
    """Yield the entries below a folder with wanted names, down to a depth.

    No link is followed. The entries of a folder are sorted and come before those of the folders in it. `on_error` gets
    the error of a folder that cannot be read, such as one whose path is too long.
    """
    waiting = [(str(folder), 1)]
    while waiting:
        path, level = waiting.pop()
        try:
            with os.scandir(path) as found:
                entries = sorted((each for each in found if wanted(each.name)), key=lambda each: each.name)
        except OSError as error:
            on_error(error)
            continue
        yield from entries
        if depth is None or level < depth:
            below = [each.path for each in entries if each.is_dir(follow_symlinks=False)]
            waiting += [(each, level + 1) for each in reversed(below)]


def holes(entry: os.DirEntry[str]) -> int:
    """Return the bytes of a regular file that take no space on disk; 0 for other entries."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    return max(0, status.st_size - status.st_blocks * 512) if stat.S_ISREG(status.st_mode) else 0


def obstacle_of(tree: Path) -> str:
    """Return the reason for which an archive cannot have a tree; empty if there is none."""
    errors: list[OSError] = []
    longest = len(os.fsencode(tree)) + PATH_LIMIT
    empty = 0
    for entry in walk(tree, on_error=errors.append):
        if len(os.fsencode(entry.path)) > longest:
            return f"a path in it has more than {PATH_LIMIT} bytes"
        empty += holes(entry)
    if errors:
        return f"a folder in it cannot be read: {errors[0].strerror}"
    return f"its files have {empty / 1e9:.1f} GB of holes" if empty > HOLES_LIMIT else ""
