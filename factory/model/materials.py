"""Materials of a wheel: its source, and what the build copied or compiled into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.model.artifacts import AppliedPatch, BinaryPackage, Crate, LibraryOrigin, SourceOrigin

# Name of the factory's own bill of materials in `.dist-info` (PEP 770).
BILL = "sboms/riscv64-wheel-factory.cdx.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledLibrary:
    """A library that the repair copied into a wheel: path, sha256, package if known."""

    path: str
    sha256: str
    origin: LibraryOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """The materials of the wheel `filename`; `project` and `version` are normalized.

    `repacked_from` names the distribution's package that the wheel was made of, if nothing was compiled, and `repacked`
    lists all such packages. `crates` are those of Cargo.lock files. `sboms` and `licenses` are the paths of other bills
    of materials and of licence files in the wheel.
    """

    filename: str
    project: str
    version: str
    source_sha256: str
    patches: Sequence[AppliedPatch] = ()
    sources: Sequence[SourceOrigin] = ()
    repacked_from: str = ""
    repacked: Sequence[BinaryPackage] = ()
    bundled: Sequence[BundledLibrary] = ()
    crates: Sequence[Crate] = ()
    sboms: Sequence[str] = ()
    licenses: Sequence[str] = ()
