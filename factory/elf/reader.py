"""ELF files, read with pyelftools: headers, dynamic section, code.

The files are untrusted: every iteration is bounded, and every exception of pyelftools becomes MalformedElf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import cast

from elftools.construct import Container
from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.relocation import RelocationTable
from elftools.elf.sections import RISCVAttributesSection, StringTableSection

from factory.elf.bounds import MalformedElf, bounded
from factory.elf.code import CodeRange, code_ranges
from factory.elf.functions import Extents, read_functions

MAGIC = b"\x7fELF"
DF_TEXTREL = 4
PF_W = 2
R_NONE = 0  # R_RISCV_NONE: linkers leave such entries in place of relocations that they dropped
RELOCATIONS = SYMBOLS = 10_000_000
VERSIONS = 10_000
ATOMIC = "__atomic_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """A file's headers, dynamic section and code.

    `arch` is Tag_RISCV_arch, None if the file has no such attribute; `arch_error` is set if it has no readable one.
    `stack` holds the flags (PF_*) of PT_GNU_STACK, None if there is none. `version_needs` are the libraries that symbol
    versions are needed of, and the versions ("GLIBC_2.38"). `text_relocations` is the linker's mark, `relocated` the
    address of the first relocation in memory that is not writable. `undefined` and `defined` are symbols of libatomic.
    """

    kind: str
    machine: str
    bits: int
    flags: int
    arch: str | None
    arch_error: str
    soname: str | None
    needed: tuple[str, ...]
    run_path: tuple[str, ...]
    text_relocations: bool
    relocated: int | None
    stack: int | None
    version_needs: tuple[tuple[str, str], ...]
    undefined: frozenset[str]
    defined: frozenset[str]
    code: tuple[CodeRange, ...]
    functions: Extents
    objects: Extents

    @property
    def versions(self) -> tuple[str, ...]:
        """Symbol versions needed of other libraries."""
        return tuple(version for _, version in self.version_needs)


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
    arch, arch_error = _arch(elf)
    text_relocations = any(_allows_text_relocations(tag) for tag in tags)
    atomics = dict(_atomics(elf)) if ATOMIC.encode() in data else {}
    functions, objects = read_functions(elf, data)
    return ElfFacts(
        kind=str(elf.header["e_type"]),
        machine=str(elf.header["e_machine"]),
        bits=elf.elfclass,
        flags=elf.header["e_flags"],
        arch=arch,
        arch_error=arch_error,
        soname=next(iter(_strings(tags, "DT_SONAME", "soname")), None),
        needed=_strings(tags, "DT_NEEDED", "needed"),
        run_path=tuple(
            entry
            for paths in (*_strings(tags, "DT_RPATH", "rpath"), *_strings(tags, "DT_RUNPATH", "runpath"))
            if paths  # the loader ignores an empty one; an empty entry is the current folder
            for entry in paths.split(":")
        ),
        text_relocations=text_relocations,
        relocated=_first_text_relocation(elf) if text_relocations else None,
        stack=next((s["p_flags"] for s in bounded(elf.iter_segments()) if s["p_type"] == "PT_GNU_STACK"), None),
        version_needs=_needed_versions(elf, tags),
        undefined=frozenset(name for name, undefined in atomics.items() if undefined),
        defined=frozenset(name for name, undefined in atomics.items() if not undefined),
        code=tuple(code_ranges(elf, data)),
        functions=functions,
        objects=objects,
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


def _first_text_relocation(elf: ELFFile) -> int | None:
    """Return the address of the first relocation that changes memory which is not writable."""
    fixed = [
        (segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"])
        for segment in bounded(elf.iter_segments())
        if segment["p_type"] == "PT_LOAD" and not segment["p_flags"] & PF_W
    ]
    for segment in bounded(elf.iter_segments()):
        if not isinstance(segment, DynamicSegment):
            continue
        for table in cast(Mapping[str, RelocationTable], segment.get_relocation_tables()).values():
            for relocation in bounded(table.iter_relocations(), RELOCATIONS):
                address = relocation["r_offset"]
                nothing = "r_info_type" in relocation.entry and relocation["r_info_type"] == R_NONE
                if not nothing and any(begin <= address < end for begin, end in fixed):
                    return int(address)
    return None


def _atomics(elf: ELFFile) -> Iterator[tuple[str, bool]]:
    """Yield dynamic symbols of libatomic, and whether another file must define each."""
    for segment in bounded(elf.iter_segments()):
        if isinstance(segment, DynamicSegment):
            for symbol in bounded(segment.iter_symbols(), SYMBOLS):
                undefined = symbol["st_shndx"] == "SHN_UNDEF"
                if symbol.name.startswith(ATOMIC) and not (undefined and symbol["st_info"]["bind"] == "STB_WEAK"):
                    yield symbol.name, undefined


def _arch(elf: ELFFile) -> tuple[str | None, str]:
    """Return Tag_RISCV_arch of the whole file, and the reason if it cannot be read.

    The dynamic loader reads no attributes, and strip and patchelf may leave a header that points at other bytes.
    """
    try:
        return _arch_of_tables(elf), ""
    except Exception as error:  # see `_errors_named`
        return None, f"{type(error).__name__}: {error}"


def _arch_of_tables(elf: ELFFile) -> str | None:
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


def _needed_versions(elf: ELFFile, tags: list[DynamicTag]) -> tuple[tuple[str, str], ...]:
    """Return the libraries and versions that the loader looks for."""
    values = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
    if "DT_VERNEED" not in values:
        return ()
    strings = StringTableSection(_header(_offset(elf, values["DT_STRTAB"]), values["DT_STRSZ"]), "", elf)
    header = _header(_offset(elf, values["DT_VERNEED"]), entries=values["DT_VERNEEDNUM"])
    needs = (
        (str(library.name), str(version.name))
        for library, versions in bounded(GNUVerNeedSection(header, "", elf, strings).iter_versions(), VERSIONS)
        for version in versions
    )
    return tuple(bounded(needs, VERSIONS))


def _header(offset: int, size: int = 0, entries: int = 0) -> Container:
    """Make the section header that pyelftools expects, for a table without one."""
    return Container(sh_offset=offset, sh_size=size, sh_info=entries, sh_flags=0, sh_addralign=1)


def _offset(elf: ELFFile, address: int) -> int:
    """Return the offset in the file of the byte that is loaded at an address."""
    offset = next(elf.address_offsets(address), None)
    if offset is None:
        raise MalformedElf(f"no segment contains the address {address:#x}")
    return int(offset)
