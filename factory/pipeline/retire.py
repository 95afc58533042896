"""Retirement of recipes whose projects publish riscv64 wheels themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.version import Version
from pypi_simple import DistributionPackage

from factory.errors import AuditFailed, CheckFailed, SourceError, StoreError
from factory.model.recipe import AuditOptions, Recipe
from factory.model.target import PYTHONS, Target
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.run import Run
from factory.stages.audit.auditor import AuditReport, audit_wheel
from factory.stages.sources.package_index import WHEEL, admits, download_file, is_pinnable, list_files
from factory.stages.sources.versions import parse_version
from factory.util.log import LogSink
from factory.util.scratch import own_folder
from factory.util.wheel_tags import glibc_of, serves

CLEAN, PASSED = "clean", "passed"
NO_WHEEL = "no riscv64 wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A recipe, its project's riscv64 wheels, and the reasons to keep the recipe.

    There are no reasons if it may be retired.

    `audits` and `checks` have the result of each wheel, by its file name.
    """

    name: str
    version: str
    upstream: str = ""
    audits: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamWheels:
    """A version of a project with riscv64 wheels: the file for each Python that has one."""

    version: str
    files: Mapping[str, DistributionPackage]

    @property
    def distinct(self) -> Mapping[str, tuple[str, DistributionPackage]]:
        """Each file once, by its name, with the first Python that it is for."""
        found: dict[str, tuple[str, DistributionPackage]] = {}
        for python, file in self.files.items():
            found.setdefault(file.filename, (python, file))
        return found


def judge(recipe: Recipe, run: Run, *, with_check: bool) -> Verdict:
    """Audit the riscv64 wheels of a recipe's project, and check them if wanted.

    Raises:
        SourceError: the index cannot be read, or a wheel cannot be downloaded.
    """
    try:
        found = upstream_wheels(list_files(recipe.project), recipe)
    except SourceError as error:
        if error.machines_fault:
            raise
        return Verdict(name=recipe.name, version=recipe.version, reasons=(error.message,))
    if found is None:
        return Verdict(name=recipe.name, version=recipe.version, reasons=(NO_WHEEL,))
    audits, checks = {}, {}
    for name, (python, file) in found.distinct.items():
        with run.stages(recipe.label)("retire") as log:
            wheel = download(file, recipe, found.version, run, log)
            audits[name] = audit(wheel, recipe)
        if with_check:
            checks[name] = check(wheel, recipe, found.version, python, run)
    return Verdict(
        name=recipe.name,
        version=recipe.version,
        upstream=found.version,
        audits=audits,
        checks=checks,
        reasons=tuple(dict.fromkeys(reasons_to_keep(recipe, found, audits, checks))),
    )


def reasons_to_keep(
    recipe: Recipe, found: UpstreamWheels, audits: Mapping[str, str], checks: Mapping[str, str]
) -> Iterator[str]:
    """Iterate over the reasons to keep a recipe."""
    if Version(found.version) < Version(recipe.version):
        yield f"its wheels are older than {recipe.version}"
    yield from (f"no wheel for Python {python}" for python in PYTHONS if python not in found.files)
    failed = [text for text in audits.values() if not text.startswith(CLEAN)]
    yield from (f"audit: {text}" for text in failed)
    yield from (f"check: {text.splitlines()[0]}" for text in checks.values() if text != PASSED)
    if failed and checks and set(checks.values()) == {PASSED}:
        yield "its check passed on every profile all the same: see whether that code is dispatched"


def upstream_wheels(files: Collection[DistributionPackage], recipe: Recipe) -> UpstreamWheels | None:
    """Return the riscv64 wheels of the recipe's version, else of the newest with some.

    None is returned if no version has any.

    They are those that boards with the target's glibc can install; yanked ones are left out.
    """
    versions: dict[Version, list[DistributionPackage]] = defaultdict(list)
    for file in files:
        version = parse_version(file.version)
        if version is not None and _is_installable(file):
            versions[version].append(file)
    if not versions:
        return None
    own = Version(recipe.version)
    chosen = own if own in versions else max(versions)
    found = {python: file for python in PYTHONS for file in reversed(versions[chosen]) if _serves(file, python)}
    return UpstreamWheels(version=str(chosen), files=found)


def _is_installable(file: DistributionPackage) -> bool:
    if not is_pinnable(file, WHEEL):
        return False
    platforms = file.filename.removesuffix(".whl").rpartition("-")[2].split(".")
    needed = [glibc for platform in platforms if (glibc := glibc_of(platform))]
    return any((0, 0) < glibc <= Target().glibc_floor for glibc in needed)


def _serves(file: DistributionPackage, python: str) -> bool:
    return serves(file.filename, python) and admits(file, python)


def download(file: DistributionPackage, recipe: Recipe, version: str, run: Run, log: LogSink) -> Path:
    """Download a wheel of the recipe's project.

    Raises:
        SourceError: it cannot be downloaded, or has other content than the index states.
    """
    return download_file(recipe.project, version, WHEEL, file.digests["sha256"], run.layout.downloads, log)


def audit(wheel: Path, recipe: Recipe) -> str:
    """Audit a project's own wheel; returns its violations, or `clean`.

    `clean` is followed by what is declared as dispatched.

    The recipe's declarations count for the libraries that the wheel has, and so do the wheel's own.
    """
    options = replace(AuditOptions(), provided=recipe.audit.provided, dispatched=recipe.audit.dispatched)
    try:
        report = audit_wheel(wheel, options, Target(), trust_declaration=True)
    except AuditFailed as error:
        return error.message
    dispatched = ", ".join(library.path for library in report.libraries if library.dispatched)
    return "; ".join(_violations(report)) or (f"{CLEAN}, dispatched: {dispatched}" if dispatched else CLEAN)


def _violations(report: AuditReport) -> Iterator[str]:
    """Iterate over the violations, but those of declarations that match nothing.

    A project's own wheel may have other names of libraries.
    """
    libraries = {library.path for library in report.libraries}
    for finding in report.violations:
        if finding.kind not in ("dispatched", "provided") or finding.library in libraries:
            yield str(finding)


def check(wheel: Path, recipe: Recipe, version: str, python: str, run: Run) -> str:
    """Run the recipe's check with a project's own wheel; returns `passed`, or why it failed."""
    run = run.with_config(run.config.for_python(python, recipe.toolchain))
    theirs = PackageCheck(recipe=replace(recipe, version=version), run=run)
    label = f"{recipe.name} {version} of its project"
    try:
        with own_folder(run.layout.scratch, "retire", recipe.name, keep=run.keep) as folder:
            needs = stored_needs(recipe, run)
            with run.stages(label)("check") as log:
                theirs.check_wheel(wheel, needs, folder, theirs.profiles, log)
    except (CheckFailed, StoreError) as error:
        return error.message
    return PASSED
