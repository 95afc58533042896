"""Crates that a source holds: directory sources in its configuration of cargo."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from factory.model.protocols import SOURCE
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

# Cargo reads the first of them; builds run it in the source's folder, so only its own configuration counts.
CONFIGS = (".cargo/config.toml", ".cargo/config")
CRATES_IO = "crates-io"
# Every crate of a directory source has this file.
CHECKSUMS = ".cargo-checksum.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoSources:
    """Folders of directory sources and replacements by name, from the table [source]."""

    folders: Mapping[str, PurePosixPath] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds_crates_io(self) -> bool:
        """Whether a folder of the source replaces the public registry."""
        name, seen = CRATES_IO, set[str]()
        while name in self.replaced and name not in seen:
            seen.add(name)
            name = self.replaced[name]
        return name in self.folders


def read_sources(outputs: UntrustedFolder) -> CargoSources:
    """Read the configuration of a build's source.

    One that cargo itself would refuse has no sources.
    """
    text = next((found for name in CONFIGS if (found := _text(outputs, name)) is not None), "")
    try:
        tables: Any = tomllib.loads(text).get("source")
    except (tomllib.TOMLDecodeError, RecursionError):
        return CargoSources()
    items = tables.items() if isinstance(tables, dict) else ()
    named = {name: table for name, table in items if isinstance(table, dict)}
    folders = {name: _inside(table["directory"]) for name, table in named.items() if "directory" in table}
    return CargoSources(
        folders={name: folder for name, folder in folders.items() if folder is not None},
        replaced={name: str(table["replace-with"]) for name, table in named.items() if "replace-with" in table},
    )


def _text(outputs: UntrustedFolder, name: str) -> str | None:
    try:
        return outputs.read_text(f"{SOURCE.name}/{name}")
    except (FileNotFoundError, UnsafeOutput):
        return None


def _inside(folder: object) -> PurePosixPath | None:
    """Return a folder of the source, None if the path leads out of it."""
    path = PurePosixPath(str(folder))
    return None if path.is_absolute() or ".." in path.parts or not path.parts else path


def is_vendored(manifest: PurePosixPath, source: Path, sources: CargoSources) -> bool:
    """Report whether a Cargo.toml is that of a crate which the source holds for others."""
    if any(manifest.is_relative_to(folder) for folder in sources.folders.values()):
        return True
    return any((source / parent / CHECKSUMS).is_file() for parent in manifest.parents)


def needs_no_registry(lock: str, sources: CargoSources) -> bool:
    """Report whether the source holds all crates of a Cargo.lock file."""
    return sources.holds_crates_io and 'source = "git+' not in lock
