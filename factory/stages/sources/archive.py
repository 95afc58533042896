"""Extraction of source archives.

All members are checked before anything is written, and no incomplete tree is left.

tarfile's data filter extracts, but does not replace the checks in `members`: it strips absolute names instead of
refusing them, lets links leave the top folder as long as they stay in the destination, and checks each member only when
those before it are written.
"""

from __future__ import annotations

import bz2
import calendar
import errno
import gzip
import io
import lzma
import os
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from factory.errors import SourceError
from factory.stages.sources.disk import explain_full_disk
from factory.stages.sources.members import DEFAULT_LIMITS, Kind, Limits, Member, check_members
from factory.util.full_disk import FULL, naming

# Debian 12's Python 3.11.2 has no extraction filters yet.
if sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile

# tarfile reads an extended header in one piece, of the size that the archive states; real ones have some kilobytes.
MAX_HEADER_BYTES = 1024 * 1024

TarOpener = Callable[[Path], io.BufferedIOBase]

_WORK = ".unpacking"
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OverflowError,
    RecursionError,
    # Numbers and names in headers that are none.
    ValueError,
    struct.error,
    KeyError,
    IndexError,
    # OSError: gzip's and bz2's own. The other two: zipfile's, for encryption and for unknown compression.
    OSError,
    RuntimeError,
    NotImplementedError,
)

# Errors of the file system that are the archive's fault: names and times that it doesn't take, links in a loop.
_BAD_MEMBER = (
    errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP,
    errno.EOVERFLOW,
)  # fmt: skip
# Files with metadata have some kilobytes; the largest descriptions some hundreds.
MAX_METADATA_BYTES = 16 * 1024**2


def unpack(archive: Path, destination: Path, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Unpack an archive into `destination` and return its one top folder there.

    The archive is a .tar.gz, .tgz, .tar.xz, .tar.bz2, .tar or .zip file.

    A folder of that name from an earlier run is replaced. Files keep the archive's modification times; folders get the
    newest of them, so that `stat` of the returned folder gives the source's date. Owners, setuid bits and write
    permission for others are dropped.

    Raises:
        SourceError: the archive is damaged, is a bomb by `limits`, or has a member that is not safe to unpack.
    """
    reader = _reader(archive)
    work = destination / _WORK
    _remove(work)
    try:
        with explain_full_disk(destination), _explain_damage(archive):
            top = reader(archive, work, limits)
            _settle_folders(work / top)
            return _move(work / top, destination / top)
    finally:
        _remove(work)


def _remove(path: Path) -> None:
    """Remove a folder; a source may have a file or a link in its place."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def read_top_files(archive: Path, names: Collection[str]) -> tuple[str, dict[str, bytes]] | None:
    """Return the name of the archive's top folder and the contents of files in it.

    Files that are missing are omitted.

    All members are checked as by `unpack`. None is returned for archives that only unpacking can read: where one of the
    files is a link, or where the archive is no tar archive.

    Raises:
        SourceError: as for `unpack`.
    """
    opener = next((opener for suffix, opener in _TAR_OPENERS.items() if archive.name.endswith(suffix)), None)
    if opener is None:
        return None
    with _explain_damage(archive), _open_tar(archive, opener) as tar:
        top = check_members(archive.name, archive.stat().st_size, map(_tar_member, tar), DEFAULT_LIMITS)
        paths = {PurePosixPath(top, name): name for name in names}
        found = {paths[path]: info for info in tar if (path := PurePosixPath(info.name)) in paths}
        if not all(info.isreg() for info in found.values()):
            return None
        for info in found.values():
            require_metadata_size(f"{archive.name}: {info.name}", info.size)
        return top, {name: _content(tar, info) for name, info in found.items()}


@contextmanager
def open_checked(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a .tar archive whose members are all checked as by `unpack`.

    Raises:
        SourceError: as for `unpack`.
    """
    with _explain_damage(archive), _open_tar(archive, _TAR_OPENERS[".tar"]) as tar:
        check_members(archive.name, archive.stat().st_size, map(_tar_member, tar), DEFAULT_LIMITS)
        yield tar


def require_metadata_size(name: str, size: int) -> None:
    """Refuse a file with metadata that is too large to be read into memory.

    Raises:
        SourceError: naming it.
    """
    if size > MAX_METADATA_BYTES:
        raise SourceError(
            f"{name}: too large for a file with metadata: {size} bytes, at most {MAX_METADATA_BYTES}",
            hint="look at the source by hand before you trust it",
        )


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    content, source = io.BytesIO(), tar.extractfile(info)
    assert source is not None, "a regular file has content"
    shutil.copyfileobj(source, content)  # in pieces, which _HeaderGuard lets through
    return content.getvalue()


def _reader(archive: Path) -> Callable[[Path, Path, Limits], str]:
    for suffix, reader in _READERS.items():
        if archive.name.endswith(suffix):
            return reader
    known = ", ".join(_READERS)
    raise SourceError(f"{archive.name}: not a known kind of source archive", hint=f"the known kinds are: {known}")


@contextmanager
def _explain_damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None and error.errno not in _BAD_MEMBER:
            raise  # the file system's error, not the archive's
        raise SourceError(
            f"{archive.name}: the archive is damaged: {error or type(error).__name__}",
            hint=f"delete {archive} and run again to download it anew",
        ) from error


def _move(folder: Path, final: Path) -> Path:
    """Rename into place: the old tree, none, or the complete new one is there."""
    if os.path.lexists(final):
        old = folder.parent / f"{_WORK}-old"
        final.rename(old)
    return folder.rename(final)


@contextmanager
def _open_tar(archive: Path, opener: TarOpener) -> Iterator[tarfile.TarFile]:
    with opener(archive) as stream, tarfile.open(fileobj=_HeaderGuard(stream, archive.name), mode="r:") as tar:
        yield tar


def _unpack_tar(opener: TarOpener) -> Callable[[Path, Path, Limits], str]:
    def read(archive: Path, work: Path, limits: Limits) -> str:
        with _open_tar(archive, opener) as tar:
            top = check_members(archive.name, archive.stat().st_size, map(_tar_member, tar), limits)
            work.mkdir(parents=True)
            _extract_all(tar, work)
        return top

    return read


def _extract_all(tar: tarfile.TarFile, work: Path) -> None:
    """Extract all members; an error of the disk names the member that was written."""
    current = work

    def noted() -> Iterator[tarfile.TarInfo]:
        nonlocal current
        for info in tar:
            current = work / info.name
            yield info

    try:
        tar.extractall(work, members=noted(), filter="data")
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(current)
        raise


def _tar_member(info: tarfile.TarInfo) -> Member:
    return Member(name=info.name, kind=_tar_kind(info), size=info.size, target=info.linkname, time=info.mtime)


def _tar_kind(info: tarfile.TarInfo) -> Kind:
    if info.isreg():
        return Kind.FILE
    if info.isdir():
        return Kind.FOLDER
    if info.issym():
        return Kind.SYMLINK
    if info.islnk():
        return Kind.HARDLINK
    return Kind.FIFO if info.isfifo() else Kind.DEVICE


class _HeaderGuard(io.BufferedIOBase):
    """A stream that refuses to read headers of more than MAX_HEADER_BYTES."""

    def __init__(self, stream: io.BufferedIOBase, archive: str) -> None:
        self._stream = stream
        self._archive = archive

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise SourceError(
                f"{self._archive}: a member's extended header states {size} bytes: a bomb",
                hint="nothing was unpacked; look at the archive by hand before you trust it",
            )
        return self._stream.read(size)


def _unpack_zip(archive: Path, work: Path, limits: Limits) -> str:
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        top = check_members(archive.name, archive.stat().st_size, map(_zip_member, infos), limits)
        for info in infos:
            _extract_zip_member(file, info, work / info.filename)
    return top


def _zip_member(info: zipfile.ZipInfo) -> Member:
    kind = Kind.FOLDER if info.is_dir() else _ZIP_KINDS.get(info.external_attr >> 28, Kind.FILE)
    # A link's target is the member's data, not yet read: give one that no tree holds. Source archives that need links
    # are tar archives.
    return Member(name=info.filename, kind=kind, size=info.file_size, target="/" if kind is Kind.SYMLINK else "")


# The file type of st_mode, in the upper four bits of what Unix programs write into external_attr.
_ZIP_KINDS = {0o01: Kind.FIFO, 0o02: Kind.DEVICE, 0o06: Kind.DEVICE, 0o12: Kind.SYMLINK, 0o14: Kind.DEVICE}


def _extract_zip_member(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    if info.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), file.open(info) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(0o755 if info.external_attr >> 16 & 0o100 else 0o644)
    seconds = _zip_time(info.date_time)
    os.utime(path, (seconds, seconds))


def _zip_time(date: tuple[int, int, int, int, int, int]) -> int:
    """Return seconds since 1970, in UTC; 1980 for an invalid date."""
    try:
        return calendar.timegm((*date, 0, 0, 0))
    except ValueError:
        return calendar.timegm((1980, 1, 1, 0, 0, 0, 0, 0, 0))


def _settle_folders(top: Path) -> None:
    """Set the time of every folder to that of the newest file.

    An archive need not list its folders, and the current time is not reproducible.
    """
    folders: list[Path] = [top]
    newest = 0.0
    for folder, _, files in os.walk(top):
        folders.append(Path(folder))
        newest = max([newest, *(os.lstat(os.path.join(folder, name)).st_mtime for name in files)])  # noqa: PTH118
    for path in folders:
        path.chmod(0o755)
        os.utime(path, (newest, newest))


_TAR_OPENERS: Mapping[str, TarOpener] = {
    ".tar.gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".tar.xz": lzma.LZMAFile,
    ".tar.bz2": bz2.BZ2File,
    ".tar": lambda archive: archive.open("rb"),
}
_READERS: Mapping[str, Callable[[Path, Path, Limits], str]] = {
    **{suffix: _unpack_tar(opener) for suffix, opener in _TAR_OPENERS.items()},
    ".zip": _unpack_zip,
}
# Ends of the file names that `unpack` takes.
SUFFIXES = tuple(_READERS)
