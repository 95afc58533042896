"""Atomic files: written by rename, and left alone if they have the content."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from factory.errors import StoreError
from factory.util.full_disk import naming

READ_BYTES = 1 << 13
COPY_BYTES = 1 << 20
READABLE = 0o444


def sha256_of(path: Path) -> str:
    """Return the lower-case hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(path: str) -> bytes:
    """Read a file's bytes with as few system calls as possible, for very many files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A short read from a regular file is its end.
        content = piece = os.read(descriptor, READ_BYTES)
        while len(piece) == READ_BYTES:
            piece = os.read(descriptor, READ_BYTES)
            content += piece
        return content
    finally:
        os.close(descriptor)


def changed_at(path: Path | str) -> int:
    """Return the modification time of a file or folder in nanoseconds, 0 if there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path costs more than the call
    except FileNotFoundError:
        return 0


def is_file(path: Path | str) -> bool:
    """Report whether a file exists.

    Unlike Path.is_file it accepts names that are too long, and is faster.
    """
    return os.path.isfile(path)  # noqa: PTH113


def write_if_changed(path: Path | str, content: bytes, *, durable: bool = False) -> bool:
    """Write `content` to `path` by rename unless it has that content.

    Returns whether it was written.

    A `durable` file survives a power failure, for some milliseconds more: use it for files that can't be made again.
    """
    if _holds(path, content):
        return False
    write_file(path, content, durable=durable)
    return True


def write_file(path: Path | str, content: bytes, *, durable: bool = False) -> None:
    """Write `content` to `path` by rename."""
    _replace(path, lambda descriptor: _write_all(descriptor, content), durable=durable)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _holds(path: Path | str, content: bytes) -> bool:
    try:
        return os.stat(path).st_size == len(content) and content_of(str(path)) == content  # noqa: PTH116
    except (FileNotFoundError, IsADirectoryError):
        return False


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write the pieces to `path` in order, by rename.

    For content that is too large for memory.
    """
    _replace(path, lambda descriptor: _fill(descriptor, lambda file: file.writelines(pieces)), durable=False)


def make_folder(folder: Path, *, durable: bool = False) -> None:
    """Make a folder and its missing parents, readable for all users whatever the umask."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folder(folder.parent, durable=durable)
        folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    if durable:
        sync(folder.parent)


def copy_durably(source: Path, path: Path, sha256: str) -> None:
    """Copy `source` to `path` by rename, so that it survives a power failure.

    Processes that copy to the same path at once do not disturb each other.

    Raises:
        StoreError: the content has another sha256.
    """
    digest = hashlib.sha256()

    def fill(file: IO[bytes]) -> None:
        with source.open("rb") as original:
            while piece := original.read(COPY_BYTES):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            raise StoreError(f"{source}: file changed while it was copied", hint="run the build again")

    _replace(path, lambda descriptor: _fill(descriptor, fill), durable=True)


def sync(path: Path) -> None:
    """Write a file, or a folder's names, to disk, so that a power failure keeps it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_trees(folder: Path) -> None:
    """Write all files of the folder's file system to disk, for very many files at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def copy_atomically(source: Path, path: Path) -> None:
    """Place `source` at `path`, readable for all, as a hard link if the file system permits."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
        if source.stat().st_mode & READABLE != READABLE:
            temporary.chmod(0o644)
    except OSError:
        temporary.unlink(missing_ok=True)
        with source.open("rb") as original:
            copy = partial(shutil.copyfileobj, original, length=COPY_BYTES)
            _replace(path, lambda descriptor: _fill(descriptor, copy), durable=False)
    else:
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # rename does nothing if both names are links to the same file


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files of killed writers from a folder that no one is writing to."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith((".tmp", ".link")):
                Path(entry).unlink(missing_ok=True)


def _fill(descriptor: int, fill: Callable[[IO[bytes]], object]) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        fill(file)


def _replace(path: Path | str, fill: Callable[[int], object], *, durable: bool) -> None:
    descriptor, temporary = _open_beside(path, durable=durable)
    try:
        try:
            with naming(path):
                fill(descriptor)
            os.fchmod(descriptor, 0o644)  # independent of the umask: a web server of another user reads it
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - a Path costs more than the call
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync(Path(path).parent)


def _open_beside(path: Path | str, *, durable: bool) -> tuple[int, str]:
    """Open a new temporary file in the folder of `path`, which is made if needed.

    Returns descriptor and name.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}.tmp")  # noqa: PTH118
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, 0o600), temporary
    except FileNotFoundError:
        make_folder(Path(folder), durable=durable)
        return os.open(temporary, flags, 0o600), temporary
