"""What the pages tell: a project with its wheels, their builds and failures, and what the pages of the whole need."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec
from msgspec.structs import replace
from packaging.utils import canonicalize_version
from packaging.version import Version

from factory.model.record import BuildFailure
from factory.model.target import PROFILES, PYTHONS
from factory.publish.ledger import Built, Ledger, Release
from factory.publish.logs import log_name
from factory.publish.reports import Build, Check, Log, WheelReport, read_failures, read_reports
from factory.publish.safe_text import harmless
from factory.publish.sbom import sbom_name
from factory.publish.simple_api import FILES, link_of, path_quoted
from factory.publish.wheel_metadata import PROVENANCE
from factory.util.wheel_tags import serves

# States of a package for a Python: we built it and ran it there; we built it, and it was run on another Python only;
# its own project has a wheel for riscv64, or one for every machine; our build failed; there is nothing.
BUILT, UNCHECKED, UPSTREAM, PURE, FAILED, MISSING = "built", "unchecked", "upstream", "pure", "failed", "missing"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)", re.ASCII)
RECENT = 10  # versions of a project that the page of builds and the feeds may show


class Wheel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A published file, with its report and its build where there are any.

    `address` is where the file is, from the folder of its project's pages; `provenance` and `sbom` are where these
    are, if it has them, and `logs` where its logs are, by what people call them.
    """

    release: Release
    report: WheelReport | None
    build: Build | None
    address: str
    provenance: str | None
    sbom: str | None
    logs: Mapping[str, str]

    @property
    def built(self) -> bool:
        return isinstance(self.release.origin, Built)

    @property
    def repacked(self) -> bool:
        """Whether it was made of a distribution's packages, without compiling anything here."""
        return self.build is not None and self.build.repacked_from != ""

    @property
    def pure(self) -> bool:
        return self.release.filename.endswith("-any.whl")

    @property
    def checks(self) -> Sequence[Check]:
        return () if self.build is None else self.build.checks

    @property
    def time(self) -> str:
        """When it was published, or else built; UTC, in ISO 8601; empty where neither is known."""
        finished = "" if self.build is None else self.build.finished
        return self.release.uploaded or (finished if TIME.fullmatch(finished) else "")

    def kind_for(self, python: str) -> str:
        """The state that it is for that Python; MISSING where it doesn't serve it."""
        origin = self.release.origin
        if isinstance(origin, Built) and python in origin.pythons:
            return BUILT
        if not serves(self.release.filename, python):
            return MISSING
        if isinstance(origin, Built):
            return UNCHECKED
        return PURE if self.pure else UPSTREAM


class VersionFiles(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The files of one version that the index lists, and what lists of what is new tell of it."""

    version: str
    wheels: Sequence[Wheel]
    news: Recent

    @property
    def yanked(self) -> bool:
        return all(wheel.release.yanked is not None for wheel in self.wheels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project: all its releases, its listed versions, the newest first, and its builds that failed last.

    `states` says how it is to be had for each Python.
    """

    name: str
    releases: Sequence[Release]
    versions: Sequence[VersionFiles]
    failures: Sequence[BuildFailure]
    states: Mapping[str, State]

    @property
    def current(self) -> VersionFiles | None:
        """What an installer takes: the newest version that is neither yanked nor a pre-release, if there is one."""
        usable = [each for each in self.versions if not each.yanked] or self.versions
        final = (each for each in usable if not Version(each.version).is_prerelease)
        return next(final, usable[0]) if usable else None

    @property
    def summary(self) -> str:
        """The newest wheel's own words."""
        reports = (wheel.report for each in self.versions for wheel in each.wheels)
        return next((report.summary for report in reports if report is not None), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a package is to be had for a Python: one of the words above, which version, checked on how many profiles.

    `repacked` are wheels that were made of a distribution's packages, not compiled here.
    """

    kind: str
    version: str = ""
    profiles: int = 0
    repacked: bool = False


class Recent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A version that was published: when, for which Pythons and profiles it was checked, and seconds of its build."""

    version: str
    time: str
    built: bool
    wheels: int
    pythons: tuple[str, ...]
    profiles: tuple[str, ...]
    build_seconds: float
    check_seconds: float
    repacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What pages of the whole tell of a project. `states` has a state for each Python, `profiles` those it ran on.

    `wheels` is how many files are listed, `needed` has the states of the versions that were asked for.
    """

    name: str
    summary: str
    version: str
    published: bool
    built: bool
    wheels: int
    states: Mapping[str, State]
    profiles: tuple[str, ...]
    recent: tuple[Recent, ...]
    failures: tuple[BuildFailure, ...]
    needed: Mapping[str, Mapping[str, State]]


def load_project(ledger: Ledger, name: str) -> Project:
    """A project out of the ledger.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    reports = read_reports(ledger.folder, name)
    return make_project(name, ledger.read_project(name), reports, read_failures(ledger.folder, name))


def make_project(
    name: str, releases: Sequence[Release], reports: Mapping[str, WheelReport], failures: Sequence[BuildFailure]
) -> Project:
    """A project out of its releases, whose reports are known by file name."""
    ranks = _ranks({each.version for each in releases})
    keyed = sorted([(ranks[each.version], each.filename, each) for each in releases], key=itemgetter(0, 1))
    versions = []
    for _, files in groupby([item for item in keyed if item[2].listed], key=itemgetter(0)):
        wheels = [make_wheel(_readable(each), reports.get(each.filename)) for _, _, each in files]
        versions.append(_version_files(wheels[0].release.version, wheels))
    versions.reverse()
    return Project(
        name=name,
        releases=[each for *_, each in keyed],
        versions=versions,
        failures=failures,
        states={python: _state_of(versions, failures, python) for python in PYTHONS},
    )


def _ranks(versions: Iterable[str]) -> Mapping[str, int]:
    """The place of each version among them, from the oldest on; those that are equal share one."""
    ordered = groupby(sorted((Version(version), version) for version in versions), key=itemgetter(0))
    return {version: rank for rank, (_, equal) in enumerate(ordered) for _, version in equal}


def make_wheel(release: Release, report: WheelReport | None) -> Wheel:
    """A published file, of which there may be a report."""
    build = None if report is None else report.build
    here = f"{FILES}{path_quoted(release.filename)}"
    logs = {}
    for log in () if build is None else build.logs:
        title, ending = _log_names(log.stage, log.python)
        logs[title] = f"{here}{ending}"
    # A wheel that moved may have left its provenance here.
    left = release.provenance_sha256 is not None and (release.url is None or release.provenance_url is None)
    return Wheel(
        release=release,
        report=report,
        build=build,
        address=link_of(release),
        provenance=f"{here}{PROVENANCE}" if left else release.provenance_url,
        sbom=None if build is None else sbom_name(here),
        logs=logs,
    )


def log_title(stage: str, python: str) -> str:
    """What people call a log: of a stage, or of a check on that Python."""
    return f"{stage} on Python {python}" if python else stage


@lru_cache
def _log_names(stage: str, python: str) -> tuple[str, str]:
    """What people call such a log, and what stands behind the wheel's name in its address."""
    return log_title(stage, python), path_quoted(log_name("", Log(stage=stage, python=python, sha256="")))


def _version_files(version: str, wheels: Sequence[Wheel]) -> VersionFiles:
    return VersionFiles(version=version, wheels=wheels, news=_news_of(version, wheels))


def _readable(release: Release) -> Release:
    """The release as people see it; installers get what it says to the letter."""
    yanked, requires_python = harmless(release.yanked or ""), harmless(release.requires_python or "")
    if (yanked, requires_python) == (release.yanked or "", release.requires_python or ""):
        return release
    return replace(
        release, yanked=yanked if release.yanked else release.yanked, requires_python=requires_python or None
    )


def ordered_profiles(names: Iterable[str]) -> tuple[str, ...]:
    """Profiles from the plainest to the most demanding; those that are not known any more come last."""
    return _ordered(frozenset(names))


@lru_cache
def _ordered(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=rank_of))


@lru_cache
def rank_of(profile: str) -> tuple[int, str]:
    """Where a profile is in that order, as something to sort by."""
    return (list(PROFILES).index(profile) if profile in PROFILES else len(PROFILES), profile)


def profiles_of(wheels: Iterable[Wheel]) -> tuple[str, ...]:
    """The profiles on which one of the wheels passed its checks."""
    names: set[str] = set()
    for wheel in wheels:
        if isinstance(wheel.release.origin, Built):
            names.update(wheel.release.origin.profiles)
    return ordered_profiles(names)


def _state_of(versions: Sequence[VersionFiles], failures: Sequence[BuildFailure], python: str) -> State:
    """How a project is to be had for a Python: the newest version counts that isn't yanked."""
    for each in versions:
        kinds = {wheel.kind_for(python): wheel for wheel in each.wheels if wheel.release.yanked is None}
        kind = next((kind for kind in (BUILT, UPSTREAM, PURE, UNCHECKED) if kind in kinds), None)
        if kind is not None:
            wheel = kinds[kind]
            profiles = len(profiles_of([wheel]))
            return State(kind=kind, version=each.version, profiles=profiles, repacked=wheel.repacked)
    failed = any(failure.python == python for failure in failures)
    return State(kind=FAILED if failed else MISSING)


def summarize(project: Project, versions: Iterable[str] = ()) -> Summary:
    """What the pages of the whole need of a project, and of these versions of it."""
    current = project.current
    wheels = () if current is None else current.wheels
    return Summary(
        name=project.name,
        summary=project.summary,
        version="" if current is None else current.version,
        published=bool(project.releases),
        built=any(wheel.built for wheel in wheels),
        wheels=sum(len(each.wheels) for each in project.versions),
        states=project.states,
        profiles=profiles_of(wheels),
        recent=_recent(project),
        failures=tuple(project.failures),
        needed={version: _states_in(project, version) for version in versions},
    )


def _states_in(project: Project, version: str) -> Mapping[str, State]:
    """How a version is to be had for each Python; as installers see it, `1.0` is `1.0.0`, and `1.0+cpu` will do."""
    wanted = canonicalize_version(version)
    files = [each for each in project.versions if wanted in _names_of(each.version)]
    return {python: _state_of(files, (), python) for python in PYTHONS}


def _names_of(version: str) -> tuple[str, str]:
    return canonicalize_version(version), canonicalize_version(version.partition("+")[0])


def _recent(project: Project) -> tuple[Recent, ...]:
    dated = [each.news for each in project.versions if each.news.time]
    return tuple(sorted(dated, key=lambda each: each.time, reverse=True)[:RECENT])


def _news_of(version: str, wheels: Sequence[Wheel]) -> Recent:
    builds = [wheel.build for wheel in wheels if wheel.build is not None]
    pythons: set[str] = set()
    for wheel in wheels:
        if isinstance(wheel.release.origin, Built):
            pythons.update(wheel.release.origin.pythons)
    return Recent(
        version=version,
        time=max([wheel.time for wheel in wheels], default=""),
        built=bool(builds),
        wheels=len(wheels),
        pythons=tuple(sorted(pythons)),
        profiles=profiles_of(wheels),
        build_seconds=sum([stage.seconds for build in builds for stage in build.stages if stage.name != "check"]),
        check_seconds=sum([check.seconds for build in builds for check in build.checks]),
        repacked=any(wheel.repacked for wheel in wheels),
    )


def project_names(ledger: Path) -> tuple[str, ...]:
    """Every project that the ledger knows, also those of which nothing was published yet."""
    if not ledger.is_dir():
        return ()
    with os.scandir(ledger) as entries:
        folders = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return tuple(sorted(name for name in folders if name.isascii()))  # as every normalized name is
