"""What the audit needs to know about one ELF file, read with pyelftools.

A file is data from strangers: everything that is iterated is bounded, and whatever pyelftools trips over becomes
MalformedElf.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TypeVar

from elftools.construct import Container
from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import RISCVAttributesSection, StringTableSection, SymbolTableSection

SHF_EXECINSTR = 4
PF_X = 1
DF_TEXTREL = 4
LIMIT = 100_000  # sections, dynamic tags, version entries: far above what any linker writes
SYMBOL_LIMIT = 10_000_000

LAST = 1 << 64  # no symbol is larger

Item = TypeVar("Item")


class MalformedElf(ValueError):
    """The file starts as an ELF file and can't be read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRange:
    """Executable bytes: a section, or a segment of a file without section headers. `address` is that of the first."""

    name: str
    address: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """One file's headers, dynamic section and code.

    `arch` is Tag_RISCV_arch, None where the file has no such attribute. `stack` holds the flags (PF_*) of PT_GNU_STACK,
    None where there is none. `versions` are the symbol versions that are needed of other libraries ("GLIBC_2.38").
    """

    kind: str
    machine: str
    bits: int
    flags: int
    arch: str | None
    soname: str | None
    needed: tuple[str, ...]
    run_path: tuple[str, ...]
    text_relocations: bool
    stack: int | None
    versions: tuple[str, ...]
    code: tuple[CodeRange, ...]


def read_elf(data: bytes) -> ElfFacts:
    """Read an ELF file.

    Raises:
        MalformedElf: if it is cut off or contradicts itself.
    """
    try:
        return _facts(ELFFile(BytesIO(data)), data)
    except MalformedElf:
        raise
    except Exception as error:  # pyelftools meets nonsense with many types of exception, down to KeyError
        raise MalformedElf(f"{type(error).__name__}: {error}") from error


def _facts(elf: ELFFile, data: bytes) -> ElfFacts:
    tags = _dynamic_tags(elf)
    return ElfFacts(
        kind=str(elf.header["e_type"]),
        machine=str(elf.header["e_machine"]),
        bits=elf.elfclass,
        flags=elf.header["e_flags"],
        arch=_arch(elf),
        soname=next(iter(_strings(tags, "DT_SONAME", "soname")), None),
        needed=_strings(tags, "DT_NEEDED", "needed"),
        run_path=tuple(
            entry
            for paths in (*_strings(tags, "DT_RPATH", "rpath"), *_strings(tags, "DT_RUNPATH", "runpath"))
            if paths  # the loader ignores an empty one; an empty entry is the current folder
            for entry in paths.split(":")
        ),
        text_relocations=any(_allows_text_relocations(tag) for tag in tags),
        stack=next((s["p_flags"] for s in _bounded(elf.iter_segments()) if s["p_type"] == "PT_GNU_STACK"), None),
        versions=_needed_versions(elf, tags),
        code=tuple(_code(elf, data)),
    )


def _dynamic_tags(elf: ELFFile) -> list[DynamicTag]:
    return [
        tag
        for segment in _bounded(elf.iter_segments())
        if isinstance(segment, DynamicSegment)
        for tag in _bounded(segment.iter_tags())
    ]


def _strings(tags: list[DynamicTag], kind: str, attribute: str) -> tuple[str, ...]:
    return tuple(str(getattr(tag, attribute)) for tag in tags if tag.entry.d_tag == kind)


def _allows_text_relocations(tag: DynamicTag) -> bool:
    if tag.entry.d_tag == "DT_FLAGS":
        return bool(tag.entry.d_val & DF_TEXTREL)
    return bool(tag.entry.d_tag == "DT_TEXTREL")


def _arch(elf: ELFFile) -> str | None:
    """Tag_RISCV_arch of the first attribute subsection, the one of the whole file."""
    for table in _attribute_tables(elf):
        for part in islice(table.iter_subsections(), 1):
            for scope in islice(part.iter_subsubsections(), 1):
                for attribute in _bounded(scope.iter_attributes()):
                    if attribute.tag == "TAG_ARCH":
                        return str(attribute.value)
    return None


def _attribute_tables(elf: ELFFile) -> Iterator[RISCVAttributesSection]:
    """.riscv.attributes, as section headers show it and then as program headers do: either may be missing."""
    yield from (section for section in _bounded(elf.iter_sections()) if isinstance(section, RISCVAttributesSection))
    for segment in _bounded(elf.iter_segments()):
        if segment["p_type"] == "PT_RISCV_ATTRIBUTES" and segment["p_filesz"]:
            yield RISCVAttributesSection(_header(segment["p_offset"], segment["p_filesz"]), "", elf)


def _needed_versions(elf: ELFFile, tags: list[DynamicTag]) -> tuple[str, ...]:
    """The versions that the loader looks for: it goes by the dynamic tags, whatever section headers say."""
    values = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
    if "DT_VERNEED" not in values:
        return ()
    strings = StringTableSection(_header(_offset(elf, values["DT_STRTAB"]), values["DT_STRSZ"]), "", elf)
    header = _header(_offset(elf, values["DT_VERNEED"]), entries=values["DT_VERNEEDNUM"])
    return tuple(
        str(version.name)
        for _library, versions in _bounded(GNUVerNeedSection(header, "", elf, strings).iter_versions())
        for version in _bounded(versions)
    )


def _header(offset: int, size: int = 0, entries: int = 0) -> Container:
    """What pyelftools reads of a section's header, for a table that something else tells of."""
    return Container(sh_offset=offset, sh_size=size, sh_info=entries, sh_flags=0, sh_addralign=1)


def _offset(elf: ELFFile, address: int) -> int:
    """Where in the file that is which is loaded to an address."""
    offset = next(elf.address_offsets(address), None)
    if offset is None:
        raise MalformedElf(f"no segment holds the address {address:#x}")
    return int(offset)


def _code(elf: ELFFile, data: bytes) -> Iterator[CodeRange]:
    """Executable sections; where section headers show none, the executable segments, which hold some data too."""
    found = False
    for section in _bounded(elf.iter_sections()):
        if section["sh_flags"] & SHF_EXECINSTR and section["sh_type"] != "SHT_NOBITS":
            found = True
            content = _slice(data, section["sh_offset"], section["sh_size"])
            yield CodeRange(name=section.name, address=section["sh_addr"], data=content)
    if found:
        return
    for number, segment in enumerate(_bounded(elf.iter_segments())):
        if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & PF_X:
            content = _slice(data, segment["p_offset"], segment["p_filesz"])
            yield CodeRange(name=f"segment {number}", address=segment["p_vaddr"], data=content)


def _slice(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise MalformedElf(f"{size} bytes of code at offset {offset} lie beyond the end of the file")
    return data[offset : offset + size]


def _bounded(items: Iterable[Item], limit: int = LIMIT) -> Iterator[Item]:
    for count, item in enumerate(items):
        if count == limit:
            raise MalformedElf(f"a table has more than {limit} entries")
        yield item


class SymbolMap:
    """The functions of a library by address, from .symtab and .dynsym."""

    def __init__(self, data: bytes) -> None:
        try:
            self._symbols = sorted(_symbols(ELFFile(BytesIO(data))))
        except Exception:  # names are a service to the reader: without them the addresses do
            self._symbols = []

    def describe(self, address: int) -> str | None:
        """The symbol that an address lies in, as "name+0x12", or else the last one below it, as "after name"."""
        index = bisect_right(self._symbols, (address, LAST)) - 1
        if index < 0:
            return None
        start, size, name = self._symbols[index]
        return f"{name}+{address - start:#x}" if address < start + size else f"after {name}"


def _symbols(elf: ELFFile) -> Iterator[tuple[int, int, str]]:
    """Defined functions and labels; mapping symbols ($x, $d) and local labels say nothing to a reader."""
    for section in _bounded(elf.iter_sections()):
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in _bounded(section.iter_symbols(), SYMBOL_LIMIT):
            if symbol["st_shndx"] == "SHN_UNDEF" or symbol["st_info"]["type"] not in ("STT_FUNC", "STT_NOTYPE"):
                continue
            if symbol.name and not symbol.name.startswith(("$", ".L")):
                yield symbol["st_value"], symbol["st_size"], symbol.name
