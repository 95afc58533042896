"""The values that stages hand to each other. All are frozen; each stage has a type of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from packaging.utils import NormalizedName, canonicalize_name

# The Pythons that wheels are built for, the default first.
PYTHONS = ("3.13", "3.14")
# What C and C++ may be compiled with, the default first.
TOOLCHAINS = ("gcc", "clang")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What wheels are built for."""

    triplet: str = "riscv64-linux-gnu"
    abi: str = "lp64d"
    glibc_floor: tuple[int, int] = (2, 39)
    baseline: str = "rv64gc"
    python: str = PYTHONS[0]

    @property
    def platform_ceiling(self) -> str:
        """The highest platform tag a wheel may carry."""
        return f"manylinux_{self.glibc_floor[0]}_{self.glibc_floor[1]}_riscv64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named CPU that wheels are run on; `qemu_cpu` is the value of QEMU_CPU."""

    name: str
    qemu_cpu: str
    stands_for: str


# Measured with qemu-user 11.1 by riscv_hwprobe in the guest. Plain `rv64,v=false` still has Zba, Zbb and Zbs, so it
# would not test the baseline: sifive-u54 does.
PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(name="rv64gc", qemu_cpu="sifive-u54", stands_for="SiFive U54 and U74: nothing beyond the baseline"),
        Profile(name="rva22", qemu_cpu="rva22s64", stands_for="SiFive P550: RVA22 without vectors"),
        Profile(name="rvv128", qemu_cpu="rva22s64,v=true,vlen=128", stands_for="first RVV 1.0 cores: no Zvfh"),
        Profile(
            name="k1",
            qemu_cpu="rva22s64,v=true,vlen=256,zfh=true,zvfh=true",
            stands_for="SpacemiT K1 (BPI-F3, Jupiter)",
        ),
        Profile(name="rva23", qemu_cpu="rva23s64", stands_for="the RVA23 profile: V and Zvfhmin, not Zvfh"),
        Profile(name="vlen512", qemu_cpu="max,vlen=512", stands_for="wide vectors, every extension on"),
        Profile(name="vlen1024", qemu_cpu="max,vlen=1024", stands_for="SpacemiT K3's A100 cores: VLEN 1024"),
    )
}
DEFAULT_PROFILES = ("rv64gc", "rvv128", "k1", "rva23", "vlen1024")
# What commands in a root see of the host folder that their job works in.
BUILD = PurePosixPath("/build")
# And of the source that is built.
SOURCE = BUILD / "src"
BASELINE_CPU = PROFILES["rv64gc"].qemu_cpu
# The mode on a riscv64 machine, where checks run on the machine's own CPU, as one profile of the same name.
NATIVE_MODE = NATIVE_PROFILE = "native"

# The builders that a recipe may name; factory.builders holds one for each.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked source: `path` holds the project (its pyproject.toml), `sha256` is the archive's."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectMetadata:
    """What a source says of itself. None where only running its build backend would tell.

    `cargo_locks` are no part of a source: they repeat an earlier build's choice of crates, see `BuiltWheel`.
    """

    name: str | None
    version: str | None
    build_backend: str
    build_requires: tuple[str, ...]
    backend_path: tuple[str, ...] = ()
    requires_python: str = ""
    dependencies: tuple[str, ...] = ()
    license: str = ""
    cargo_locks: Mapping[str, str] = field(default_factory=dict)


# A recipe's name, a Python, and the toolchain where the wheel is only for comparison, else "".
JobId = tuple[NormalizedName, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe for one Python and toolchain in a plan, with the other recipes whose wheels its build and run need.

    `earlier` are the Pythons for which the plan builds the same recipe first: their wheel may serve this one too.
    """

    recipe: Recipe
    metadata: ProjectMetadata
    python: str = PYTHONS[0]
    toolchain: str = TOOLCHAINS[0]
    build_needs: frozenset[NormalizedName] = frozenset()
    run_needs: frozenset[NormalizedName] = frozenset()
    earlier: frozenset[str] = frozenset()

    @property
    def id(self) -> JobId:
        return canonicalize_name(self.recipe.name), self.python, self.toolchain if self.comparison else ""

    @property
    def comparison(self) -> bool:
        """Whether the wheel is only to be compared with the one that gets published."""
        return self.toolchain != self.recipe.toolchain

    @property
    def label(self) -> str:
        return self.recipe.label_for(self.python, self.toolchain)

    @property
    def needs(self) -> frozenset[JobId]:
        """The jobs that must have ended before this one begins."""
        name, _, comparison = self.id
        needed = {(other, self.python, "") for other in self.build_needs | self.run_needs}
        return frozenset(needed | {(name, python, comparison) for python in self.earlier})


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
    """A distribution's package that a wheel was repacked from, with the source package that it was built of.

    `sha256` is that of the package's file.
    """

    name: str
    source: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """What the build backend made, not yet repaired, and the build requirements that made it.

    `library_folders` hold shared libraries of build requirements that it may be linked with.
    `cargo_locks` holds the Cargo.lock files that cargo made where the source has none: paths in the source -> texts.
    """

    path: Path
    requirements: tuple[PackagePin, ...]
    library_folders: tuple[Path, ...] = ()
    cargo_locks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairedWheel:
    """A wheel with its final platform tag."""

    path: Path
    sha256: str
    platform_tags: tuple[str, ...]


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
class StoredWheel:
    """A wheel in the store, the key of its build record, and the profiles and Pythons on which its checks passed."""

    path: Path
    sha256: str
    record_key: str
    profiles: tuple[str, ...]
    pythons: tuple[str, ...] = PYTHONS[:1]


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


class LogSink(Protocol):
    """Where a stage's text goes: kept in full in a file, and shown as progress."""

    @property
    def path(self) -> Path: ...

    def write(self, text: str) -> None: ...


OpenStage = Callable[[str], AbstractContextManager[LogSink]]


class Sandbox(Protocol):
    """An opened root. The host folder `work` is `/build` inside; everything else written is thrown away."""

    @property
    def work(self) -> Path: ...

    def run(
        self,
        argv: Sequence[str],
        *,
        log: LogSink,
        env: Mapping[str, str] | None = None,
        cwd: PurePosixPath = BUILD,
        network: bool = False,
        cpu: str = BASELINE_CPU,
    ) -> None:
        """Run a command inside.

        Raises:
            CommandFailed: it ended with another status than 0.
        """
        ...
