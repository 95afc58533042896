"""Symbols of ELF files: defined ones, needed ones, functions by address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import Symbol, SymbolTableSection

from factory.elf.bounds import bounded
from factory.elf.reader import opened

SYMBOL_LIMIT = 10_000_000
LAST = 1 << 64  # no symbol is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededSymbol:
    """An undefined symbol of a file; `data` is False for functions.

    `version` is the version that the file needs of the library with the SONAME `library`; both are empty for a symbol
    without a version.
    """

    name: str
    version: str
    library: str
    data: bool


def defined_symbols(path: Path) -> frozenset[str]:
    """Return the names of the symbols that a library exports.

    Raises:
        MalformedElf: the file is not a complete ELF file.
    """
    with opened(path) as elf:
        table = _dynamic_symbols(elf)
        symbols = table.iter_symbols() if table is not None else ()
        return frozenset(symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF")


def needed_symbols(path: Path) -> frozenset[NeededSymbol]:
    """Return a file's undefined symbols, weak ones excepted.

    Raises:
        MalformedElf: the file is not a complete ELF file.
    """
    with opened(path) as elf:
        table, versions = _dynamic_symbols(elf), _versions(elf)
        if table is None:
            return frozenset()
        return frozenset(
            _needed(symbol, *versions.get(number, ("", "")))
            for number, symbol in enumerate(table.iter_symbols())
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
        )


def _needed(symbol: Symbol, library: str, version: str) -> NeededSymbol:
    data = symbol["st_info"]["type"] == "STT_OBJECT"
    return NeededSymbol(name=symbol.name, version=version, library=library, data=data)


def _dynamic_symbols(elf: ELFFile) -> SymbolTableSection | None:
    section = elf.get_section_by_name(".dynsym")
    return section if isinstance(section, SymbolTableSection) else None


def _versions(elf: ELFFile) -> dict[int, tuple[str, str]]:
    """Map a symbol's number to the library and the version that it is needed of."""
    needs, numbers = elf.get_section_by_name(".gnu.version_r"), elf.get_section_by_name(".gnu.version")
    if not isinstance(needs, GNUVerNeedSection) or not isinstance(numbers, GNUVerSymSection):
        return {}
    names = {
        version["vna_other"]: (str(library.name), str(version.name))
        for library, versions in needs.iter_versions()
        for version in versions
    }
    indexes = ((number, symbol["ndx"]) for number, symbol in enumerate(numbers.iter_symbols()))
    return {number: names[index] for number, index in indexes if isinstance(index, int) and index in names}


class SymbolMap:
    """The functions of a library by address, from .symtab and .dynsym."""

    def __init__(self, data: bytes) -> None:
        try:
            self._symbols = sorted(_functions(ELFFile(BytesIO(data))))
        except Exception:  # symbols only explain addresses: a damaged table leaves those without names
            self._symbols = []

    def describe(self, address: int) -> str | None:
        """Return the symbol at the address, as "name+0x12".

        If none contains it, return the last one below, as "after name".
        """
        index = bisect_right(self._symbols, (address, LAST)) - 1
        if index < 0:
            return None
        start, size, name = self._symbols[index]
        return f"{name}+{address - start:#x}" if address < start + size else f"after {name}"


def _functions(elf: ELFFile) -> Iterator[tuple[int, int, str]]:
    """Yield defined functions and labels, without mapping symbols ($x, $d) and local labels."""
    for section in bounded(elf.iter_sections()):
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in bounded(section.iter_symbols(), SYMBOL_LIMIT):
            if symbol["st_shndx"] == "SHN_UNDEF" or symbol["st_info"]["type"] not in ("STT_FUNC", "STT_NOTYPE"):
                continue
            if symbol.name and not symbol.name.startswith(("$", ".L")):
                yield symbol["st_value"], symbol["st_size"], symbol.name
