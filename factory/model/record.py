"""Build records, check results and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory.model.artifacts import AppliedPatch, BinaryPackage, PackagePin
from factory.model.target import PYTHONS, TOOLCHAINS, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One profile's run on one Python: what the script showed and reported, and how long it took in seconds."""

    profile: str
    passed: bool
    seconds: float
    shown: str
    facts: Mapping[str, object]
    python: str = PYTHONS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """One finished stage: how long it took in seconds, the command lines that it ran, and where its log is.

    `processors` are seconds of all processors, and `memory` is the peak of its commands' resident sets, in bytes; both
    are 0 where nobody looked. Earlier runs of the stage that failed or were stopped are counted too.
    """

    stage: str
    seconds: float
    commands: tuple[str, ...]
    log: Path
    processors: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """Everything that made a wheel and everything that was seen of it.

    `environment_kind` is what opened the root; it isn't in the key, since the wheel is the same in all of them.
    `wheel_of` is the key of another record where the wheel was made for another Python and only checked for this one.
    `built_with` is the name of the toolchain, `toolchain` the versions of its parts; a `comparison` isn't published.
    `repacked_from` names the distribution's package that the wheel was made of, where nothing was compiled here, and
    `repacked` are all of its packages that were.
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
    built_with: str = TOOLCHAINS[0]
    comparison: bool = False
    repacked_from: str = ""
    repacked: tuple[BinaryPackage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFailure:
    """The last build of a recipe for a Python, where it failed: in which stage, when (UTC), and what people read.

    `project` is what installers call the package, empty where that is the recipe's name.
    """

    name: str
    version: str
    python: str
    stage: str
    finished: str
    message: str
    project: str = ""
