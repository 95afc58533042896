"""Reader of untrusted wheels: sizes are limited, and nothing is written to disk."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.tags import Tag, parse_tag

from factory.elf.reader import MAGIC
from factory.errors import AuditFailed

MEMBERS = 100_000
MEMBER_BYTES = 2 << 30
TOTAL_BYTES = 8 << 30
SUSPICIOUS_BYTES = 256 << 20  # from here on the ratio counts
SUSPICIOUS_RATIO = 100  # compiled code shrinks 2 to 6 times; deflate can do 1000
METADATA_BYTES = 1 << 20
CONTENT_BYTES = 512 << 20  # larger files other than ELF are not looked into
BLOCK = 1 << 20
WHEEL = re.compile(r"[^/]+\.dist-info/WHEEL")
SBOM = re.compile(r"[^/]+\.dist-info/sboms/.*[^/]")
LICENSE = re.compile(r"[^/]+\.dist-info/licenses/.*[^/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of a wheel; `content` is None for a large one that is not ELF."""

    path: str
    size: int
    sha256: bytes
    content: bytes | None

    @property
    def is_elf(self) -> bool:
        return self.content is not None and self.content.startswith(MAGIC)


class WheelFile:
    """An open wheel whose members were checked."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._members = [info for info in archive.infolist() if not info.is_dir()]
        self._name = name

    def tags(self) -> frozenset[Tag]:
        """Return the tags in the WHEEL file.

        Raises:
            AuditFailed: there is not exactly one WHEEL file, or it is too large.
        """
        lines = HeaderParser().parsestr(self._wheel_text()).get_all("Tag", [])
        return frozenset(tag for line in lines for tag in _parsed(line))

    def is_pure(self) -> bool:
        """Return whether the WHEEL file says that the wheel is installed as pure Python.

        Raises:
            AuditFailed: there is not exactly one WHEEL file, or it is too large.
        """
        return str(HeaderParser().parsestr(self._wheel_text()).get("Root-Is-Purelib", "")).strip().lower() == "true"

    def _wheel_text(self) -> str:
        found = [info for info in self._members if WHEEL.fullmatch(info.filename)]
        if len(found) != 1 or found[0].file_size > METADATA_BYTES:
            raise AuditFailed(f"{self._name}: not a wheel: no .dist-info/WHEEL file, or more than one")
        return self._archive.read(found[0]).decode("utf-8", errors="replace")

    def metadata(self, name: str, limit: int = METADATA_BYTES) -> bytes | None:
        """Return a file of the .dist-info folder; None if it is missing or too large."""
        found = [info for info in self._members if re.fullmatch(rf"[^/]+\.dist-info/{re.escape(name)}", info.filename)]
        if len(found) != 1 or found[0].file_size > limit:
            return None
        return self._archive.read(found[0])

    def sboms(self) -> tuple[str, ...]:
        """Return the paths of the bills of materials (PEP 770)."""
        return self._paths(SBOM)

    def licenses(self) -> tuple[str, ...]:
        """Return the paths of the licence files (PEP 639)."""
        return self._paths(LICENSE)

    def _paths(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        return tuple(sorted(info.filename for info in self._members if pattern.fullmatch(info.filename)))

    def elf_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each ELF file, one at a time in memory."""
        yield from ((each.path, each.content) for each in self.members() if each.content is not None and each.is_elf)

    def members(self) -> Iterator[Member]:
        """Yield the files, sorted by path, one at a time in memory."""
        for info in sorted(self._members, key=lambda info: info.filename):
            with self._archive.open(info) as file:
                start = file.read(len(MAGIC))
                if start == MAGIC or info.file_size <= CONTENT_BYTES:
                    content = start + file.read()
                    digest = hashlib.sha256(content).digest()
                    yield Member(path=info.filename, size=len(content), sha256=digest, content=content)
                    continue
                hashed = hashlib.sha256(start)
                while block := file.read(BLOCK):
                    hashed.update(block)
            yield Member(path=info.filename, size=info.file_size, sha256=hashed.digest(), content=None)

    def digest(self, path: str, algorithm: str) -> bytes:
        """Return the digest of a file."""
        hashed = hashlib.new(algorithm)
        with self._archive.open(path) as file:
            while block := file.read(BLOCK):
                hashed.update(block)
        return hashed.digest()


@contextmanager
def open_wheel(path: Path) -> Iterator[WheelFile]:
    """Open a wheel for reading.

    Raises:
        AuditFailed: the file is missing, not a zip archive, damaged, or has implausible members. Damage inside a
            member is found when it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            yield WheelFile(archive, path.name)
    except OSError as error:
        raise AuditFailed(f"{path}: cannot be read: {error.strerror or error}", hint="check the path") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise AuditFailed(f"{path.name}: not a readable zip archive: {error}", hint="build the wheel again") from error


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    total = sum(info.file_size for info in members)
    ratio = total / max(path.stat().st_size, 1)
    if len(members) > MEMBERS:
        raise _refusal(path, f"{len(members)} members, more than {MEMBERS}")
    if total > TOTAL_BYTES or (total > SUSPICIOUS_BYTES and ratio > SUSPICIOUS_RATIO):
        raise _refusal(path, f"it unpacks to {total} bytes, {ratio:.0f} times its own size")
    names = Counter(info.filename for info in members)
    for info in members:
        if info.file_size > MEMBER_BYTES:
            raise _refusal(path, f"{info.filename!r} unpacks to {info.file_size} bytes, more than {MEMBER_BYTES}")
        if names[info.filename] > 1:
            raise _refusal(path, f"duplicate member {info.filename!r}")
        if _leaves_the_wheel(info.filename):
            raise _refusal(path, f"{info.filename!r} would be installed outside its folder")


def _leaves_the_wheel(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def _refusal(path: Path, reason: str) -> AuditFailed:
    return AuditFailed(f"{path.name}: refused: {reason}", hint="no build backend writes such a wheel: check its origin")


def _parsed(line: str) -> frozenset[Tag]:
    """Parse a `Tag:` line; an empty set, which matches no file name, if it is invalid."""
    return parse_tag(line.strip()) if line.count("-") == 2 else frozenset()
