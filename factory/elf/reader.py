"""ELF files, read with pyelftools: headers, dynamic section, code.

The files are untrusted: every iteration is bounded, and every exception of pyelftools becomes MalformedElf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

from elftools.construct import Container
from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import RISCVAttributesSection, StringTableSection

MAGIC = b"\x7fELF"
SHF_EXECINSTR = 4
PF_X = 1
DF_TEXTREL = 4
LIMIT = 100_000  # sections, dynamic tags, version entries: far above what any linker writes

Item = TypeVar("Item")


class MalformedElf(ValueError):
    """A file that starts as an ELF file and cannot be read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRange:
    """An executable section, or segment of a file without section headers.

    `address` is that of its first byte.
    """

    name: str
    address: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """A file's headers, dynamic section and code.

    `arch` is Tag_RISCV_arch, None if the file has no such attribute. `stack` holds the flags (PF_*) of PT_GNU_STACK,
    None if there is none. `versions` are the symbol versions needed from other libraries ("GLIBC_2.38").
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedFile:
    """An ELF file's SONAME (empty if it has none) and the names of the libraries it needs."""

    path: Path
    soname: str
    needed: tuple[str, ...]


def is_elf(path: Path) -> bool:
    """Report whether a path is a regular file, not a link, with ELF's magic number."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_elf(data: bytes) -> ElfFacts:
    """Read an ELF file completely.

    Raises:
        MalformedElf: the file is truncated or inconsistent.
    """
    with _errors_named():
        return _facts(ELFFile(BytesIO(data)), data)


def read_links(path: Path) -> LinkedFile:
    """Read a file's dynamic section alone; a file without one needs nothing.

    Raises:
        MalformedElf: the file is truncated or inconsistent.
    """
    with opened(path) as elf:
        tags = _dynamic_tags(elf)
        soname = next(iter(_strings(tags, "DT_SONAME", "soname")), "")
        return LinkedFile(path=path, soname=soname, needed=_strings(tags, "DT_NEEDED", "needed"))


@contextmanager
def opened(path: Path) -> Iterator[ELFFile]:
    """Open a file with pyelftools.

    Raises:
        MalformedElf: the file cannot be read as ELF, also later in the body.
    """
    with path.open("rb") as file, _errors_named(f"{path.name}: cannot be read as an ELF file: "):
        yield ELFFile(file)


@contextmanager
def _errors_named(subject: str = "") -> Iterator[None]:
    """Turn every exception into MalformedElf.

    pyelftools raises many types for damaged files, down to KeyError.
    """
    try:
        yield
    except MalformedElf as error:
        raise MalformedElf(f"{subject}{error}") from error
    except Exception as error:
        raise MalformedElf(f"{subject}{type(error).__name__}: {error}") from error


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
        stack=next((s["p_flags"] for s in bounded(elf.iter_segments()) if s["p_type"] == "PT_GNU_STACK"), None),
        versions=_needed_versions(elf, tags),
        code=tuple(_code(elf, data)),
    )


def _dynamic_tags(elf: ELFFile) -> list[DynamicTag]:
    return [
        tag
        for segment in bounded(elf.iter_segments())
        if isinstance(segment, DynamicSegment)
        for tag in bounded(segment.iter_tags())
    ]


def _strings(tags: list[DynamicTag], kind: str, attribute: str) -> tuple[str, ...]:
    return tuple(str(getattr(tag, attribute)) for tag in tags if tag.entry.d_tag == kind)


def _allows_text_relocations(tag: DynamicTag) -> bool:
    if tag.entry.d_tag == "DT_FLAGS":
        return bool(tag.entry.d_val & DF_TEXTREL)
    return bool(tag.entry.d_tag == "DT_TEXTREL")


def _arch(elf: ELFFile) -> str | None:
    """Return Tag_RISCV_arch of the first attribute subsection, that of the whole file."""
    for table in _attribute_tables(elf):
        for part in islice(table.iter_subsections(), 1):
            for scope in islice(part.iter_subsubsections(), 1):
                for attribute in bounded(scope.iter_attributes()):
                    if attribute.tag == "TAG_ARCH":
                        return str(attribute.value)
    return None


def _attribute_tables(elf: ELFFile) -> Iterator[RISCVAttributesSection]:
    """Yield .riscv.attributes by section headers, then by program headers.

    Either may be missing.
    """
    yield from (section for section in bounded(elf.iter_sections()) if isinstance(section, RISCVAttributesSection))
    for segment in bounded(elf.iter_segments()):
        if segment["p_type"] == "PT_RISCV_ATTRIBUTES" and segment["p_filesz"]:
            yield RISCVAttributesSection(_header(segment["p_offset"], segment["p_filesz"]), "", elf)


def _needed_versions(elf: ELFFile, tags: list[DynamicTag]) -> tuple[str, ...]:
    """Return the versions that the loader looks for, by the dynamic tags as it does."""
    values = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
    if "DT_VERNEED" not in values:
        return ()
    strings = StringTableSection(_header(_offset(elf, values["DT_STRTAB"]), values["DT_STRSZ"]), "", elf)
    header = _header(_offset(elf, values["DT_VERNEED"]), entries=values["DT_VERNEEDNUM"])
    return tuple(
        str(version.name)
        for _library, versions in bounded(GNUVerNeedSection(header, "", elf, strings).iter_versions())
        for version in bounded(versions)
    )


def _header(offset: int, size: int = 0, entries: int = 0) -> Container:
    """Make the section header that pyelftools expects, for a table without one."""
    return Container(sh_offset=offset, sh_size=size, sh_info=entries, sh_flags=0, sh_addralign=1)


def _offset(elf: ELFFile, address: int) -> int:
    """Return the offset in the file of the byte that is loaded at an address."""
    offset = next(elf.address_offsets(address), None)
    if offset is None:
        raise MalformedElf(f"no segment contains the address {address:#x}")
    return int(offset)


def _code(elf: ELFFile, data: bytes) -> Iterator[CodeRange]:
    """Yield executable sections or, without section headers, executable segments.

    Segments hold some data too.
    """
    found = False
    for section in bounded(elf.iter_sections()):
        if section["sh_flags"] & SHF_EXECINSTR and section["sh_type"] != "SHT_NOBITS":
            found = True
            content = _slice(data, section["sh_offset"], section["sh_size"])
            yield CodeRange(name=section.name, address=section["sh_addr"], data=content)
    if found:
        return
    for number, segment in enumerate(bounded(elf.iter_segments())):
        if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & PF_X:
            content = _slice(data, segment["p_offset"], segment["p_filesz"])
            yield CodeRange(name=f"segment {number}", address=segment["p_vaddr"], data=content)


def _slice(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise MalformedElf(f"{size} bytes of code at offset {offset} are beyond the end of the file")
    return data[offset : offset + size]


def bounded(items: Iterable[Item], limit: int = LIMIT) -> Iterator[Item]:
    """Yield items up to a limit.

    Raises:
        MalformedElf: there are more.
    """
    for count, item in enumerate(items):
        if count == limit:
            raise MalformedElf(f"a table has more than {limit} entries")
        yield item
