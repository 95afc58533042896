"""Published wheels with their reports, builds and sidecar files."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from factory.model.target import PROFILES
from factory.publish.license_texts import SUFFIX as LICENSES_SUFFIX
from factory.publish.logs import log_name
from factory.publish.own_keys import STATEMENTS_SUFFIX
from factory.publish.provenance import PROVENANCE_SUFFIX
from factory.publish.release import Built, Release
from factory.publish.reports import Build, Check, Log, WheelReport
from factory.publish.safe_text import sanitize
from factory.publish.sbom import sbom_name
from factory.publish.simple_api import FILES, file_link, quote_path
from factory.publish.source_texts import texts_named
from factory.site.states import BUILT, MISSING, PURE, UNCHECKED, UPSTREAM
from factory.site.wheel_needs import accepted_pythons, needed_glibc
from factory.util.wheel_tags import serves

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)", re.ASCII)
RELEASE_FIELDS = tuple(field.name for field in msgspec.structs.fields(Release))


class Wheel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A published file, with its report and its build if it has them.

    Addresses are relative to the folder of the project's pages: `address` of the file, `provenance`, `sbom`, `licenses`
    (their texts) and signed `statements` of it if they exist, `logs` by title, and `texts` of its recipe and patches by
    their sha256.
    """

    release: Release
    report: WheelReport | None
    build: Build | None
    address: str
    provenance: str | None
    sbom: str | None
    statements: str | None
    licenses: str | None
    logs: Mapping[str, str]
    texts: Mapping[str, str] = {}

    @property
    def built(self) -> bool:
        return isinstance(self.release.origin, Built)

    @property
    def repacked(self) -> bool:
        """True if made from a distribution's packages instead of compiled here."""
        return self.build is not None and self.build.repacked_from != ""

    @property
    def pure(self) -> bool:
        return self.release.filename.endswith("-any.whl")

    @property
    def checks(self) -> Sequence[Check]:
        return () if self.build is None else self.build.checks

    @property
    def glibc(self) -> str:
        """The glibc that it needs, see `needed_glibc`."""
        contents = None if self.build is None else self.build.contents
        return needed_glibc(self.release.filename, None if contents is None else contents.glibc)

    @property
    def pythons(self) -> str:
        """The Pythons that its tags accept."""
        return accepted_pythons(self.release.filename)

    @property
    def time(self) -> str:
        """Time of publication, else of the build: UTC in ISO 8601, or empty."""
        finished = "" if self.build is None else self.build.finished
        return self.release.uploaded or (finished if TIME.fullmatch(finished) else "")

    def kind_for(self, python: str) -> str:
        """Return the state that this wheel gives for a Python, MISSING if unfit."""
        origin = self.release.origin
        if isinstance(origin, Built) and python in origin.pythons:
            return BUILT
        if not serves(self.release.filename, python):
            return MISSING
        if isinstance(origin, Built):
            return UNCHECKED
        return PURE if self.pure else UPSTREAM


def make_wheel(release: Release, report: WheelReport | None, texts: Container[str] = ()) -> Wheel:
    """Make a wheel from its release and its report, if there is one.

    `texts` are the sha256 of the recipes and patches that the ledger has.
    """
    build = None if report is None else report.build
    here = f"{FILES}{quote_path(release.filename)}"
    logs = {}
    for log in () if build is None else build.logs:
        title, ending = _log_names(log.stage, log.python)
        logs[title] = f"{here}{ending}"
    # A wheel that moved to another server may have left its provenance file here.
    left = release.provenance_sha256 is not None and (release.url is None or release.provenance_url is None)
    return Wheel(
        release=release,
        report=report,
        build=build,
        address=file_link(release),
        provenance=f"{here}{PROVENANCE_SUFFIX}" if left else release.provenance_url,
        sbom=None if build is None else sbom_name(here),
        statements=f"{here}{STATEMENTS_SUFFIX}" if build is not None and build.statements else None,
        licenses=f"{here}{LICENSES_SUFFIX}" if build is not None and build.license_texts else None,
        logs=logs,
        texts={} if build is None else {each: text_name(each) for each in texts_named(build) if each in texts},
    )


def text_name(sha256: str) -> str:
    """Return the file name of a recipe's or patch's text.

    It is in the folder of the project's pages.
    """
    return f"text-{sha256[:16]}.txt"


def log_title(stage: str, python: str) -> str:
    """Return the title of a stage's log, or of a check's log for one Python."""
    return f"{stage} on Python {python}" if python else stage


@lru_cache
def _log_names(stage: str, python: str) -> tuple[str, str]:
    """Return a log's title, and the suffix of its address after the wheel's file name."""
    return log_title(stage, python), quote_path(log_name("", Log(stage=stage, python=python, sha256="")))


def sanitize_release(release: Release) -> Release:
    """Sanitize the text of a release for pages; simple pages keep the original."""
    changed = {
        name: clean
        for name in RELEASE_FIELDS
        if isinstance(text := getattr(release, name), str) and (clean := sanitize(text)) != text
    }
    return replace(release, **changed) if changed else release


def profiles_of(wheels: Iterable[Wheel]) -> tuple[str, ...]:
    """Return the profiles on which any of the wheels passed its checks."""
    names: set[str] = set()
    for wheel in wheels:
        if isinstance(wheel.release.origin, Built):
            names.update(wheel.release.origin.profiles)
    return sort_profiles(names)


def sort_profiles(names: Iterable[str]) -> tuple[str, ...]:
    """Sort profiles from the plainest to the most demanding, unknown ones last."""
    return _sort(frozenset(names))


@lru_cache
def _sort(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=profile_rank))


@lru_cache
def profile_rank(profile: str) -> tuple[int, str]:
    """Return the sort key of a profile."""
    return (list(PROFILES).index(profile) if profile in PROFILES else len(PROFILES), profile)
