"""Which libraries a wheel's files need, theirs included, and what they lack when some of these are left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from factory.elf import bundled
from factory.elf.links import Linked, is_elf, read_links
from factory.elf.patchelf import Relinking, Wanted, offered, wanted
from factory.util.atomic_files import sha256_of

# The name that a file needs a library by -> the one that it shall need it by.
Rename = Callable[[str], str]
# Of interpreters, which no library names as one that it needs.
_INTERPRETERS = ("Py", "_Py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A wheel's own ELF files, and the libraries besides that these need, by the names that they shall be needed by.

    `left_out` are libraries, by SONAME, that the wheel does without.
    """

    own: tuple[Linked, ...]
    besides: Mapping[str, Linked]
    rename: Rename
    left_out: Collection[str]

    @property
    def everything(self) -> tuple[Linked, ...]:
        return (*self.own, *self.besides.values())


def own_files(tree: Path) -> tuple[Linked, ...]:
    """The ELF files of an unpacked wheel.

    Raises:
        BrokenElf: one isn't a whole ELF file.
    """
    return tuple(read_links(path) for path in sorted(tree.rglob("*")) if is_elf(path))


def find_closure(
    own: tuple[Linked, ...], folders: Sequence[Path], rename: Rename, left_out: Collection[str] = ()
) -> Closure:
    """The libraries in `folders` that the wheel's files need, and those that these need in turn.

    One that is left out isn't followed, and what none of the folders has is passed over.

    Raises:
        BrokenElf: one isn't a whole ELF file.
    """
    inside = {each.path.name for each in own}
    besides: dict[str, Linked] = {}
    waiting = list(own)
    while waiting:
        for name in map(rename, waiting.pop().needed):
            path = _in_folders(name, folders)
            if path is not None and name not in inside and name not in besides and name not in left_out:
                besides[name] = read_links(path.resolve())
                waiting.append(besides[name])
    return Closure(own=own, besides=besides, rename=rename, left_out=left_out)


def unneeded(closure: Closure) -> list[str]:
    """What is to be left out and nothing names as needed."""
    needed = {closure.rename(name) for each in closure.everything for name in each.needed}
    return [name for name in closure.left_out if name not in needed]


def before_bundling(folders: Sequence[Path]) -> Rename:
    """Give a library that another wheel has bundled the SONAME that it had before, where `folders` have the same file.

    So a wheel that is linked with such a wheel's library takes along one copy of what both need, not two: the first of
    that SONAME in `folders`, since a distribution's libraries of one SONAME stand for one another.
    """

    @cache
    def rename(name: str) -> str:
        match = bundled.FILE.fullmatch(name)
        if match is None:
            return name
        candidates = [folder / f"{match[1]}{match[3]}" for folder in folders]
        same = next((path for path in candidates if path.is_file() and sha256_of(path).startswith(match[2])), None)
        return name if same is None else read_links(same.resolve()).soname or name

    return rename


def missing_symbols(closure: Closure) -> dict[Path, frozenset[Wanted]]:
    """For each file that needs a library which is left out, the symbols that nothing else has."""
    needing = [each for each in closure.everything if _absent(each, closure)]
    if not needing:
        return {}
    known = frozenset[str]().union(*(offered(each.path) for each in closure.everything))
    return {each.path: frozenset(_unknown(wanted(each.path), known, closure.left_out)) for each in needing}


def relinking(each: Linked, closure: Closure, missing: Collection[Wanted] = (), stand_in: str = "") -> Relinking:
    """What changes in a file: the names that it needs, each of them once, without those of libraries left out.

    The file needs the stand-in if symbols of these are `missing` then.
    """
    absent = _absent(each, closure)
    # The loader looks for a wanted version in the library that it is wanted of: that one becomes the stand-in.
    versioned = {symbol.library for symbol in missing if symbol.version}
    replaced = dict.fromkeys([name for name in absent if name in versioned] or absent[: bool(missing)], stand_in)
    dropped = [name for name in absent if name not in replaced]
    for name in each.needed:
        new = closure.rename(name)
        if name in absent or new == name:
            continue
        if new in each.needed or new in replaced.values():
            dropped.append(name)
        else:
            replaced[name] = new
    return Relinking(replaced=replaced, dropped=dropped)


def _absent(each: Linked, closure: Closure) -> list[str]:
    """What is left out of that which a file needs, as it names it."""
    return [name for name in each.needed if closure.rename(name) in closure.left_out]


def _unknown(symbols: Collection[Wanted], known: Collection[str], left_out: Collection[str]) -> Iterator[Wanted]:
    """Of what a file wants, that which libraries left out have: a version says whose a symbol is."""
    for symbol in symbols:
        elsewhere = symbol.name in known or symbol.name.startswith(_INTERPRETERS)
        if symbol.library in left_out if symbol.version else not elsewhere:
            yield symbol


def _in_folders(name: str, folders: Sequence[Path]) -> Path | None:
    """The library of that name in the first of the folders that has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
