"""Reports of wheels in the ledger: one JSON file each, made from the build records.

The ledger suffices to write every page, without the wheels and the store that built them. A report may change, for
example when a wheel is checked on another Python; releases never change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import msgspec

from factory.errors import PublishError
from factory.model.artifacts import BinaryPackage, CompilerCacheUse, Crate, LibraryOrigin, SourceOrigin
from factory.model.record import BuildRecord, StageRun
from factory.publish.release import Release, Sha256
from factory.publish.safe_text import is_safe_json, load_sanitized
from factory.util.atomic_files import content_of, write_if_changed
from factory.util.jsonio import DAMAGED, convert, decode, dumps

REPORTS = "reports"

T = TypeVar("T")


# `gc=False`, here and in the ledger: there are millions of these, and none can be part of a cycle.
class Check(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A check of a wheel on a profile and a Python: output and duration in seconds."""

    profile: str
    python: str
    passed: bool
    seconds: float
    shown: str


class Patch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A patch of the source: its file name, its Upstream-Status, and the sha256 of its text.

    The last is unset in reports from before it was recorded.
    """

    name: str
    upstream_status: str
    sha256: str | msgspec.UnsetType = msgspec.UNSET


class Stage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stage of the build: its seconds, seconds of all processors, and peak memory in bytes.

    The last two are 0 if they were not measured.
    """

    name: str
    seconds: float
    processors: float = 0.0
    memory: int = 0


class Log(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log published with a wheel: its stage, its Python for a check, and the file's sha256."""

    stage: str
    python: str
    sha256: str


class Dispatched(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A library with code beyond the baseline, entered only after run-time detection."""

    path: str
    extensions: tuple[str, ...]


class Package(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A library's package: Debian's (`deb`, with an architecture) or a wheel (`pypi`)."""

    kind: str
    name: str
    version: str
    architecture: str = ""


class Bundled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A library copied into the wheel by the repair: path, sha256, package if known."""

    path: str
    sha256: str
    package: Package | None = None


class Contents(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wheel's libraries according to the audit.

    `glibc` is the newest version needed ("2.38"). `bundled` is None in reports from before it was recorded. `sboms` are
    the paths of bills of materials in the wheel (PEP 770), `licenses` those of licence files (PEP 639), unset if there
    are none or they were not recorded.
    """

    libraries: int
    glibc: str | None
    dispatched: tuple[Dispatched, ...]
    system_libraries: tuple[str, ...]
    bundled: tuple[Bundled, ...] | None = None
    sboms: tuple[str, ...] = ()
    licenses: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Build(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The build and checks of a wheel.

    `finished` is UTC in ISO 8601, `requirements` are `name==version`. `contents` is None if no record has an audit.
    `repacked_from` names the distribution's package that the wheel was made of, if nothing was compiled, and `repacked`
    lists all such packages. `recipe` is the recipe's name, which may differ from the project's; it is empty in reports
    from before it was recorded. `recipe_sha256` is that of its text, unset in older reports. `sources` has the
    addresses of sources that are on no index, if there are any, `compiler_cache` ccache's hits if they were counted,
    `replaced_requires` the build requirements that the recipe replaced, each with its reason.
    `crates` are those of Cargo.lock files, if there are any.
    `statements` is the sha256 of the file of signed statements beside the wheel, if there is one, and `license_texts`
    that of its licence texts.
    """

    record: str
    finished: str
    mode: str
    baseline: str
    toolchain: Mapping[str, str]
    source_sha256: str
    requirements: tuple[str, ...]
    patches: tuple[Patch, ...]
    stages: tuple[Stage, ...]
    checks: tuple[Check, ...]
    contents: Contents | None
    repacked_from: str = ""
    repacked: tuple[BinaryPackage, ...] = ()
    logs: tuple[Log, ...] = ()
    recipe: str = ""
    recipe_sha256: str | msgspec.UnsetType = msgspec.UNSET
    sources: tuple[SourceOrigin, ...] | msgspec.UnsetType = msgspec.UNSET
    compiler_cache: CompilerCacheUse | msgspec.UnsetType = msgspec.UNSET
    replaced_requires: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    statements: Sha256 | msgspec.UnsetType = msgspec.UNSET
    crates: tuple[Crate, ...] | msgspec.UnsetType = msgspec.UNSET
    license_texts: Sha256 | msgspec.UnsetType = msgspec.UNSET


class About(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """More of a wheel's own statements: requirements, addresses by label, modules, keywords.

    `modules` are the names to import; they are empty where only the METADATA was at hand.
    """

    requires: tuple[str, ...] = ()
    links: Mapping[str, str] = {}
    modules: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


class WheelReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A published wheel's summary and licence and, if it was built here, its build.

    `about` is unset in reports from before it was recorded.
    """

    filename: str
    summary: str
    license: str
    build: Build | None = None
    about: About | msgspec.UnsetType = msgspec.UNSET


def contents_of(records: Sequence[BuildRecord]) -> Contents | None:
    """Describe a wheel's contents as its newest audit recorded them.

    Return None if no record has an audit's summary.
    """
    found = [(record.audit, record.library_origins) for record in records if record.audit is not None]
    if not found:
        return None
    audit, origins = found[-1]
    return Contents(
        libraries=audit.libraries,
        glibc=audit.glibc,
        dispatched=tuple(Dispatched(path=each.path, extensions=each.extensions) for each in audit.dispatched),
        system_libraries=audit.system_libraries,
        bundled=tuple(
            Bundled(path=path, sha256=sha256, package=_package(origins.get(path)))
            for path, sha256 in audit.bundled.items()
        ),
        sboms=audit.sboms,
        licenses=audit.licenses or msgspec.UNSET,
    )


def _package(origin: LibraryOrigin | None) -> Package | None:
    if origin is None:
        return None
    return Package(kind=origin.kind, name=origin.name, version=origin.version, architecture=origin.architecture)


def build_of(
    records: Sequence[BuildRecord],
    contents: Contents | None,
    logs: tuple[Log, ...] = (),
    statements: str | None = None,
) -> Build:
    """Combine the record of a wheel's build with those of its checks on other Pythons.

    `statements` is the sha256 of its signed statements.
    """
    made = next((record for record in records if not record.wheel_of), records[0])
    return Build(
        record=made.wheel_of or made.key,
        finished=made.finished,
        mode=made.mode,
        baseline=made.target.baseline,
        toolchain=made.toolchain,
        source_sha256=made.source_sha256,
        requirements=tuple(f"{pin.name}=={pin.version}" for pin in made.requirements),
        patches=tuple(
            Patch(name=patch.name, upstream_status=patch.upstream_status, sha256=patch.sha256) for patch in made.patches
        ),
        stages=tuple(_stage(run) for run in made.stages),
        checks=tuple(_checks(records)),
        contents=contents,
        repacked_from=made.repacked_from,
        repacked=made.repacked,
        logs=logs,
        recipe=made.name,
        recipe_sha256=made.recipe_sha256,
        sources=made.sources or msgspec.UNSET,
        compiler_cache=made.compiler_cache or msgspec.UNSET,
        replaced_requires=made.replaced_requires or msgspec.UNSET,
        statements=statements or msgspec.UNSET,
        crates=made.crates or msgspec.UNSET,
    )


def _stage(run: StageRun) -> Stage:
    processors = round(run.processors, 1)
    return Stage(name=run.stage, seconds=round(run.seconds, 1), processors=processors, memory=run.memory)


def _checks(records: Iterable[BuildRecord]) -> Iterable[Check]:
    newest = {
        (check.python, check.profile): Check(
            profile=check.profile,
            python=check.python,
            passed=check.passed,
            seconds=round(check.seconds, 1),
            shown=check.shown,
        )
        for record in records
        for check in record.checks
    }
    return newest.values()


def report_path(ledger: Path, project: str, filename: str) -> Path:
    """Return the path of a published wheel's report."""
    return ledger / project / REPORTS / f"{filename}.json"


def write_report(ledger: Path, project: str, report: WheelReport) -> bool:
    """Write a report; return whether it changed."""
    return write_if_changed(report_path(ledger, project, report.filename), dumps(report).encode())


def read_reports(ledger: Path, project: str) -> Mapping[str, WheelReport]:
    """Read the reports of a project's wheels, by file name.

    Raises:
        PublishError: a file is damaged; the message names it.
    """
    found = {
        name.removesuffix(".json"): read_ledger_file(path, WheelReport)
        for name, path in ledger_files(ledger, project, REPORTS)
    }
    for name, report in found.items():
        if report.filename != name:
            raise _damaged(ledger / project / REPORTS / f"{name}.json", f"it describes {report.filename}")
    return found


def with_reports(releases: Iterable[Release], ledger: Path) -> Iterator[tuple[Release, WheelReport | None]]:
    """Yield each release with its report or None, ordered by project and file name.

    Raises:
        PublishError: as `read_reports`.
    """
    ordered = sorted(releases, key=lambda release: (release.project, release.filename))
    for project, published in groupby(ordered, key=lambda release: release.project):
        reports = read_reports(ledger, project)
        yield from ((release, reports.get(release.filename)) for release in published)


def ledger_files(ledger: Path, project: str, kind: str) -> list[tuple[str, str]]:
    """Return the names and paths of a project's files of one kind."""
    try:
        with os.scandir(ledger / project / kind) as entries:
            return sorted((entry.name, entry.path) for entry in entries if entry.name.endswith(".json"))
    except FileNotFoundError:
        return []


def read_ledger_file(path: str, kind: type[T]) -> T:
    try:
        content = content_of(path)
        return decode(content, kind) if is_safe_json(content) else convert(load_sanitized(content), kind)
    except DAMAGED as error:
        raise _damaged(path, error) from error


def _damaged(path: Path | str, reason: object) -> PublishError:
    return PublishError(
        f"{path}: ledger file is damaged: {reason}",
        hint="remove it and run: factory index; that writes it again from the build record",
    )
