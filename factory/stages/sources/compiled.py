"""Search of a source for code that a build should compile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from factory.model.artifacts import SourceTree

RUST, CRATE = ".rs", "Cargo.toml"
LANGUAGES = {
    "Cython": frozenset((".pyx",)),
    "C++": frozenset((".cc", ".cpp", ".cxx")),
    "C": frozenset((".c",)),
    "Fortran": frozenset((".f", ".f77", ".f90", ".f95", ".f03", ".for")),
    "assembly": frozenset((".s",)),
    "CUDA": frozenset((".cu",)),
}
COMPILED = frozenset[str]().union(*LANGUAGES.values())
# Folders whose code is compiled for no wheel.
ASIDE = frozenset(
    ("test", "tests", "testing", "example", "examples", "doc", "docs", "demo", "demos", "sample", "samples")
) | {"benchmark", "benchmarks", "bench"}


def compiled_source(tree: SourceTree) -> str:
    """Return the path of a source file to compile, the first by name; empty if there is none."""
    files = sorted(_files(tree.path))
    rust = any(path.name == CRATE for path in files)
    wanted = COMPILED | ({RUST} if rust else frozenset())
    found = next((path for path in files if path.suffix.lower() in wanted), None)
    return "" if found is None else found.as_posix()


def languages(tree: SourceTree) -> tuple[str, ...]:
    """Return the compiled languages of a source, `Rust` last."""
    files = tuple(_files(tree.path))
    suffixes = {path.suffix.lower() for path in files}
    rust = ("Rust",) if any(path.name == CRATE for path in files) and RUST in suffixes else ()
    return (*(name for name, known in LANGUAGES.items() if known & suffixes), *rust)


def _files(root: Path) -> Iterator[Path]:
    """Yield files' paths in the source, without folders for tests and documentation."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name.lower() not in ASIDE and not name.startswith(".")]
        for name in names:
            yield Path(folder, name).relative_to(root)
