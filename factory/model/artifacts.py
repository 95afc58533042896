"""Values passed between stages: sources, packages, wheels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import NormalizedName, parse_wheel_filename

from factory.model.target import FIRST_PYTHON


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOrigin:
    """The addresses of a source that is on no package index, or of its part in `folder`.

    It has the `commit` of a git repository, with its `tag` if that is known, or the `sha256` of an archive.
    """

    kind: str
    urls: tuple[str, ...]
    folder: str = ""
    commit: str = ""
    tag: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked source: the folder of its pyproject.toml, and the archive's sha256.

    `origins` has the addresses of the source and its parts, as far as recipes state them.
    """

    path: Path
    sha256: str
    origins: tuple[SourceOrigin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPatch:
    """A patch that was applied: its file name, the sha256 of its text and its Upstream-Status."""

    name: str
    sha256: str
    upstream_status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePin:
    """One exact package of an environment: a Debian package or a Python distribution."""

    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryPackage:
    """A distribution's package that a wheel was repacked from, and its source package.

    `sha256` is that of the package's file.
    """

    name: str
    source: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryOrigin:
    """The package that a shared library was copied from.

    `kind` is the type of a package URL: `deb`, with an `architecture`, or `pypi` for a wheel.
    """

    kind: str
    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A crate that a Cargo.lock file pins; `sha256` is empty for one of a git repository."""

    name: str
    version: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerCacheUse:
    """Compilations of a build that ccache had the result of, and those that it had not."""

    hits: int
    misses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A wheel from the build backend, not yet repaired, and its build requirements.

    `library_folders` hold shared libraries that the wheel may be linked with; `library_origins` has the packages of
    those libraries that the builder itself unpacked.
    `cargo_locks` holds the Cargo.lock files that cargo made where the source has none: paths in the source -> texts.
    `crates` are those of all Cargo.lock files, also the source's own.
    `backend_machine` is that of the Python that ran the backend: x86-64 in hybrid builds, unless they need riscv64's.
    `compiler_cache` is None where ccache counted nothing.
    """

    path: Path
    requirements: tuple[PackagePin, ...]
    library_folders: tuple[Path, ...] = ()
    library_origins: Mapping[Path, LibraryOrigin] = field(default_factory=dict)
    cargo_locks: Mapping[str, str] = field(default_factory=dict)
    crates: tuple[Crate, ...] = ()
    backend_machine: str = "riscv64"
    compiler_cache: CompilerCacheUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairedWheel:
    """A wheel with its final platform tag.

    `library_origins` maps the bundled libraries' paths in the wheel to their packages; unknown ones are absent.
    """

    path: Path
    sha256: str
    platform_tags: tuple[str, ...]
    library_origins: Mapping[str, LibraryOrigin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWheel:
    """A stored wheel, the key of its build record, and the profiles and Pythons it passed on."""

    path: Path
    sha256: str
    record_key: str
    profiles: tuple[str, ...]
    pythons: tuple[str, ...] = (FIRST_PYTHON,)

    @property
    def project(self) -> NormalizedName:
        """The project that the file name states."""
        return parse_wheel_filename(self.path.name)[0]
