"""Scratch folders below jobs/, one for each process.

Two commands for one package may run concurrently.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.util.process import run


@contextmanager
def own_folder(jobs: Path, kind: str, package: str, *, keep: bool) -> Iterator[Path]:
    """Provide a folder for a package, removed after the body unless `keep`.

    Its name has this process's number, so that folders of killed processes are found and removed here.
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
    """Remove the folder of a root or a build, if it exists; of a link, the link itself."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
        return
    if folder.exists():
        try:
            # Debian's root filesystems have folders that their owner may not write.
            shutil.rmtree(folder, onerror=lambda function, path, _: _force(function, path))
        except (RecursionError, OSError):
            # Python's function fails on very deep trees and long paths.
            run(["rm", "--recursive", "--force", "--one-file-system", "--", str(folder)])


def _force(function: Callable[[str], object], path: str) -> None:
    Path(path).parent.chmod(0o700)
    function(path)
