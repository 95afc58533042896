"""Small riscv64 shared objects and wheels, written without a compiler.

The layout follows the System V ABI and the RISC-V ELF psABI; `readelf -a` reads the images without a complaint.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

RV64GC = "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zmmul1p0_zaamo1p0_zalrsc1p0"
RV64GCV = "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_v1p0_zicsr2p0_zifencei2p0_zve32f1p0_zvl128b1p0"
RET = 0x8082
VSETVLI = 0x0D0077D7  # vsetvli a5,zero,e32,m1,ta,ma

SHT_PROGBITS, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC, SHT_DYNSYM = 1, 3, 4, 5, 6, 11
SHT_RISCV_ATTRIBUTES, SHT_GNU_VERNEED = 0x70000003, 0x6FFFFFFE
PT_LOAD, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_STACK, PT_RISCV_ATTRIBUTES = 1, 2, 0x6474E550, 0x6474E551, 0x70000003
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_TEXTREL, DT_RUNPATH = 1, 5, 10, 14, 15, 22, 29
DT_HASH, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_RELAENT, DT_SYMENT = 4, 6, 7, 8, 9, 11
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
ALLOC, EXEC = 2, 4
READ_EXEC, READ_WRITE, READ_WRITE_EXEC = 5, 6, 7


def code(*instructions: int) -> bytes:
    """Instructions as bytes: a number whose two lowest bits are 11 is a 32-bit one, any other a 16-bit one."""
    return b"".join(struct.pack("<I" if number & 3 == 3 else "<H", number) for number in instructions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section as it will be written; `entry_size`, `link` and `info` as in its header.

    `header_size` is the size in its header, if not that of the data.
    """

    name: str
    kind: int
    data: bytes
    flags: int = 0
    link: int = 0
    info: int = 0
    entry_size: int = 0
    header_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A shared object. `symbols` are functions (offset into the text, size); `stack` None leaves the header out.

    `objects` are data symbols in the text, `undefined` functions of other libraries (`weak` if they may be missing),
    `unwound` functions in .eh_frame_hdr alone, and `relocated` offsets into the text with relocations of these types.
    `constants` follow the text in its segment, in a section that isn't code. `text_size` is the size in the header of
    .text. `attributes_at` is the file offset in PT_RISCV_ATTRIBUTES, where it points at other bytes.
    """

    text: bytes = field(default_factory=lambda: code(RET))
    arch: str | None = RV64GC
    machine: int = 243
    flags: int = 0x5  # EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    versions: tuple[str, ...] = ()
    version_library: str = "libc.so.6"
    symbols: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    objects: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    weak: bool = False
    unwound: tuple[tuple[int, int], ...] = ()
    relocated: Mapping[int, int] = field(default_factory=dict)
    constants: bytes = b""
    text_size: int | None = None
    attributes_at: int | None = None
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
        text = Section(name=".text", kind=SHT_PROGBITS, data=self.text, flags=ALLOC | EXEC, header_size=self.text_size)
        symbols = b"".join(self._symbols(names))
        others = [Section(name=".constants", kind=SHT_PROGBITS, data=self.constants, flags=ALLOC)] * bool(
            self.constants
        )
        others += [
            Section(
                name=".dynsym", kind=SHT_DYNSYM, data=bytes(24) + symbols, flags=ALLOC, link=1, info=1, entry_size=24
            ),
            Section(name=".rodata", kind=SHT_PROGBITS, data=self.strings, flags=ALLOC),
        ]
        null, no_strings = Section(name="", kind=0, data=b""), Section(name=".dynstr", kind=SHT_STRTAB, data=b"")
        others += self._tables(symbols, 4 if self.constants else 3)
        if self.unwound:
            unwind = Section(name=".eh_frame_hdr", kind=SHT_PROGBITS, data=b"", flags=ALLOC)
            _, at = _laid_out([null, no_strings, text, *others, unwind])[-2]
            others.append(replace(unwind, data=_unwind_table(self.unwound, at)))
        if self.versions:
            data = _version_needs(names, self.versions, self.version_library)
            others.append(Section(name=".gnu.version_r", kind=SHT_GNU_VERNEED, data=data, flags=ALLOC, link=1, info=1))
        if self.arch is not None:
            others.append(Section(name=".riscv.attributes", kind=SHT_RISCV_ATTRIBUTES, data=_attributes(self.arch)))
        places = {section.name: offset for section, offset in _laid_out([null, no_strings, text, *others])}
        dynamic = self._dynamic(names, places)
        others.append(Section(name=".dynamic", kind=SHT_DYNAMIC, data=dynamic, flags=ALLOC, link=1, entry_size=16))
        strings = Section(name=".dynstr", kind=SHT_STRTAB, data=bytes(names.data), flags=ALLOC)
        return [null, strings, text, *others]

    def _symbols(self, names: _Strings) -> Iterator[bytes]:
        for kind, symbols in ((0x12, self.symbols), (0x11, self.objects)):
            for name, (offset, size) in symbols.items():
                yield struct.pack("<IBBHQQ", names.add(name), kind, 0, 2, TEXT_AT + offset, size)
        for name in self.undefined:
            yield struct.pack("<IBBHQQ", names.add(name), 0x22 if self.weak else 0x12, 0, 0, 0, 0)

    def _tables(self, symbols: bytes, dynsym: int) -> Iterator[Section]:
        """Yield .hash, .rela.dyn and the unwind tables that the image asks for."""
        if self.undefined:
            number = len(symbols) // 24 + 1
            data = struct.pack("<III", 1, number, 0) + bytes(4 * number)
            yield Section(name=".hash", kind=SHT_HASH, data=data, flags=ALLOC, link=dynsym, entry_size=4)
        if self.relocated:
            data = b"".join(struct.pack("<QQq", TEXT_AT + at, kind, 0) for at, kind in self.relocated.items())
            yield Section(name=".rela.dyn", kind=SHT_RELA, data=data, flags=ALLOC, link=dynsym, entry_size=24)

    def _dynamic(self, names: _Strings, places: Mapping[str, int]) -> bytes:
        entries = [(DT_NEEDED, names.add(name)) for name in self.needed]
        entries += [(DT_VERNEED, places[".gnu.version_r"]), (DT_VERNEEDNUM, 1)] if self.versions else []
        if self.undefined:
            entries += [(DT_HASH, places[".hash"]), (DT_SYMTAB, places[".dynsym"]), (DT_SYMENT, 24)]
        if self.relocated:
            entries += [(DT_RELA, places[".rela.dyn"]), (DT_RELASZ, 24 * len(self.relocated)), (DT_RELAENT, 24)]
        for tag, text in ((DT_SONAME, self.soname), (DT_RPATH, self.rpath), (DT_RUNPATH, self.runpath)):
            entries += [] if text is None else [(tag, names.add(text))]
        entries += [(DT_TEXTREL, 0)] if self.text_relocations else []
        entries += [(DT_STRTAB, STRINGS_AT), (DT_STRSZ, len(names.data)), (0, 0)]
        return b"".join(struct.pack("<QQ", *entry) for entry in entries)

    def _segments(self, sections: list[tuple[Section, int]]) -> list[bytes]:
        text, dynamic = sections[2], sections[-2]
        constants = next((offset + len(each.data) for each, offset in sections if each.name == ".constants"), 0)
        end, code_end = dynamic[1] + len(dynamic[0].data), max(constants, text[1] + len(self.text))
        segments = [
            _segment(PT_LOAD, 4, 0, text[1]),
            _segment(PT_LOAD, READ_EXEC, text[1], code_end - text[1]),
            _segment(PT_LOAD, READ_WRITE, code_end, end - code_end),
            _segment(PT_DYNAMIC, READ_WRITE, dynamic[1], len(dynamic[0].data)),
        ]
        for section, offset in sections:
            if section.kind == SHT_RISCV_ATTRIBUTES:
                segments.append(_segment(PT_RISCV_ATTRIBUTES, 4, offset, len(section.data)))
            if section.name == ".eh_frame_hdr":
                segments.append(_segment(PT_GNU_EH_FRAME, 4, offset, len(section.data)))
        if self.attributes_at is not None:
            segments.append(_segment(PT_RISCV_ATTRIBUTES, 4, self.attributes_at, 36))
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
    pure: bool = False,
    name: str = "vectors_c-1.0",
) -> Path:
    """Write a wheel with these files, a WHEEL file and a RECORD."""
    lines = "".join(f"Tag: {text}\n" for text in ([tag] if tags_inside is None else tags_inside))
    of_wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {str(pure).lower()}\n{lines}"
    metadata = {
        f"{name}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: vectors-c\nVersion: 1.0\n",
        f"{name}.dist-info/WHEEL": of_wheel.encode(),
    }
    members = {**metadata, **files}
    record = "".join(_record_line(path, data) for path, data in members.items()) + f"{name}.dist-info/RECORD,,\n"
    path = folder / f"{name}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**members, f"{name}.dist-info/RECORD": record.encode()}.items():
            archive.writestr(member, data)
    return path


def _record_line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


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
        size = len(section.data) if section.header_size is None else section.header_size
        header = (name_at, section.kind, section.flags, address, offset, size, section.link, section.info)
        yield struct.pack("<IIQQQQIIQQ", *header, 8 if section.kind else 0, section.entry_size)
        name_at += len(section.name.encode()) + 1


def _segment(kind: int, flags: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, 8)


def _attributes(arch: str) -> bytes:
    """.riscv.attributes: format A, vendor "riscv", one whole-file scope with Tag_RISCV_arch (5)."""
    attribute = b"\x05" + arch.encode() + b"\0"
    scope = b"\x01" + struct.pack("<I", 5 + len(attribute)) + attribute
    return b"A" + struct.pack("<I", 4 + len(b"riscv\0") + len(scope)) + b"riscv\0" + scope


def _unwind_table(functions: tuple[tuple[int, int], ...], at: int) -> bytes:
    """.eh_frame_hdr: a sorted table of functions, then the start of each one's entry."""
    entries_at = 12 + 8 * len(functions)
    table, entries = b"", b""
    for number, (offset, size) in enumerate(sorted(functions)):
        start, entry = TEXT_AT + offset, at + entries_at + 16 * number
        table += struct.pack("<ii", start - at, entry - at)
        entries += struct.pack("<IIiI", 12, 0, start - entry - 8, size)
    return struct.pack("<BBBBiI", 1, 0x1B, 3, 0x3B, 0, len(functions)) + table + entries


def _version_needs(names: _Strings, versions: tuple[str, ...], library: str) -> bytes:
    """.gnu.version_r: one library, and the versions needed of it."""
    entry = struct.pack("<HHIII", 1, len(versions), names.add(library), 16, 0)
    for number, version in enumerate(versions):
        last = number == len(versions) - 1
        entry += struct.pack("<IHHII", 0, 0, number + 2, names.add(version), 0 if last else 16)
    return entry
