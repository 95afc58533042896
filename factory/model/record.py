"""Build records, check results and failures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from factory.model.artifacts import (
    AppliedPatch,
    BinaryPackage,
    CompilerCacheUse,
    Crate,
    LibraryOrigin,
    PackagePin,
    SourceOrigin,
)
from factory.model.target import FIRST_PYTHON, FIRST_TOOLCHAIN, Target

_NAME = re.compile(r"(?a)[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HASH = re.compile(r"(?a)[0-9a-f]{64}")
_WHEEL = re.compile(r"(?a)[\w.+!-]+\.whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check on one profile and one Python: output, reported facts, duration in seconds."""

    profile: str
    passed: bool
    seconds: float
    shown: str
    facts: Mapping[str, object]
    python: str = FIRST_PYTHON


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """A finished stage: its duration in seconds, its command lines and its log.

    `processors` is the time of all processors in seconds and `memory` the peak resident set of its commands in bytes;
    both are 0 where they were not measured. Earlier runs of the stage that failed or were stopped are included.
    """

    stage: str
    seconds: float
    commands: tuple[str, ...]
    log: Path
    processors: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchedLibrary:
    """A library with code beyond the baseline, entered after run-time detection."""

    path: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSummary:
    """The audit's facts that are published: of a wheel's ELF files and bills of materials.

    `libraries` is the number of ELF files, `glibc` the newest version that one needs ("2.38"), `system_libraries` the
    names that the wheel needs and does not hold. `bundled` maps the paths of the libraries that the repair copied in to
    their sha256. `sboms` are the paths of bills of materials in the wheel (PEP 770): those that the package's build
    wrote, and that of the repair. `licenses` are the paths of licence files (PEP 639).
    """

    libraries: int
    glibc: str | None
    dispatched: tuple[DispatchedLibrary, ...]
    system_libraries: tuple[str, ...]
    bundled: Mapping[str, str]
    sboms: tuple[str, ...]
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """Inputs of a wheel's build, and the results of its audit and checks.

    `environment_kind` is the environment that opened the root; it is not part of the key, since the wheel is the same
    in all of them. `wheel_of` is the key of another record where the wheel was built for another Python and only
    checked for this one. `built_with` is the toolchain's name, `toolchain` the versions of its parts. A `comparison` is
    not published. `repacked_from` names the distribution's package that the wheel was made of, if nothing was compiled,
    and `repacked` lists all such packages. `audit` is None in records of factories that did not record it;
    `library_origins` maps bundled libraries to their packages, as in RepairedWheel. `backend_machine` is as in
    BuiltWheel, and so are `compiler_cache` and `crates`. `sources` has the addresses of sources that are on no index.
    `replaced_requires` are the recipe's build requirements in place of the source's, each with its reason.
    `substituted_from` is the index that wheel and record were taken from, if this machine did not build them.
    `key_parts` are the parts of the content key, as `KeyParts.recorded`; older records have none.
    """

    key: str
    name: str
    version: str
    recipe_sha256: str
    source_sha256: str
    patches: tuple[AppliedPatch, ...]
    target: Target
    mode: str
    environment_key: str
    environment: tuple[PackagePin, ...]
    toolchain: Mapping[str, str]
    requirements: tuple[PackagePin, ...]
    stages: tuple[StageRun, ...]
    checks: tuple[CheckResult, ...]
    finished: str
    environment_kind: str = "rootfs"
    cargo_locks: Mapping[str, str] = field(default_factory=dict)
    wheel: str = ""
    wheel_sha256: str = ""
    wheel_of: str = ""
    built_with: str = FIRST_TOOLCHAIN
    comparison: bool = False
    repacked_from: str = ""
    repacked: tuple[BinaryPackage, ...] = ()
    audit: AuditSummary | None = None
    library_origins: Mapping[str, LibraryOrigin] = field(default_factory=dict)
    backend_machine: str = "riscv64"
    sources: tuple[SourceOrigin, ...] = ()
    compiler_cache: CompilerCacheUse | None = None
    replaced_requires: Mapping[str, str] = field(default_factory=dict)
    substituted_from: str = ""
    crates: tuple[Crate, ...] = ()
    key_parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFailure:
    """The failed last build of a recipe for a Python: its stage, time (UTC) and message.

    `project` is the package's name on the index, empty if it is the recipe's name. `since` is the time of the first of
    several failures in a row, unset in older ones. `log` is the path of the stage's log below the cache, unset in older
    ones and in the ledger.
    """

    name: str
    version: str
    python: str
    stage: str
    finished: str
    message: str
    project: str = ""
    since: str | msgspec.UnsetType = msgspec.UNSET
    log: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def first(self) -> str:
        """The time of the first failure since the last success, as far as it is known."""
        return self.since or self.finished

    def after(self, earlier: BuildFailure) -> BuildFailure:
        """Return the failure as one that follows another, without a success between them."""
        return replace(self, since=min(earlier.first, self.first))


def is_project_name(text: str) -> bool:
    """Report whether a text is the normalized name of a project: it becomes part of paths."""
    return _NAME.fullmatch(text) is not None


def is_sound(record: BuildRecord) -> bool:
    """Report whether the texts of a record that become part of paths are names and hashes."""
    hashes = (record.wheel_sha256, record.wheel_of or record.wheel_sha256)
    named = is_project_name(record.name) and _WHEEL.fullmatch(record.wheel) is not None
    return named and all(map(_HASH.fullmatch, hashes))
