"""Members of a tar archive, with all attributes that builds and overlay roots use.

Times are kept to the nanosecond, since ninja and make compare them; owners as numbers, which a user namespace maps; and
the extended attributes by which overlayfs marks folders that hide the layers below.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import IO

from factory.errors import StoreError

# Prefixes of the kernel's attributes: for root, and for an overlay that a user namespace mounted.
_PREFIXES = ("trusted.overlay.", "user.overlay.")
_OVERLAY = ("opaque", "redirect")
_HEADER = "SCHILY.xattr.trusted.overlay."
_SECOND = 1_000_000_000
# tarfile reads an extended header in one piece, of the size that the archive states; ours have some hundred bytes.
_MAX_HEADER_BYTES = 1024 * 1024
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class MemberInfo(tarfile.TarInfo):
    """A tar member whose extended headers have a bounded size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> MemberInfo:
        """Read one header block."""
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HEADERS and info.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"an extended header of {info.size} bytes")
        return info


def describe(path: Path, name: str, status: os.stat_result) -> MemberInfo | None:
    """Return the member for a file with that `lstat`; None for sockets, pipes and devices."""
    info = MemberInfo(name)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.pax_headers = {"mtime": _time_text(status.st_mtime_ns)}
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
        info.pax_headers |= _overlay_headers(path)
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        info.type = tarfile.CHRTYPE  # overlayfs: a whiteout
    else:
        return None
    return info


def is_whiteout(info: tarfile.TarInfo) -> bool:
    """Return whether the member is a whiteout of overlayfs: the character device 0:0."""
    return info.ischr() and (info.devmajor, info.devminor) == (0, 0)


def create(info: tarfile.TarInfo, path: Path, content: IO[bytes] | None) -> None:
    """Create the member at the free `path`. Folders get their attributes later, by `settle`."""
    if info.isdir():
        path.mkdir(mode=0o700)
        return
    if info.issym():
        path.symlink_to(info.linkname)
    elif info.ischr():
        os.mknod(path, stat.S_IFCHR | 0o600, 0)
    else:
        assert content is not None
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    settle(info, path)


def settle(info: tarfile.TarInfo, path: Path) -> None:
    """Set the owner (as root), mode, overlay attributes and time of a file or folder."""
    if os.geteuid() == 0:
        _own(info, path)
    if not info.issym():
        path.chmod(info.mode & 0o7777)
    for header, value in info.pax_headers.items():
        if header.startswith(_HEADER) and header.removeprefix(_HEADER) in _OVERLAY:
            _mark(path, header.removeprefix(_HEADER), value.encode("utf-8", "surrogateescape"))
    nanoseconds = _nanoseconds(info)
    os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def _own(info: tarfile.TarInfo, path: Path) -> None:
    try:
        os.chown(path, info.uid, info.gid, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise StoreError(
            f"{info.name}: user {info.uid} or group {info.gid} does not exist in this user namespace",
            hint="import as root, or in a namespace with at least 65536 users",
        ) from error


def _overlay_headers(path: Path) -> dict[str, str]:
    names = os.listxattr(path, follow_symlinks=False)
    return {
        f"{_HEADER}{key}": os.getxattr(path, prefix + key, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for prefix in _PREFIXES
        for key in _OVERLAY
        if prefix + key in names
    }


def _mark(path: Path, key: str, value: bytes) -> None:
    trusted, user = _PREFIXES
    try:
        os.setxattr(path, trusted + key, value, follow_symlinks=False)
    except PermissionError:
        os.setxattr(path, user + key, value, follow_symlinks=False)


def _time_text(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{seconds}.{rest:09d}"


def _nanoseconds(info: tarfile.TarInfo) -> int:
    """Return the member's time; tarfile's own number is not precise enough."""
    seconds, _, rest = info.pax_headers.get("mtime", "0").partition(".")
    try:
        return int(seconds) * _SECOND + int(rest[:9].ljust(9, "0"))
    except ValueError as error:
        raise tarfile.ReadError(f"{info.name}: invalid time") from error
