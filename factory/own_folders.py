"""Folders of one process's own below jobs/: two commands for one package may run at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.environments.layers import discard


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
