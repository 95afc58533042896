"""Ownership of files that a command writes as root through sudo."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Device, inode and modification time: a file that was replaced differs. A folder's time says nothing.
Identity = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A path that a command writes: its highest new folder, and the earlier content."""

    top: Path
    before: frozenset[Identity]


@contextmanager
def owned_by_user(*paths: Path) -> Iterator[None]:
    """Give what the body makes at `paths` to the user who ran sudo, even after an error.

    New parent folders are included. Files that were there before, links, and files with further names (of the store,
    say) keep their owner.
    """
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        yield
        return
    outputs = [_observe(path) for path in paths]
    try:
        yield
    finally:
        for output in outputs:
            _give(output, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def _observe(path: Path) -> Output:
    top = path.resolve()
    if top.exists():
        return Output(top=top, before=frozenset(_identity(status) for status in _statuses(top)))
    while not top.parent.exists():
        top = top.parent
    return Output(top=top, before=frozenset())


def _statuses(top: Path) -> Iterator[os.stat_result]:
    yield top.lstat()
    for _, folders, files, descriptor in os.fwalk(top):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # of another process
                yield os.stat(name, dir_fd=descriptor, follow_symlinks=False)


def _identity(status: os.stat_result) -> Identity:
    return (status.st_dev, status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns)


def _give(output: Output, user: int, group: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        parent = os.open(output.top.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _give_one(output.top.name, parent, output.before, user, group)
            for _, folders, files, descriptor in os.fwalk(output.top.name, dir_fd=parent):
                for name in (*folders, *files):
                    _give_one(name, descriptor, output.before, user, group)
        finally:
            os.close(parent)


def _give_one(name: str, folder: int, before: frozenset[Identity], user: int, group: int) -> None:
    """Change the owner of a file that this run made, through a descriptor."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        status = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        is_single = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if status.st_uid == 0 and (is_folder or is_single) and _identity(status) not in before:
            os.chown(f"/proc/self/fd/{descriptor}", user, group)
    finally:
        os.close(descriptor)
