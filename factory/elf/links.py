"""Which files are ELF files and how they name each other: those of our own builds, read where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"


class BrokenElf(ValueError):
    """The file starts as an ELF file and is no whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An ELF file's dynamic section: its own name, empty if it has none, and the names of the libraries it needs."""

    path: Path
    soname: str
    needed: tuple[str, ...]


def is_elf(path: Path) -> bool:
    """Whether a regular file, and not a link to one, starts as an ELF file does."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_links(path: Path) -> Linked:
    """Read an ELF file's dynamic section; a file without one needs nothing.

    Raises:
        BrokenElf: it isn't a whole ELF file.
    """
    try:
        with path.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".dynamic")
            tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
            # pyelftools gives a tag the attribute that the tag is about.
            needed = tuple(str(vars(tag)["needed"]) for tag in tags if tag.entry.d_tag == "DT_NEEDED")
            soname = next((str(vars(tag)["soname"]) for tag in tags if tag.entry.d_tag == "DT_SONAME"), "")
    except ELFError as error:
        raise BrokenElf(f"{path.name} is not a whole ELF file: {error}") from error
    return Linked(path=path, soname=soname, needed=needed)
