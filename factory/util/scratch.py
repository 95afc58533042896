"""Folders of one process's own below jobs/: two commands for one package may run at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name


@contextmanager
def own_folder(jobs: Path, kind: str, package: str, *, keep: bool) -> Iterator[Path]:
    """A folder for a package, removed after the body unless it is to be kept.

    It is named after this process, so that what a killed one left is found and removed here.
    """
    if not keep:
        for folder in jobs.glob(f"{kind}-*"):
            if not Path("/proc", folder.name.rpartition("-")[2]).is_dir():
                discard(folder)
    folder = jobs / f"{kind}-{canonicalize_name(package)}-{os.getpid()}"
    try:
        yield folder
    finally:
        if not keep:
            discard(folder)


def discard(folder: Path) -> None:
    """Remove a folder that holds a root filesystem, if it's there."""
    if folder.exists():
        # Debian's roots hold folders that even their owner may not write.
        shutil.rmtree(folder, onerror=lambda function, path, _: _force(function, path))


def _force(function: Callable[[str], object], path: str) -> None:
    Path(path).parent.chmod(0o700)
    function(path)
