"""Checks of the members of source archives, before anything is written."""

from __future__ import annotations

import enum
import math
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from factory.errors import SourceError
from factory.stages.sources.source_files import MAX_PATH_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits beyond which an archive is a bomb.

    torch 2.x, the largest known sdist, is about 2 GB in 100 000 members.

    `ratio` (unpacked bytes to archive bytes) is judged only beyond `ratio_floor` bytes: small, repetitive test data
    compresses a thousandfold and harms nobody.
    """

    total_bytes: int = 8 * 1024**3
    members: int = 400_000
    ratio: int = 100
    ratio_floor: int = 64 * 1024**2


DEFAULT_LIMITS = Limits()
# File systems of Linux limit each name of a path to this many bytes.
MAX_NAME_BYTES = 255
# Of a member's name in messages.
SHOWN_CHARACTERS = 100
# Times that every file system keeps, in seconds from 1970: 1901 to 2446.
FIRST_TIME, LAST_TIME = -(2**31), 15 * 10**9


class Kind(enum.Enum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    DEVICE = "device file"
    FIFO = "named pipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An archive's entry: unpacked size in bytes, link target, time in seconds since 1970."""

    name: str
    kind: Kind
    size: int = 0
    target: str = ""
    time: float = 0.0


@dataclass(slots=True, kw_only=True)
class MemberCheck:
    """Check of members in archive order; bombs are refused before decompression."""

    archive: str
    archive_bytes: int
    limits: Limits
    _kinds: dict[PurePosixPath, Kind] = field(default_factory=dict)
    _total: int = 0

    def accept(self, member: Member) -> None:
        """Check and note one more member.

        Raises:
            SourceError: naming the member and what is wrong with it.
        """
        if member.kind is Kind.FOLDER and not PurePosixPath(member.name).parts:
            return  # some archives list "./" itself
        path = self._safe_path(member)
        if member.kind in (Kind.DEVICE, Kind.FIFO):
            raise self._refuse(member, f"is a {member.kind.value}")
        if not math.isfinite(member.time) or not FIRST_TIME <= member.time <= LAST_TIME:
            raise self._refuse(member, f"has an impossible time, {member.time}")
        self._count(member)
        self._check_collision(member, path)
        self._kinds[path] = member.kind
        if member.kind is Kind.SYMLINK:
            self._check_symlink(member, path)
        if member.kind is Kind.HARDLINK:
            self._check_hardlink(member)

    def top_folder(self) -> str:
        """Return the name of the one folder that contains all members.

        Raises:
            SourceError: there is no such folder, or something lies beside or beneath what is no folder.
        """
        tops = sorted({path.parts[0] for path in self._kinds})
        if len(tops) != 1:
            listed = ", ".join(repr(top) for top in tops[:4]) or "nothing"
            raise self._error(f"holds {listed} at its top; a source archive has exactly one folder there")
        if self._kinds.get(PurePosixPath(tops[0]), Kind.FOLDER) is not Kind.FOLDER:
            raise self._error(f"holds {tops[0]!r} at its top, which is not a folder")
        if tops[0].startswith("."):
            raise self._error(f"holds {tops[0]!r} at its top, a hidden folder")
        if not tops[0].isprintable():
            raise self._error(f"holds {tops[0]!r} at its top, a name that can't be printed")
        self._check_parents()
        return tops[0]

    def _safe_path(self, member: Member) -> PurePosixPath:
        path = PurePosixPath(member.name)
        if path.is_absolute():
            raise self._refuse(member, "has an absolute name")
        if ".." in path.parts:
            raise self._refuse(member, "has '..' in its name")
        if not path.parts or "\0" in member.name + member.target:
            raise self._refuse(member, "has an empty name, or a NUL in its name or target")
        self._check_lengths(member)
        return path

    def _check_lengths(self, member: Member) -> None:
        for text in (member.name, member.target):
            if len(_encoded(text)) > MAX_PATH_BYTES:
                raise self._refuse(member, f"has a path of more than {MAX_PATH_BYTES} bytes")
            if any(len(_encoded(part)) > MAX_NAME_BYTES for part in PurePosixPath(text).parts):
                raise self._refuse(member, f"has a name of more than {MAX_NAME_BYTES} bytes in its path")

    def _count(self, member: Member) -> None:
        if member.size < 0:
            raise self._refuse(member, f"has an impossible size, {member.size}")
        self._total += member.size
        if len(self._kinds) >= self.limits.members:
            raise self._refuse(member, f"exceeds the limit of {self.limits.members} members: the archive is a bomb")
        if self._total > self.limits.total_bytes:
            raise self._refuse(member, f"exceeds the limit of {self.limits.total_bytes} unpacked bytes: a bomb")
        beyond_ratio = self._total > self.archive_bytes * self.limits.ratio
        if beyond_ratio and self._total > self.limits.ratio_floor:
            raise self._refuse(member, f"unpacks to more than {self.limits.ratio} times the archive's size: a bomb")

    def _check_collision(self, member: Member, path: PurePosixPath) -> None:
        """Allow a folder or a file again: of the files the last counts, as for tar and pip.

        pyarrow 26.0.1 has its licence twice.
        """
        known = self._kinds.get(path)
        if known is not None and (known is not member.kind or known not in (Kind.FOLDER, Kind.FILE)):
            raise self._refuse(member, f"collides with another member of that name, a {known.value}")

    def _check_symlink(self, member: Member, path: PurePosixPath) -> None:
        """Allow `..` only at the target's start, and not beyond the top folder.

        A link's own parents are folders (`_check_parents`), so leading `..` mean what they seem to mean. Behind them
        the target only goes down; should it meet another link, the same was checked there. So no chain leaves.
        """
        target = PurePosixPath(member.target)
        ups = len(target.parts) - len(_without_leading_ups(target))
        if target.is_absolute() or not target.parts:
            raise self._refuse(member, f"is a link to {member.target!r}, which is not relative")
        if ups >= len(path.parts) - 1 and ups:
            raise self._refuse(member, f"is a link to {member.target!r}, which leaves the tree")
        if ".." in _without_leading_ups(target):
            raise self._refuse(member, f"is a link to {member.target!r}, with '..' after a folder's name")

    def _check_hardlink(self, member: Member) -> None:
        target = self._kinds.get(PurePosixPath(posixpath.normpath(member.target)))
        if target not in (Kind.FILE, Kind.HARDLINK):
            raise self._refuse(member, f"is a hard link to {member.target!r}, not a file before it")

    def _check_parents(self) -> None:
        for path in self._kinds:
            for parent in _parents(path):
                kind = self._kinds.get(parent, Kind.FOLDER)
                if kind is not Kind.FOLDER:
                    raise self._error(f"{str(path)!r} lies beneath {str(parent)!r}, which is a {kind.value}")

    def _refuse(self, member: Member, what: str) -> SourceError:
        shown = member.name if len(member.name) <= SHOWN_CHARACTERS else f"{member.name[:SHOWN_CHARACTERS]}..."
        return self._error(f"the member {shown!r} {what}")

    def _error(self, what: str) -> SourceError:
        return SourceError(
            f"{self.archive}: {what}",
            hint="nothing was unpacked; look at the archive by hand before you trust it",
        )


def check_members(archive: str, archive_bytes: int, members: Iterable[Member], limits: Limits) -> str:
    """Check all members and return the name of the archive's one top folder.

    Raises:
        SourceError: naming the first member that is refused.
    """
    check = MemberCheck(archive=archive, archive_bytes=archive_bytes, limits=limits)
    for member in members:
        check.accept(member)
    return check.top_folder()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _without_leading_ups(target: PurePosixPath) -> tuple[str, ...]:
    parts = target.parts
    while parts and parts[0] == "..":
        parts = parts[1:]
    return parts


def _parents(path: PurePosixPath) -> Iterator[PurePosixPath]:
    """Return the folders around a path, without the archive's root."""
    return (parent for parent in path.parents if parent.parts)
