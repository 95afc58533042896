"""Files that appear whole or not at all, and are left alone when they are right already."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

READ_BYTES = 1 << 13


def sha256_of(path: Path) -> str:
    """The lower-case hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(path: str) -> bytes:
    """A file's bytes, in as few calls as there can be: for files of which there are very many."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Of a regular file, less than was asked for is all that is left.
        content = piece = os.read(descriptor, READ_BYTES)
        while len(piece) == READ_BYTES:
            piece = os.read(descriptor, READ_BYTES)
            content += piece
        return content
    finally:
        os.close(descriptor)


def changed_at(path: Path | str) -> int:
    """When a file or folder last changed, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path costs more than the call
    except FileNotFoundError:
        return 0


def is_file(path: Path | str) -> bool:
    """Whether a file is there; a Path's own way raises where a name is longer than any file's, and costs more."""
    return os.path.isfile(path)  # noqa: PTH113


def write_if_changed(path: Path | str, content: bytes, *, durable: bool = False) -> bool:
    """Make `path` hold `content`, by rename; an equal file is left alone. Returns whether it was written.

    A `durable` file outlives a power cut; it costs some milliseconds, and what can be written again needs none.
    """
    if _holds(path, content):
        return False
    write_file(path, content, durable=durable)
    return True


def write_file(path: Path | str, content: bytes, *, durable: bool = False) -> None:
    """Make `path` hold `content`, by rename, whatever was there."""
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
    """Make `path` hold the pieces, one after another, by rename: what is too large for memory at once."""
    _replace(path, lambda descriptor: _fill(descriptor, lambda file: file.writelines(pieces)), durable=False)


def copy_atomically(source: Path, path: Path) -> None:
    """Put the bytes of `source` at `path`: as a hard link where the file system allows, else as a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as original:
            copy = partial(shutil.copyfileobj, original, length=1 << 20)
            _replace(path, lambda descriptor: _fill(descriptor, copy), durable=False)
    else:
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # rename does nothing where both names are links to one file already


def remove_unfinished(folder: Path) -> None:
    """Remove what writers that were killed left in a folder that nobody writes to now."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith((".tmp", ".link")):
                Path(entry).unlink(missing_ok=True)


def _fill(descriptor: int, fill: Callable[[IO[bytes]], object]) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        fill(file)


def _replace(path: Path | str, fill: Callable[[int], object], *, durable: bool) -> None:
    descriptor, temporary = _open_beside(path)
    try:
        try:
            fill(descriptor)
            os.fchmod(descriptor, 0o644)  # whatever the umask is: a web server of another user reads it
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - a Path costs more than the call
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(Path(path).parent)


def _open_beside(path: Path | str) -> tuple[int, str]:
    """A new file in the folder of `path`, which is made if it isn't there: its descriptor and its name."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}.tmp")  # noqa: PTH118
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, 0o600), temporary
    except FileNotFoundError:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return os.open(temporary, flags, 0o600), temporary


def _sync_folder(folder: Path) -> None:
    """A rename outlives a power cut only once its folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
