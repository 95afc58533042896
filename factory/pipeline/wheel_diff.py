"""Differences between two wheels, member by member."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Difference:
    """A member that differs between two wheels; sizes are in bytes, None where it is missing."""

    member: str
    what: str
    before: int | None
    after: int | None


def compare_wheels(before: Path, after: Path) -> list[Difference]:
    """List the differences between two wheels, by member name.

    Wheels with the same bytes have none. Archives with equal contents can still differ in the order, times, modes or
    compression of members.
    """
    if before.read_bytes() == after.read_bytes():
        return []
    old, new = _members(before), _members(after)
    found = [difference for name in sorted(old.keys() | new.keys()) for difference in _compare(name, old, new)]
    if found:
        return found
    return [Difference("(the archive)", "order of members", before.stat().st_size, after.stat().st_size)]


@dataclass(frozen=True, slots=True)
class _Member:
    size: int
    sha256: str
    entry: tuple[object, ...]


def _members(wheel: Path) -> dict[str, _Member]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: _Member(
                size=info.file_size,
                sha256=hashlib.sha256(archive.read(info)).hexdigest(),
                entry=(info.date_time, info.external_attr, info.compress_type, info.compress_size),
            )
            for info in archive.infolist()
        }


def _compare(name: str, before: dict[str, _Member], after: dict[str, _Member]) -> list[Difference]:
    old, new = before.get(name), after.get(name)
    if old == new:
        return []
    if old is None or new is None:
        what = "only in the rebuilt wheel" if old is None else "only in the recorded wheel"
    else:
        what = "contents" if old.sha256 != new.sha256 else "time, mode or compression"
    sizes = (None if member is None else member.size for member in (old, new))
    return [Difference(name, what, *sizes)]
