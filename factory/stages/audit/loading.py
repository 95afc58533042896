"""Checks for the dynamic loader: run paths, dependencies, relocations, the stack."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from factory.elf.code import PF_X
from factory.elf.reader import ElfFacts
from factory.elf.symbols import SymbolMap
from factory.stages.audit.policy import DESKTOP, Promise, Version
from factory.stages.audit.report import Finding
from factory.stages.audit.versions import dotted, highest, version_numbers

ORIGIN = re.compile(r"(\$ORIGIN|\$\{ORIGIN\})(/|$)")
# What wheels install besides packages, each in a tree of its own (PEP 427, "The .data directory").
DATA_FOLDER = re.compile(r"[^/]+\.data/([^/]+)/")
LIBATOMIC = "libatomic"
ABSOLUTE_RUN_PATH = (
    "have the build set no run path, as the repair bundles the libraries: patch runtime_library_dirs out of setup.py; "
    'for CMake, set "cmake.define.CMAKE_SKIP_INSTALL_RPATH" = "ON", or CMAKE_INSTALL_RPATH to $ORIGIN'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Libraries that a wheel's library can rely on.

    `glibc` is that of the tag, `names` are the file names and SONAMEs of all libraries in the wheel, `atomics` the
    symbols of libatomic that these define, and `provided` the libraries that other packages load.
    """

    glibc: Version
    promise: Promise
    names: frozenset[str]
    atomics: frozenset[str]
    provided: tuple[str, ...]


def names_of(path: str, facts: ElfFacts) -> Iterator[str]:
    """Yield the names by which other libraries of the wheel may need a library."""
    yield PurePosixPath(path).name
    if facts.soname:
        yield facts.soname


def check_file(path: str, data: bytes, facts: ElfFacts) -> Iterator[Finding]:
    """Check what a library says of itself: run paths, relocations, the stack."""
    yield from _check_run_path(path, facts)
    yield from _check_relocations(path, data, facts)
    yield from _check_stack(path, facts)


def check_links(path: str, facts: ElfFacts, around: Surroundings) -> Iterator[Finding]:
    """Check what a library needs of others."""
    yield from _check_needed(path, facts, around)
    yield from _check_atomics(path, facts, around)
    yield from check_versions(path, facts, around)


def check_versions(path: str, facts: ElfFacts, around: Surroundings) -> Iterator[Finding]:
    """Compare the symbol versions needed of libraries outside the wheel with the tag."""
    external = [version for library, version in facts.version_needs if library not in around.names]
    needed = highest(external, "GLIBC")
    if needed is not None and version_numbers(needed) > around.glibc:
        message = f"needs glibc {needed}, the tag promises {dotted(around.glibc)}"
        yield Finding(kind="glibc", library=path, message=message)
    if "GLIBC_PRIVATE" in external:
        yield Finding(kind="glibc", library=path, message="needs private symbols of glibc (GLIBC_PRIVATE)")
    beyond = [name for name in external if not name.startswith("GLIBC_") and around.promise.lacks_version(name)]
    if beyond:
        message = f"needs {', '.join(dict.fromkeys(beyond))}, which {around.promise.tag} does not promise"
        detail = "run: auditwheel show WHEEL; it says which tag has these symbol versions"
        yield Finding(kind="symbol-version", library=path, message=message, detail=detail)


def _check_run_path(path: str, facts: ElfFacts) -> Iterator[Finding]:
    for entry in facts.run_path:
        match = ORIGIN.match(entry)
        if not match:
            message = f"the run path {entry!r} is not relative to $ORIGIN"
            yield Finding(kind="run-path", library=path, message=message, detail=ABSOLUTE_RUN_PATH)
        elif _leaves(path, entry[match.end(1) :]):
            message = f"the run path {entry!r} leaves the wheel"
            detail = "the loader would take libraries of other packages or of the system from there"
            yield Finding(kind="run-path", library=path, message=message, detail=detail)
    for name in filter(None, (facts.soname, *facts.needed)):
        if "/" in name:
            yield Finding(kind="build-path", library=path, message=f"{name!r} in SONAME or NEEDED is a path")


def _leaves(path: str, relative: str) -> bool:
    """Return whether a path relative to a library's folder leads out of its install tree."""
    folder = posixpath.dirname(DATA_FOLDER.sub("", path))
    reached = posixpath.normpath(posixpath.join(folder, relative.lstrip("/")))
    return reached == ".." or reached.startswith("../")


def _check_needed(path: str, facts: ElfFacts, around: Surroundings) -> Iterator[Finding]:
    for name in facts.needed:
        if name in around.names or name in around.provided or "/" in name:
            continue
        if name in DESKTOP:
            message = f"needs {name}, which {around.promise.tag} allows, and systems without a desktop do not have"
            detail = (
                f"switch off what needs it in the build; or, if what needs it is never called, "
                f'write left-out = ["{name}"] under [repair] in the recipe'
            )
            yield Finding(kind="needed", library=path, message=message, detail=detail)
        elif not around.promise.has_library(name):
            message = f"needs {name}, which is neither in the wheel nor on every {around.promise.tag} system"
            detail = (
                f"bundle it (auditwheel repair does); or, if a package that the wheel requires loads it first, "
                f'write provided = ["{name}"] under [audit] in the recipe'
            )
            yield Finding(kind="needed", library=path, message=message, detail=detail)


def _check_atomics(path: str, facts: ElfFacts, around: Surroundings) -> Iterator[Finding]:
    missing = sorted(facts.undefined - around.atomics)
    if missing and not any(name.startswith(LIBATOMIC) for name in facts.needed):
        message = f"calls {', '.join(missing)}, but needs no libatomic: loading it fails"
        detail = "link with -latomic, after the objects (LDFLAGS come before them: use LIBS, or a patch of the build)"
        yield Finding(kind="atomic", library=path, message=message, detail=detail)


def _check_relocations(path: str, data: bytes, facts: ElfFacts) -> Iterator[Finding]:
    if not facts.text_relocations:
        return
    if facts.relocated is None:
        message = "is marked as having text relocations, but has none: the loader changes no code"
        yield Finding(kind="text-relocations", library=path, message=message, violation=False)
        return
    place = SymbolMap(data).describe(facts.relocated)
    message = f"has text relocations (first: {facts.relocated:#x}{f', {place}' if place else ''})"
    yield Finding(kind="text-relocations", library=path, message=message, detail=_relocation_hint(data))


def _relocation_hint(data: bytes) -> str:
    if b"rustc version " in data or b"/rustc/" in data:
        return (
            "rustc makes position-independent code unless told otherwise: look for relocation-model in RUSTFLAGS and\n"
            "        .cargo/config.toml, and for C or assembly that build scripts compile (CFLAGS=-fPIC reaches cc);\n"
            "        RUSTFLAGS='-C link-arg=-Wl,-z,text' makes the linker name the object"
        )
    return "compile with -fPIC; LDFLAGS=-Wl,-z,text makes the linker name the object"


def _check_stack(path: str, facts: ElfFacts) -> Iterator[Finding]:
    if facts.kind != "ET_REL" and (facts.stack is None or facts.stack & PF_X):
        reason = "no PT_GNU_STACK header" if facts.stack is None else "an executable PT_GNU_STACK header"
        detail = "link with -z noexecstack; assembly files need a .note.GNU-stack section"
        message = f"asks for an executable stack ({reason})"
        yield Finding(kind="executable-stack", library=path, message=message, detail=detail)


def all_names(libraries: Sequence[tuple[str, ElfFacts]]) -> frozenset[str]:
    """Return the names by which the wheel's libraries may need each other."""
    return frozenset(name for path, facts in libraries for name in names_of(path, facts))
