"""Projects of the ledger with their versions, wheels and failed builds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

import msgspec
from packaging.version import Version

from factory.model.record import BuildFailure
from factory.model.target import PYTHONS
from factory.publish.failures import failure_name, read_failure_logs, read_failures
from factory.publish.ledger import Ledger
from factory.publish.lock_files import LockFile, read_locks
from factory.publish.release import Built, Release
from factory.publish.reports import WheelReport, read_reports
from factory.publish.source_texts import read_texts
from factory.site.states import BUILT, FAILED, MISSING, PURE, UNCHECKED, UPSTREAM, State
from factory.site.wheels import Wheel, make_wheel, profiles_of, sanitize_release


class FailedBuild(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A failed build, and the file name of its log.

    The log is beside the project's page; the name is empty without one.
    """

    failure: BuildFailure
    log: str


class VersionNews(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A version in lists of new versions.

    It has the Pythons and profiles of its checks, and the seconds of build and checks.
    """

    version: str
    time: str
    built: bool
    wheels: int
    pythons: tuple[str, ...]
    profiles: tuple[str, ...]
    build_seconds: float
    check_seconds: float
    repacked: bool = False


class VersionFiles(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The listed files of one version, and its entry in lists of new versions."""

    version: str
    wheels: Sequence[Wheel]
    news: VersionNews

    @property
    def yanked(self) -> bool:
        return all(wheel.release.yanked is not None for wheel in self.wheels)

    @property
    def yank_reason(self) -> str:
        """The reasons why files are yanked, each once."""
        return "; ".join(dict.fromkeys(wheel.release.yanked for wheel in self.wheels if wheel.release.yanked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project of the ledger.

    It has all releases, the listed versions (newest first), the last failed builds with their logs by name, a state by
    Python, the lock files by name, and the texts of recipes and patches by sha256.
    """

    name: str
    releases: Sequence[Release]
    versions: Sequence[VersionFiles]
    failures: Sequence[BuildFailure]
    states: Mapping[str, State]
    locks: Mapping[str, LockFile] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    failure_logs: Mapping[str, str] = field(default_factory=dict)

    @property
    def current(self) -> VersionFiles | None:
        """The newest version that is neither yanked nor a pre-release, if any."""
        usable = [each for each in self.versions if not each.yanked] or self.versions
        final = (each for each in usable if not Version(each.version).is_prerelease)
        return next(final, usable[0]) if usable else None

    @property
    def served_pythons(self) -> Sequence[str]:
        """Our Pythons for which there are files; all if there are none for any."""
        return [each for each in PYTHONS if self.states[each].kind not in (FAILED, MISSING)] or PYTHONS

    @property
    def failed_builds(self) -> tuple[FailedBuild, ...]:
        """The failures with their logs."""
        names = ((failure, failure_name(failure)) for failure in self.failures)
        return tuple(
            FailedBuild(failure=failure, log=failure_log_name(name) if name in self.failure_logs else "")
            for failure, name in names
        )

    @property
    def usable_locks(self) -> Mapping[str, LockFile]:
        """The lock files of versions that are not yanked, by file name."""
        usable = {Version(each.version) for each in self.releases if each.yanked is None}
        return {name: each for name, each in self.locks.items() if each.version in usable}

    @property
    def summary(self) -> str:
        """The summary from the metadata of the newest wheel that has a report."""
        return next((report.summary for report in self._reports()), "")

    @property
    def report(self) -> WheelReport | None:
        """Report of the current version's first wheel with statements, if any."""
        wheels = () if self.current is None else self.current.wheels
        return next((wheel.report for wheel in wheels if wheel.report is not None and wheel.report.about), None)

    def _reports(self) -> Iterator[WheelReport]:
        return (wheel.report for each in self.versions for wheel in each.wheels if wheel.report is not None)


def failure_log_name(name: str) -> str:
    """Return the file name of a failure's log, in the folder of the project's pages."""
    return f"failed-{name}.txt"


def project_names(ledger: Path) -> tuple[str, ...]:
    """Return the names of all projects, including those with failed builds only."""
    if not ledger.is_dir():
        return ()
    with os.scandir(ledger) as entries:
        folders = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return tuple(sorted(name for name in folders if name.isascii()))  # every normalized name is ASCII


def load_project(ledger: Ledger, name: str) -> Project:
    """Read a project from the ledger.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    reports, texts = read_reports(ledger.folder, name), read_texts(ledger.folder, name)
    project = make_project(name, ledger.read_project(name), reports, read_failures(ledger.folder, name), texts)
    logs = read_failure_logs(ledger.folder, name) if project.failures else {}
    return replace(project, locks=read_locks(ledger.folder, name), failure_logs=logs)


def make_project(
    name: str,
    releases: Sequence[Release],
    reports: Mapping[str, WheelReport],
    failures: Sequence[BuildFailure],
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Project:
    """Make a project from its releases; `reports` are by file name, `texts` by sha256."""
    ranks = _ranks({each.version for each in releases})
    keyed = sorted([(ranks[each.version], each.filename, each) for each in releases], key=itemgetter(0, 1))
    versions = []
    for _, files in groupby([item for item in keyed if item[2].listed], key=itemgetter(0)):
        wheels = [make_wheel(sanitize_release(each), reports.get(each.filename), texts) for _, _, each in files]
        versions.append(_version_files(wheels[0].release.version, wheels))
    versions.reverse()
    return Project(
        name=name,
        releases=[each for *_, each in keyed],
        versions=versions,
        failures=failures,
        texts=texts,
        states={python: newest_state(versions, failures, python) for python in PYTHONS},
    )


def _ranks(versions: Iterable[str]) -> Mapping[str, int]:
    """Rank versions from the oldest to the newest; equal versions share a rank."""
    ordered = groupby(sorted((Version(version), version) for version in versions), key=itemgetter(0))
    return {version: rank for rank, (_, equal) in enumerate(ordered) for _, version in equal}


def _version_files(version: str, wheels: Sequence[Wheel]) -> VersionFiles:
    return VersionFiles(version=version, wheels=wheels, news=_version_news(version, wheels))


def _version_news(version: str, wheels: Sequence[Wheel]) -> VersionNews:
    builds = [wheel.build for wheel in wheels if wheel.build is not None]
    pythons: set[str] = set()
    for wheel in wheels:
        if isinstance(wheel.release.origin, Built):
            pythons.update(wheel.release.origin.pythons)
    return VersionNews(
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


def newest_state(versions: Sequence[VersionFiles], failures: Sequence[BuildFailure], python: str) -> State:
    """Return the state for one Python.

    It comes from the newest version with a wheel for that Python that is not yanked.
    """
    for each in versions:
        kinds = {wheel.kind_for(python): wheel for wheel in each.wheels if wheel.release.yanked is None}
        kind = next((kind for kind in (BUILT, UPSTREAM, PURE, UNCHECKED) if kind in kinds), None)
        if kind is not None:
            wheel = kinds[kind]
            profiles = len(profiles_of([wheel]))
            return State(kind=kind, version=each.version, profiles=profiles, repacked=wheel.repacked)
    failed = any(failure.python == python for failure in failures)
    return State(kind=FAILED if failed else MISSING)
