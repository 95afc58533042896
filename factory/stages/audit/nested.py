"""ELF files inside other files: in archives, compressed, or behind other bytes.

Programs unpack and load such files, so their instructions count. Static archives are an exception: nothing loads them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import zstandard

from factory.elf.reader import MAGIC

BUDGET = 1 << 30  # bytes that all nested archives of a wheel unpack to
DEPTH = 4
FILES_BEHIND = 16  # for one file
HEAD = 4096  # bytes at the start of an ELF file, in which few files are the same
BLOCK = 1 << 20
STATIC_ARCHIVES = (b"!<arch>\n", b"!<thin>\n")
# A 64-bit little-endian header of version 1, then a program or library (ET_EXEC, ET_DYN) for RISC-V (243).
HEADER = MAGIC + bytes([2, 1, 1])
KINDS = (b"\x02\x00\xf3\x00", b"\x03\x00\xf3\x00")
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, struct.error)
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

    left: int = field(default_factory=lambda: BUDGET)

    def find(self, path: str, content: bytes) -> Iterator[Nested]:
        """Yield the ELF files inside a file; the file itself is not one of them."""
        yield from self._inside(path, content, 0)

    def _inside(self, path: str, content: bytes, depth: int) -> Iterator[Nested]:
        if content.startswith(STATIC_ARCHIVES):
            return
        known: dict[bytes, list[bytes]] = {}
        if not content.startswith(MAGIC):
            try:
                for name, inner in self._unpacked(content, depth):
                    where = f"{path}!{name}"
                    if inner.startswith(MAGIC):
                        known.setdefault(inner[:HEAD], []).append(inner)
                        yield Nested(path=where, data=inner)
                    yield from self._inside(where, inner, depth + 1)
            except TooLarge as error:
                yield Nested(path=path, problem=str(error), too_large=True)
            except UNREADABLE as error:
                yield Nested(path=path, problem=f"looks like an archive, and cannot be read as one ({error})")
        yield from _behind(path, content, known)

    def _unpacked(self, content: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of the files in an archive or a compressed file."""
        opener = next((each for magic, each in COMPRESSIONS.items() if content.startswith(magic)), None)
        is_zip = content.startswith(ZIP) or ZIP_END in content[-(1 << 16) - 22 :]
        is_tar = content[257:262] == b"ustar"
        if not (opener or is_zip or is_tar):
            return
        if depth == DEPTH:
            raise TooLarge(f"is an archive in archives, more than {DEPTH} deep")
        if opener is not None:
            with opener(BytesIO(content)) as file:
                yield "", self._read(file)
        elif is_zip:
            yield from self._unzipped(content)
        else:
            with tarfile.open(fileobj=BytesIO(content), mode="r:") as archive:
                for member in archive:
                    extracted = archive.extractfile(member) if member.isreg() else None
                    if extracted is not None:
                        yield member.name, self._read(extracted)

    def _unzipped(self, content: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the files of a zip archive; one that cannot be read does not hide the others."""
        failed: Exception | None = None
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for info in archive.infolist():
                try:
                    with archive.open(info) as file:
                        inner = self._read(file)
                except UNREADABLE as error:
                    failed = error
                    continue
                yield info.filename, inner
        if failed is not None:
            raise failed

    def _read(self, file: IO[bytes]) -> bytes:
        content = bytearray()
        while block := file.read(min(BLOCK, self.left + 1)):
            content += block
            self.left -= len(block)
            if self.left < 0:
                raise TooLarge(f"unpacks, with the other archives in the wheel, to more than {BUDGET >> 20} MB")
        return bytes(content)


def _behind(path: str, content: bytes, known: Mapping[bytes, Sequence[bytes]]) -> Iterator[Nested]:
    """Yield ELF files that begin behind the first byte, except `known` ones, by their heads."""
    at = content.find(HEADER, 1)
    count = 0
    while at >= 0 and count < FILES_BEHIND:
        same = known.get(content[at : at + HEAD], ())
        if content[at + 16 : at + 20] in KINDS and not any(content.startswith(each, at) for each in same):
            count += 1
            yield Nested(path=f"{path}!+{at:#x}", data=content[at:])
        at = content.find(HEADER, at + 1)
