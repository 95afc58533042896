"""Scratch folders of processes, named so that those of killed ones are found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.util.process import run

# Files that are removed in parallel.
AT_ONCE = 8


@contextmanager
def own_folder(scratch: Path, kind: str, package: str, *, keep: bool) -> Iterator[Path]:
    """Provide a folder below `scratch` for a package, removed after the body unless `keep`.

    Two commands for one package may run concurrently. Unless `keep`, folders of killed processes are removed too.
    """
    if not keep:
        for other in scratch.glob(f"{kind}-*"):
            if is_abandoned(other):
                discard(other)
    folder = scratch / f"{kind}-{canonicalize_name(package)}-{_own_mark()}"
    try:
        yield folder
    finally:
        if not keep:
            discard(folder)


def is_abandoned(folder: Path) -> bool:
    """Report if a scratch folder's process has ended; False for one of another PID namespace."""
    process, started, namespace = _mark_of(folder)
    return namespace == _namespace() and _started(process) != started


def is_foreign(folder: Path) -> bool:
    """Report if a scratch folder is of another PID namespace, which cannot be seen."""
    return _mark_of(folder)[2] != _namespace()


def _own_mark() -> str:
    """Return this process's number, start and PID namespace: numbers are given again."""
    return f"{os.getpid()}.{_started(str(os.getpid()))}.{_namespace()}"


def _mark_of(folder: Path) -> tuple[str, str, str]:
    process, _, rest = folder.name.rpartition("-")[2].partition(".")
    started, _, namespace = rest.partition(".")
    return process, started, namespace


def _started(process: str) -> str:
    """Return a process's start in clock ticks since boot; empty if it has ended."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def discard(folder: Path) -> None:
    """Remove the folder of a root or a build, if it exists; of a link, the link itself."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
        return
    if folder.exists():
        _unlink_files(folder)
        try:
            # Debian's root filesystems have folders that their owner may not write.
            shutil.rmtree(folder, onerror=lambda function, path, _: _force(function, path))
        except (RecursionError, OSError):
            # Python's function fails on very deep trees and long paths.
            run(["rm", "--recursive", "--force", "--one-file-system", "--", str(folder)])


def _unlink_files(folder: Path) -> None:
    """Remove the files below a folder, several at once, as far as possible.

    Some disks answer each removal after milliseconds: 1,000 files in turn took 2.2 s, and 0.2 s so.
    """

    def unlink(name: str, parent: int) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=parent)

    with suppress(RecursionError, OSError), ThreadPoolExecutor(AT_ONCE) as pool:
        for _, _, names, parent in os.fwalk(folder, topdown=False):
            list(pool.map(unlink, names, repeat(parent)))


def _force(function: Callable[[str], object], path: str) -> None:
    Path(path).parent.chmod(0o700)
    function(path)
