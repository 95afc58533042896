"""Packages of bundled libraries: by dpkg's file lists, or by a wheel's RECORD."""

from __future__ import annotations

import csv
import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from io import StringIO
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.elf import bundled
from factory.elf.reader import MAGIC
from factory.errors import RepairFailed
from factory.model.artifacts import LibraryOrigin, PackagePin
from factory.util.atomic_files import sha256_of
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

# The tree of each layer of a root, lowest first, with its packages.
Roots = Mapping[Path, Sequence[PackagePin]]

FILE_LISTS = "var/lib/dpkg/info/*.list"
ARCHITECTURES = ("riscv64", "all")
# Suffixes of a library's package in Debian: for 64-bit time, and for a cross compiler's libraries.
SUFFIXES = ("", "t64", "-riscv64-cross")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A library that auditwheel may bundle: its file, and the original of a copy."""

    file: Path
    original: Path


def find_origins(
    wheel: Path, candidates: Sequence[Candidate], known: Mapping[Path, LibraryOrigin], roots: Roots
) -> dict[str, LibraryOrigin]:
    """Map each bundled library's path in the wheel to its package.

    A library of no known package is absent. A library is identified with a candidate by its name and eight digits of
    its sha256. `known` are the packages of files that no package manager installed.

    Raises:
        RepairFailed: `wheel` is not a zip archive.
    """
    # Originals are resolved; a cache may be reached by a symbolic link.
    roots = {tree.resolve(): packages for tree, packages in roots.items()}
    found = {path: _original(path, candidates) for path in bundled_libraries(wheel)}
    origins = {path: known.get(original) or _origin(original, roots) for path, original in found.items() if original}
    return {path: origin for path, origin in origins.items() if origin is not None}


def bundled_libraries(wheel: Path) -> list[str]:
    """List the paths of a wheel's bundled libraries.

    Raises:
        RepairFailed: `wheel` is not a zip archive.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sorted(name for name in archive.namelist() if bundled.is_bundled(name) and not name.endswith("/"))
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise RepairFailed(f"{wheel.name}: cannot be read as a zip archive: {error}") from error


def bundled_hashes(wheel: Path) -> dict[str, str]:
    """Map a wheel's bundled libraries that are ELF files to their sha256."""
    hashes = {}
    with zipfile.ZipFile(wheel) as archive:
        for path in bundled_libraries(wheel):
            with archive.open(path) as file:
                start = file.read(len(MAGIC))
                if start == MAGIC:
                    hashes[path] = hashlib.sha256(start + file.read()).hexdigest()
    return hashes


def candidates_in(folders: Sequence[Path], paths: Iterable[str]) -> list[Candidate]:
    """List the files in `folders` that have the original names of bundled libraries."""
    matches = (bundled.FILE.fullmatch(PurePosixPath(path).name) for path in paths)
    files = (folder / f"{match[1]}{match[3]}" for match in matches if match for folder in folders)
    return [Candidate(file=path, original=path) for path in files if path.is_file()]


def _original(path: str, candidates: Iterable[Candidate]) -> Path | None:
    match = bundled.FILE.fullmatch(name := PurePosixPath(path).name)
    if match is None:
        return None
    # A name that has these digits already stays as it is.
    named = (each for each in candidates if each.file.name in (f"{match[1]}{match[3]}", name))
    return next((each.original.resolve() for each in named if sha256_of(each.file).startswith(match[2])), None)


def _origin(library: Path, roots: Roots) -> LibraryOrigin | None:
    tree = next((tree for tree in roots if library.is_relative_to(tree)), None)
    return _wheel_of(library) or (None if tree is None else _debian_package(library, tree, roots))


def _wheel_of(library: Path) -> LibraryOrigin | None:
    """Find the installed wheel whose RECORD has the library."""
    folder = next((each for each in library.parents if each.name == "site-packages"), None)
    if folder is None:
        return None
    path, installed = library.relative_to(folder).as_posix(), UntrustedFolder(folder)
    for info in sorted(each.name for each in folder.glob("*.dist-info")):
        if _records(installed, info, path) and (metadata := _metadata(installed, info)):
            return LibraryOrigin(kind="pypi", name=canonicalize_name(metadata["Name"]), version=metadata["Version"])
    return None


def recorded_rows(installed: UntrustedFolder, info: str) -> list[list[str]]:
    """Return the rows of the RECORD in a .dist-info folder; a damaged one has none."""
    try:
        return [row for row in csv.reader(StringIO(installed.read_text(f"{info}/RECORD"))) if row]
    except (FileNotFoundError, UnsafeOutput, csv.Error):  # the build can change the file
        return []


def _records(installed: UntrustedFolder, info: str, path: str) -> bool:
    """Report whether the RECORD in a .dist-info folder is sound, and has the path."""
    rows = recorded_rows(installed, info)
    sound = all(len(row) == 3 and (not row[2] or row[2].isdigit()) for row in rows)
    return sound and any(PurePosixPath(row[0]).as_posix() == path for row in rows)


def _metadata(installed: UntrustedFolder, info: str) -> Message | None:
    """Return the METADATA in a .dist-info folder, if it has name and version."""
    try:
        found = HeaderParser().parsestr(installed.read_text(f"{info}/METADATA"))
    except (FileNotFoundError, UnsafeOutput):
        return None
    return found if {"Name", "Version"} <= set(found) else None


def _debian_package(library: Path, tree: Path, roots: Roots) -> LibraryOrigin | None:
    """Find the Debian package of a file in one of the layers.

    The layer of native tools has no file lists, since its packages are only unpacked there. Their libraries' packages
    are identified by Debian's naming policy, among the packages of that layer.
    """
    path = f"/{library.relative_to(tree).as_posix()}"
    for each, packages in reversed(tuple(roots.items())):
        for name, architecture in _listed_by(each, path):
            for pin in packages:
                if pin.name == name and pin.architecture in ((architecture,) if architecture else ARCHITECTURES):
                    return _debian_origin(pin)
    return _named_after(library.name, roots[tree])


def _listed_by(tree: Path, path: str) -> Iterator[tuple[str, str]]:
    """Yield name and architecture (if stated) of a layer's packages that list the path."""
    paths = {path, path.removeprefix("/usr")}  # packages of before the merge of /lib and /usr/lib
    for listed in sorted(tree.glob(FILE_LISTS)):
        if not paths.isdisjoint(listed.read_text(encoding="utf-8", errors="replace").splitlines()):
            name, _, architecture = listed.stem.partition(":")
            yield name, architecture


def _named_after(library: str, packages: Iterable[PackagePin]) -> LibraryOrigin | None:
    pins = {pin.name: pin for pin in packages if pin.architecture in ARCHITECTURES}
    return next((_debian_origin(pins[name]) for name in _debian_names(library) if name in pins), None)


def _debian_names(library: str) -> Iterator[str]:
    """Yield the names of a library's package by Debian Policy 8.1.

    `libgfortran.so.5.0.0` is in `libgfortran5`.
    """
    stem, _, version = library.partition(".so")
    numbers = version.lstrip(".").split(".")
    joint = "-" if stem[-1:].isdigit() else ""
    for count in range(len(numbers), 0, -1):
        number = ".".join(numbers[:count])
        name = f"{stem}{joint if number else ''}{number}".lower().replace("_", "-")
        yield from (f"{name}{suffix}" for suffix in SUFFIXES)


def _debian_origin(pin: PackagePin) -> LibraryOrigin:
    return LibraryOrigin(kind="deb", name=pin.name, version=pin.version, architecture=pin.architecture)
