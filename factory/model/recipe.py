"""Recipes and their sources, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory.model.artifacts import BinaryPackage
from factory.model.target import DEFAULT_PROFILES, PYTHONS, TOOLCHAINS

# Builders that a recipe may name: modules of factory.stages.builders.
BUILDERS = ("pep517", "cibuildwheel", "repack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Folders of files that make a source into the project `project` of that version."""

    project: str
    version: str
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackaging:
    """A revision of a Debian source package: the sha256 of its `.debian.tar`, and patches of it that aren't wanted."""

    revision: str
    sha256: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePin:
    """Where a recipe's source comes from. `local` ones are a folder (`path`), all others an archive with that sha256.

    `parts` are further sources and the folders of this one that they become: paths with slashes. With `packaging`, a
    `debian` one is as the distribution builds it: with the folder `debian`, and its patches applied. A `deb` one is the
    binary package `package` (its name) of the source package `project`.
    """

    kind: str
    project: str
    version: str
    sha256: str = ""
    path: Path | None = None
    overlay: Overlay | None = None
    parts: Mapping[str, SourcePin] = field(default_factory=dict)
    packaging: DebianPackaging | None = None
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepackOptions:
    """What differs between a distribution's files and the wheel that `repack` makes of them.

    `replaced` maps the SONAME of a library to that of another one with the same functions. `excluded` are globs of the
    wheel's files that it does without, and `placed` maps folders of the distribution (`usr/lib/...`) to their places in
    the wheel.
    """

    replaced: Mapping[str, str] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    placed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What the build can't derive from the source itself."""

    builder: str = "pep517"
    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    # Distributions that the build needs besides those that the source names.
    requires: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    rust: bool = False
    # The first one's wheels are published, and what other packages build on; the others' are kept for comparison.
    toolchains: tuple[str, ...] = TOOLCHAINS[:1]
    # In bytes, at a compiler's peak; 0 where it doesn't matter.
    memory_per_job: int = 0
    repack: RepackOptions = RepackOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOptions:
    """Libraries, by SONAME, that a wheel doesn't bundle although its files name them; nor what only they need."""

    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Libraries (globs of paths in the wheel) whose code beyond the baseline run-time detection guards."""

    dispatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """How a built wheel is run. `expect` maps a fact that the script reports to its value on each profile.

    `model_profiles` are those that run the model, where not all of `profiles` do. With `build_root` it runs in the root
    that builds, which has compilers, with the built source in /build/src.
    """

    script: Path | None = None
    model: str | None = None
    profiles: tuple[str, ...] = DEFAULT_PROFILES
    requires: tuple[str, ...] = ()
    expect: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    same_tokens: int = 0
    logits_tolerance: float = 0.0
    build_root: bool = False
    model_profiles: tuple[str, ...] = ()

    def runs_model(self, profile: str) -> bool:
        """Whether the model runs on that profile; it does on one that the recipe doesn't name."""
        return not self.model_profiles or profile in self.model_profiles or profile not in self.profiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one package becomes riscv64 wheels, whose project is `distribution`; its own name where that is empty.

    `file_sha256` is that of the recipe's file as it was read: it may change while the recipe is at work.
    """

    name: str
    version: str
    directory: Path
    source: SourcePin
    # The wheels' build tag (PEP 427), which tells a rebuild from what was published before; 0 for none.
    build_number: int = 0
    # Whether the project may be published although the package index has one of that name.
    shadows_upstream: bool = False
    build: BuildOptions = BuildOptions()
    repair: RepairOptions = RepairOptions()
    audit: AuditOptions = AuditOptions()
    check: CheckOptions = CheckOptions()
    # The project's own tests, run on request: too long for every build.
    suite: CheckOptions | None = None
    distribution: str = ""
    file_sha256: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def project(self) -> str:
        """What installers call it."""
        return self.distribution or self.name

    @property
    def repacked_from(self) -> str:
        """Whose binary packages the wheels are made of; empty where they are compiled here."""
        source = self.source
        return f"Debian's {source.package} {source.version}" if self.build.builder == "repack" else ""

    @property
    def repacked(self) -> tuple[BinaryPackage, ...]:
        """The binary packages that the wheels are made of."""
        return tuple(
            BinaryPackage(name=pin.package, source=pin.project, version=pin.version, sha256=pin.sha256)
            for pin in (self.source, *self.source.parts.values())
            if pin.kind == "deb"
        )

    @property
    def toolchain(self) -> str:
        """What the published wheels are compiled with."""
        return self.build.toolchains[0]

    def label_for(self, python: str, toolchain: str = TOOLCHAINS[0]) -> str:
        """The label where the package is built or run for that Python, so compiled; the defaults go without saying."""
        for_python = "" if python == PYTHONS[0] else f" for Python {python}"
        return f"{self.label}{for_python}{'' if toolchain == TOOLCHAINS[0] else f' with {toolchain}'}"

    def options_for(self, python: str, toolchain: str) -> str:
        """The options by which commands know the build for that Python, so compiled."""
        return f"--python {python}{'' if toolchain == self.toolchain else f' --toolchain {toolchain}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPin:
    """A model file for checks: a member of a wheel on the package index, both pinned by sha256."""

    name: str
    project: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str
