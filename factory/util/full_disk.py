"""Full disks: the file that was written, and its file system."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
# Of programs: compilers, linkers, uv, apt.
MESSAGES = re.compile(r"No space left on device|Disk quota exceeded|disk is full|don't have enough free space")


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Set the file on a full disk's error that names none, as those of writing."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


def describe_full_disk(error: OSError, folder: Path | None = None) -> str:
    """Return `<file>: can't be written: <cause>: <file system>`; else name `folder`."""
    # Of a copy, the second file is the one that is written.
    name = error.filename2 or error.filename or folder
    if name is None:
        return f"a file can't be written: {error.strerror}"
    return f"{name}: can't be written: {error.strerror}: {file_system(Path(os.fsdecode(name)))}"


def file_system(path: Path) -> str:
    """Describe the file system of a path: its mount point, and the space that is left."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    left = shutil.disk_usage(place).free
    while not place.is_mount():
        place = place.parent
    return f"the file system {place} has {left / 1e6:.1f} MB left"
