"""How shared libraries find each other: which symbols an ELF file wants and offers, and changes to it by patchelf."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import Symbol, SymbolTableSection

from factory.util.log import LogSink
from factory.util.process import run, with_own_programs

# The entries of GNU symbol versions below this number say that a symbol has none.
FIRST_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A symbol that a file expects of others; `data` is no function.

    `version` is the one that must be had, of the library with the SONAME `library`; both are empty where any will do.
    """

    name: str
    version: str
    library: str
    data: bool


def offered(path: Path) -> frozenset[str]:
    """The names of the symbols that a library defines for others."""
    with path.open("rb") as file:
        table = _dynamic_symbols(ELFFile(file))
        symbols = table.iter_symbols() if table is not None else ()
        return frozenset(symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF")


def wanted(path: Path) -> frozenset[Wanted]:
    """The symbols that a file can't do without and doesn't define itself."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        table, versions = _dynamic_symbols(elf), _versions(elf)
        if table is None:
            return frozenset()
        return frozenset(
            _wanted(symbol, *versions.get(number, ("", "")))
            for number, symbol in enumerate(table.iter_symbols())
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
        )


def _wanted(symbol: Symbol, library: str, version: str) -> Wanted:
    data = symbol["st_info"]["type"] == "STT_OBJECT"
    return Wanted(name=symbol.name, version=version, library=library, data=data)


def _dynamic_symbols(elf: ELFFile) -> SymbolTableSection | None:
    section = elf.get_section_by_name(".dynsym")
    return section if isinstance(section, SymbolTableSection) else None


def _versions(elf: ELFFile) -> dict[int, tuple[str, str]]:
    """The number of a symbol -> the library and the version of it that is wanted."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Relinking:
    """What changes in one file: its own name, the names that it needs, and where it looks for them."""

    soname: str | None = None
    replaced: Mapping[str, str] | None = None
    dropped: Sequence[str] = ()
    run_path: str | None = None

    def options(self) -> list[str]:
        """As patchelf takes them; none where nothing changes."""
        words = [] if self.soname is None else ["--set-soname", self.soname]
        for old, new in (self.replaced or {}).items():
            words += ["--replace-needed", old, new]
        for name in self.dropped:
            words += ["--remove-needed", name]
        return words if self.run_path is None else [*words, "--set-rpath", self.run_path]


def relink(path: Path, change: Relinking, log: LogSink) -> None:
    """Apply a change to a file.

    Raises:
        CommandFailed: patchelf can't.
    """
    if options := change.options():
        run(["patchelf", *options, str(path)], log=log, env=with_own_programs(os.environ), what="patchelf")
