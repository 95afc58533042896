"""Folders that a package's build can write, used without following names out of them.

A build may plant a link, a FIFO or a huge file under any name that the host opens later. Each part of a path is opened
relative to the one before, and links are refused.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from factory.errors import BuildFailed
from factory.util.atomic_files import write_pieces

BLOCK = 1 << 20
# Answers and notes of a build: a few kilobytes.
TEXT_LIMIT = 16 << 20
# A wheel with debugging symbols: PyTorch's has 1.5 GB.
WHEEL_LIMIT = 8 << 30


class UnsafeOutput(BuildFailed):
    """A file of a build's output that is a link, not a regular file, or too large."""


@dataclass(frozen=True, slots=True)
class UntrustedFolder:
    """A folder whose content a package's build controls.

    Methods take paths relative to it. They raise UnsafeOutput for a path that leaves the folder, a link, a file that is
    not regular, and one of more bytes than `limit`; a missing file raises FileNotFoundError.
    """

    folder: Path

    def read(self, path: str, limit: int = TEXT_LIMIT) -> bytes:
        """Return a file's content."""
        return b"".join(self._pieces(path, limit))

    def read_text(self, path: str, limit: int = TEXT_LIMIT) -> str:
        """Return a file's content as UTF-8.

        Raises:
            UnsafeOutput: it is not UTF-8, or see the class.
        """
        try:
            return self.read(path, limit).decode()
        except UnicodeDecodeError as error:
            raise _unsafe(path, f"it is not UTF-8: {error}") from error

    def read_json(self, path: str, limit: int = TEXT_LIMIT) -> object:
        """Return the value in a JSON file.

        Raises:
            UnsafeOutput: it is not JSON, or see the class.
        """
        try:
            value: object = json.loads(self.read_text(path, limit))
        except (ValueError, RecursionError) as error:
            raise _unsafe(path, f"it is not JSON: {error}") from error
        return value

    def copy(self, path: str, to: Path, limit: int = WHEEL_LIMIT) -> None:
        """Copy a file to a path outside."""
        write_pieces(to, self._pieces(path, limit))

    def has(self, path: str) -> bool:
        """Report if there is a regular file, not a link to one."""
        try:
            with self._opened(path):
                return True
        except (FileNotFoundError, UnsafeOutput):
            return False

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        with self._parent(path) as (above, name):
            folder = _open_at(path, name, os.O_RDONLY | os.O_DIRECTORY, above)
            try:
                return sorted(os.listdir(folder))  # noqa: PTH208 - pathlib has no open folders
            finally:
                os.close(folder)

    def remove(self, path: str) -> None:
        """Remove a file or a link, if it exists; a folder stays."""
        with self._parent(path) as (folder, name), suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=folder)

    def write(self, path: str, content: bytes) -> None:
        """Write a file in place of any other; its folder exists."""
        with self._parent(path) as (folder, name):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as file:
                file.write(content)

    def _pieces(self, path: str, limit: int) -> Iterator[bytes]:
        with self._opened(path) as descriptor:
            left = limit
            while piece := os.read(descriptor, BLOCK):
                left -= len(piece)
                if left < 0:
                    raise _unsafe(path, f"it has more than {limit} bytes")
                yield piece

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        with self._parent(path) as (folder, name):
            # Looked at before it is opened for reading: opening a FIFO waits, and opening a device may act.
            seen = _open_at(path, name, os.O_PATH, folder)
            try:
                if not stat.S_ISREG(os.fstat(seen).st_mode):
                    raise _unsafe(path, "it is not a regular file")
                descriptor = os.open(f"/proc/self/fd/{seen}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(seen)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Open the folder of a path; yields its descriptor and the path's last part."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\0" in path:
            raise _unsafe(path, "the path leaves the build's folder")
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                below = _open_at(path, part, os.O_PATH | os.O_DIRECTORY, folder)
                os.close(folder)
                folder = below
            yield folder, parts[-1]
        finally:
            os.close(folder)


def is_beneath(path: Path, folder: Path) -> bool:
    """Report if a path leads to a place below `folder` when every link on the way is followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def _open_at(path: str, part: str, flags: int, folder: int) -> int:
    try:
        descriptor = os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unsafe(path, f"{part} cannot be opened: {error.strerror}") from error
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unsafe(path, f"{part} is a link")
    return descriptor


def _unsafe(path: str, reason: str) -> UnsafeOutput:
    return UnsafeOutput(f"{path[:200]!r} of the build: not read: {reason}", hint="builds may write regular files only")
