"""Small riscv64 shared objects and wheels, written without a compiler.

The layout follows the System V ABI and the RISC-V ELF psABI; `readelf -a` reads the images without a complaint.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

RV64GC = "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zmmul1p0_zaamo1p0_zalrsc1p0"
RV64GCV = "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_v1p0_zicsr2p0_zifencei2p0_zve32f1p0_zvl128b1p0"
RET = 0x8082
VSETVLI = 0x0D0077D7  # vsetvli a5,zero,e32,m1,ta,ma

SHT_PROGBITS, SHT_STRTAB, SHT_DYNAMIC, SHT_DYNSYM = 1, 3, 6, 11
SHT_RISCV_ATTRIBUTES, SHT_GNU_VERNEED = 0x70000003, 0x6FFFFFFE
PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_RISCV_ATTRIBUTES = 1, 2, 0x6474E551, 0x70000003
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_TEXTREL, DT_RUNPATH = 1, 5, 10, 14, 15, 22, 29
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
ALLOC, EXEC = 2, 4
READ_EXEC, READ_WRITE, READ_WRITE_EXEC = 5, 6, 7


def code(*instructions: int) -> bytes:
    """Instructions as bytes: a number whose two lowest bits are 11 is a 32-bit one, any other a 16-bit one."""
    return b"".join(struct.pack("<I" if number & 3 == 3 else "<H", number) for number in instructions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section as it will be written; `entry_size`, `link` and `info` as in its header."""

    name: str
    kind: int
    data: bytes
    flags: int = 0
    link: int = 0
    info: int = 0
    entry_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A shared object. `symbols` are functions (offset into the text, size); `stack` None leaves the header out."""

    text: bytes = field(default_factory=lambda: code(RET))
    arch: str | None = RV64GC
    machine: int = 243
    flags: int = 0x5  # EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    versions: tuple[str, ...] = ()
    symbols: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    text_relocations: bool = False
    stack: int | None = READ_WRITE
    strings: bytes = b""
    section_headers: bool = True

    def build(self) -> bytes:
        """Return the file's bytes."""
        names = _Strings()
        sections = _laid_out(self._sections(names))
        segments = self._segments(sections)
        content = bytearray(HEADER + SEGMENT * len(segments))
        for section, offset in sections[1:]:
            content += bytes(offset - len(content)) + section.data
        table = b"".join(_section_headers(sections)) if self.section_headers else b""
        content += bytes(-len(content) % 8)
        content[:HEADER] = self._header(len(segments), len(content) if table else 0, len(sections) if table else 0)
        content[HEADER : HEADER + SEGMENT * len(segments)] = b"".join(segments)
        return bytes(content + table)

    def _sections(self, names: _Strings) -> list[Section]:
        """Return the null section, .dynstr at index 1 and the others; .dynstr is filled last."""
        text = Section(name=".text", kind=SHT_PROGBITS, data=self.text, flags=ALLOC | EXEC)
        symbols = b"".join(
            struct.pack("<IBBHQQ", names.add(name), 0x12, 0, 2, TEXT_AT + offset, size)
            for name, (offset, size) in self.symbols.items()
        )
        others = [
            Section(
                name=".dynsym", kind=SHT_DYNSYM, data=bytes(24) + symbols, flags=ALLOC, link=1, info=1, entry_size=24
            ),
            Section(name=".rodata", kind=SHT_PROGBITS, data=self.strings, flags=ALLOC),
        ]
        null, no_strings = Section(name="", kind=0, data=b""), Section(name=".dynstr", kind=SHT_STRTAB, data=b"")
        _, versions_at = _laid_out([null, no_strings, text, *others])[-1]
        if self.versions:
            data = _version_needs(names, self.versions)
            others.append(Section(name=".gnu.version_r", kind=SHT_GNU_VERNEED, data=data, flags=ALLOC, link=1, info=1))
        if self.arch is not None:
            others.append(Section(name=".riscv.attributes", kind=SHT_RISCV_ATTRIBUTES, data=_attributes(self.arch)))
        dynamic = self._dynamic(names, versions_at)
        others.append(Section(name=".dynamic", kind=SHT_DYNAMIC, data=dynamic, flags=ALLOC, link=1, entry_size=16))
        strings = Section(name=".dynstr", kind=SHT_STRTAB, data=bytes(names.data), flags=ALLOC)
        return [null, strings, text, *others]

    def _dynamic(self, names: _Strings, versions_at: int) -> bytes:
        entries = [(DT_NEEDED, names.add(name)) for name in self.needed]
        entries += [(DT_VERNEED, versions_at), (DT_VERNEEDNUM, 1)] if self.versions else []
        for tag, text in ((DT_SONAME, self.soname), (DT_RPATH, self.rpath), (DT_RUNPATH, self.runpath)):
            entries += [] if text is None else [(tag, names.add(text))]
        entries += [(DT_TEXTREL, 0)] if self.text_relocations else []
        entries += [(DT_STRTAB, STRINGS_AT), (DT_STRSZ, len(names.data)), (0, 0)]
        return b"".join(struct.pack("<QQ", *entry) for entry in entries)

    def _segments(self, sections: list[tuple[Section, int]]) -> list[bytes]:
        text, dynamic = sections[2], sections[-2]
        end = dynamic[1] + len(dynamic[0].data)
        segments = [
            _segment(PT_LOAD, 4, 0, text[1]),
            _segment(PT_LOAD, READ_EXEC, text[1], len(self.text)),
            _segment(PT_LOAD, READ_WRITE, text[1] + len(self.text), end - text[1] - len(self.text)),
            _segment(PT_DYNAMIC, READ_WRITE, dynamic[1], len(dynamic[0].data)),
        ]
        segments += [
            _segment(PT_RISCV_ATTRIBUTES, 4, offset, len(section.data))
            for section, offset in sections
            if section.kind == SHT_RISCV_ATTRIBUTES
        ]
        return segments + ([] if self.stack is None else [_segment(PT_GNU_STACK, self.stack, 0, 0)])

    def _header(self, segments: int, table: int, sections: int) -> bytes:
        names = sections - 1 if sections else 0
        identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
        numbers = (3, self.machine, 1, 0, HEADER, table, self.flags, HEADER, SEGMENT, segments, 64, sections, names)
        return identity + struct.pack("<HHIQQQIHHHHHH", *numbers)


def wheel(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    tag: str = "cp313-cp313-manylinux_2_39_riscv64",
    tags_inside: Iterable[str] | None = None,
    name: str = "vectors_c-1.0",
) -> Path:
    """Write a wheel with these files, a WHEEL file and a RECORD."""
    lines = "".join(f"Tag: {text}\n" for text in ([tag] if tags_inside is None else tags_inside))
    metadata = {
        f"{name}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: vectors-c\nVersion: 1.0\n",
        f"{name}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\n{lines}".encode(),
    }
    members = {**files, **metadata}
    record = "".join(
        f"{path},sha256={hashlib.sha256(data).hexdigest()},{len(data)}\n" for path, data in members.items()
    )
    path = folder / f"{name}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**members, f"{name}.dist-info/RECORD": record.encode()}.items():
            archive.writestr(member, data)
    return path


HEADER, SEGMENT = 64, 56
STRINGS_AT = 0x400  # .dynstr comes first, so that .dynamic can name its address before it is written
TEXT_AT = 0x1000


class _Strings:
    """A string table that grows."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, text: str) -> int:
        self.data += text.encode() + b"\0"
        return len(self.data) - len(text.encode()) - 1


def _laid_out(sections: list[Section]) -> list[tuple[Section, int]]:
    """Each section with its offset, which is its address too; the table of section names is added at the end."""
    names = b"".join(section.name.encode() + b"\0" for section in sections) + b".shstrtab\0"
    offset = STRINGS_AT
    result: list[tuple[Section, int]] = []
    for section in (*sections, Section(name=".shstrtab", kind=SHT_STRTAB, data=names)):
        if section.name == ".text":
            assert offset <= TEXT_AT
            offset = TEXT_AT
        result.append((section, offset if section.kind else 0))
        offset += -(-len(section.data) // 8) * 8
    return result


def _section_headers(sections: list[tuple[Section, int]]) -> Iterable[bytes]:
    name_at = 0
    for section, offset in sections:
        address = offset if section.flags & ALLOC else 0
        header = (name_at, section.kind, section.flags, address, offset, len(section.data), section.link, section.info)
        yield struct.pack("<IIQQQQIIQQ", *header, 8 if section.kind else 0, section.entry_size)
        name_at += len(section.name.encode()) + 1


def _segment(kind: int, flags: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, 8)


def _attributes(arch: str) -> bytes:
    """.riscv.attributes: format A, vendor "riscv", one whole-file scope with Tag_RISCV_arch (5)."""
    attribute = b"\x05" + arch.encode() + b"\0"
    scope = b"\x01" + struct.pack("<I", 5 + len(attribute)) + attribute
    return b"A" + struct.pack("<I", 4 + len(b"riscv\0") + len(scope)) + b"riscv\0" + scope


def _version_needs(names: _Strings, versions: tuple[str, ...]) -> bytes:
    """.gnu.version_r: one library, libc.so.6, and the versions needed of it."""
    entry = struct.pack("<HHIII", 1, len(versions), names.add("libc.so.6"), 16, 0)
    for number, version in enumerate(versions):
        last = number == len(versions) - 1
        entry += struct.pack("<IHHII", 0, 0, number + 2, names.add(version), 0 if last else 16)
    return entry
