"""ELF files inside other files: in archives, compressed, or behind other bytes.

Programs unpack and load such files, so their instructions count. Static archives are an exception: nothing loads them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import IO, Any

import zstandard

from factory.elf.reader import MAGIC

BUDGET = 1 << 30  # bytes that all nested archives of a wheel unpack to
DEPTH = 4
FILES_BEHIND = 16  # for one file
BLOCK = 1 << 20
STATIC_ARCHIVES = (b"!<arch>\n", b"!<thin>\n")
# A 64-bit little-endian header of version 1, then a program or library (ET_EXEC, ET_DYN) for RISC-V (243).
HEADER = MAGIC + bytes([2, 1, 1])
KINDS = (b"\x02\x00\xf3\x00", b"\x03\x00\xf3\x00")
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError)
UNREADABLE = (*DAMAGED, zipfile.BadZipFile, tarfile.TarError, zstandard.ZstdError, LookupError, OverflowError)
ZIP, ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": zstandard.ZstdDecompressor().stream_reader,
}


class TooLarge(Exception):
    """An archive that unpacks to more than the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """An ELF file inside a file of the wheel, or the reason why a file cannot be looked into.

    `path` is the file's, and after "!" the path in the archive, or after "!+" the offset.
    """

    path: str
    data: bytes = b""
    problem: str = ""
    too_large: bool = False


@dataclass(slots=True)
class Search:
    """A search through the files of one wheel, with one budget."""

    left: int = field(default=BUDGET)

    def find(self, path: str, content: bytes) -> Iterator[Nested]:
        """Yield the ELF files inside a file; the file itself is not one of them."""
        yield from self._inside(path, content, 0)

    def _inside(self, path: str, content: bytes, depth: int) -> Iterator[Nested]:
        if content.startswith(STATIC_ARCHIVES):
            return
        known: set[tuple[int, bytes]] = set()
        if depth < DEPTH and not content.startswith(MAGIC):
            try:
                for name, inner in self._unpacked(content):
                    where = f"{path}!{name}"
                    if inner.startswith(MAGIC):
                        known.add((len(inner), sha256(inner).digest()))
                        yield Nested(path=where, data=inner)
                    yield from self._inside(where, inner, depth + 1)
            except TooLarge:
                problem = f"unpacks, with the other archives in the wheel, to more than {BUDGET >> 20} MB"
                yield Nested(path=path, problem=problem, too_large=True)
            except UNREADABLE as error:
                yield Nested(path=path, problem=f"looks like an archive, and cannot be read as one ({error})")
        yield from _behind(path, content, known)

    def _unpacked(self, content: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of the files in an archive or a compressed file."""
        opener = next((each for magic, each in COMPRESSIONS.items() if content.startswith(magic)), None)
        if opener is not None:
            with opener(BytesIO(content)) as file:
                yield "", self._read(file)
        elif content.startswith(ZIP) or ZIP_END in content[-(1 << 16) - 22 :]:
            with zipfile.ZipFile(BytesIO(content)) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        with archive.open(info) as file:
                            yield info.filename, self._read(file)
        elif content[257:262] == b"ustar":
            with tarfile.open(fileobj=BytesIO(content), mode="r:") as archive_of_tar:
                for member in archive_of_tar:
                    extracted = archive_of_tar.extractfile(member) if member.isreg() else None
                    if extracted is not None:
                        yield member.name, self._read(extracted)

    def _read(self, file: IO[bytes]) -> bytes:
        content = bytearray()
        while block := file.read(min(BLOCK, self.left + 1)):
            content += block
            self.left -= len(block)
            if self.left < 0:
                raise TooLarge
        return bytes(content)


def _behind(path: str, content: bytes, known: Collection[tuple[int, bytes]]) -> Iterator[Nested]:
    """Yield ELF files that begin behind the first byte, except `known` ones."""
    at = content.find(HEADER, 1)
    count = 0
    while at >= 0 and count < FILES_BEHIND:
        here = content[at + 16 : at + 20] in KINDS
        if here and not any(sha256(content[at : at + size]).digest() == digest for size, digest in known):
            count += 1
            yield Nested(path=f"{path}!+{at:#x}", data=content[at:])
        at = content.find(HEADER, at + 1)
