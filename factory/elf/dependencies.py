"""Dependencies of a wheel's ELF files: needed libraries, symbols of left-out ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from factory.elf import bundled
from factory.elf.patchelf import LinkChange
from factory.elf.reader import LinkedFile, is_elf, read_links
from factory.elf.symbols import NeededSymbol, defined_symbols, needed_symbols
from factory.util.atomic_files import sha256_of

# Maps the name by which a file needs a library to the name by which it should.
Rename = Callable[[str], str]
# Prefixes of the interpreter's symbols; no library lists the interpreter as needed.
_INTERPRETERS = ("Py", "_Py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A wheel's own ELF files and their external libraries, by names after renaming.

    `left_out` are the SONAMEs of libraries that the wheel does without.
    """

    own: tuple[LinkedFile, ...]
    external: Mapping[str, LinkedFile]
    rename: Rename
    left_out: Collection[str]

    @property
    def files(self) -> tuple[LinkedFile, ...]:
        """All of them."""
        return (*self.own, *self.external.values())


def own_files(tree: Path) -> tuple[LinkedFile, ...]:
    """Read the ELF files of an unpacked wheel.

    Raises:
        MalformedElf: one is truncated or inconsistent.
    """
    return tuple(read_links(path) for path in sorted(tree.rglob("*")) if is_elf(path))


def find_closure(
    own: tuple[LinkedFile, ...], folders: Sequence[Path], rename: Rename, left_out: Collection[str] = ()
) -> Closure:
    """Find the libraries in `folders` that the wheel's files need, directly or indirectly.

    The dependencies of a library in `left_out` are not followed. A library in none of the folders is ignored.

    Raises:
        MalformedElf: one is truncated or inconsistent.
    """
    inside = {each.path.name for each in own}
    external: dict[str, LinkedFile] = {}
    waiting = list(own)
    while waiting:
        for name in map(rename, waiting.pop().needed):
            path = _in_folders(name, folders)
            if path is not None and name not in inside and name not in external and name not in left_out:
                external[name] = read_links(path.resolve())
                waiting.append(external[name])
    return Closure(own=own, external=external, rename=rename, left_out=left_out)


def unneeded(closure: Closure) -> list[str]:
    """Return the libraries to leave out that no file needs."""
    needed = {closure.rename(name) for each in closure.files for name in each.needed}
    return [name for name in closure.left_out if name not in needed]


def original_names(folders: Sequence[Path]) -> Rename:
    """Map the names of libraries that other wheels bundled to their original SONAMEs.

    Only libraries of which `folders` have the same file are mapped. A wheel linked with such a wheel's library then
    bundles one copy of what both need, not two: the first of that SONAME in `folders`, since a distribution's libraries
    of one SONAME are interchangeable.
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


def missing_symbols(closure: Closure) -> dict[Path, frozenset[NeededSymbol]]:
    """Map each file that needs a left-out library to the symbols that no other file defines."""
    needing = [each for each in closure.files if _absent(each, closure)]
    if not needing:
        return {}
    known = frozenset[str]().union(*(defined_symbols(each.path) for each in closure.files))
    return {each.path: frozenset(_undefined(needed_symbols(each.path), known, closure.left_out)) for each in needing}


def link_change(
    each: LinkedFile, closure: Closure, missing: Collection[NeededSymbol] = (), stub: str = ""
) -> LinkChange:
    """Return a file's new list of libraries: renamed, each once, without left-out ones.

    If symbols of the left-out ones are `missing`, the library `stub` takes their place.
    """
    absent = _absent(each, closure)
    # The loader looks for a symbol's version in the library that the file names for it: the stub replaces that one.
    versioned = {symbol.library for symbol in missing if symbol.version}
    replaced = dict.fromkeys([name for name in absent if name in versioned] or absent[: bool(missing)], stub)
    dropped = [name for name in absent if name not in replaced]
    for name in each.needed:
        new = closure.rename(name)
        if name in absent or new == name:
            continue
        if new in each.needed or new in replaced.values():
            dropped.append(name)
        else:
            replaced[name] = new
    return LinkChange(replaced=replaced, dropped=dropped)


def _absent(each: LinkedFile, closure: Closure) -> list[str]:
    """Return the needed libraries of a file that are left out, by the file's names for them."""
    return [name for name in each.needed if closure.rename(name) in closure.left_out]


def _undefined(
    symbols: Collection[NeededSymbol], known: Collection[str], left_out: Collection[str]
) -> Iterator[NeededSymbol]:
    """Yield the symbols of left-out libraries; a version names the library of its symbol."""
    for symbol in symbols:
        defined = symbol.name in known or symbol.name.startswith(_INTERPRETERS)
        if symbol.library in left_out if symbol.version else not defined:
            yield symbol


def _in_folders(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the library of that name in the first folder that has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
