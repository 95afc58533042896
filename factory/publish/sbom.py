"""Bills of materials beside published wheels, made from the ledger's reports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from factory.model.artifacts import AppliedPatch, LibraryOrigin
from factory.model.materials import BundledLibrary, Materials
from factory.publish.release import TIME, Built, Release
from factory.publish.reports import Build, Bundled, Contents, Package, WheelReport, report_path, with_reports
from factory.sbom import cyclonedx
from factory.sbom.cyclonedx import Publication, bill_of_materials
from factory.util.atomic_files import changed_at, write_if_changed

_NO_CONTENTS = Contents(libraries=0, glibc=None, dispatched=(), system_libraries=())


def sbom_name(filename: str) -> str:
    """Return the file name of a wheel's bill of materials, in the wheel's folder."""
    return f"{filename}.cdx.json"


def write_sboms(releases: Sequence[Release], ledger: Path, out: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write `<out>/files/<wheel>.cdx.json` of every wheel built here.

    Return new and changed ones. A file newer than its inputs is not read, unless `force`.

    Raises:
        PublishError: a report of the ledger is damaged.
    """
    program = max(map(changed_at, (__file__, cyclonedx.__file__)))
    stale = [release for release in releases if force or _is_stale(release, program, ledger, out)]
    paths = ((out / "files" / name, content) for name, content in sboms(stale, ledger))
    return tuple(path for path, content in paths if _write(path, content))


def _write(path: Path, content: bytes) -> bool:
    """Write a file, or touch one with that content; return whether it is new or changed."""
    changed = write_if_changed(path, content)
    if not changed:
        os.utime(path)
    return changed


def _is_stale(release: Release, program: int, ledger: Path, out: Path) -> bool:
    """Report whether the SBOM is older than this `program`, its ledger entry or its report."""
    if not isinstance(release.origin, Built):
        return False
    written = changed_at(f"{out}/files/{sbom_name(release.filename)}")
    entry = f"{ledger}/{release.project}/{release.filename}.json"
    made_of = (entry, report_path(ledger, release.project, release.filename))
    return program >= written or any(changed_at(path) >= written for path in made_of)


def sboms(releases: Sequence[Release], ledger: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of every bill of materials in the order of the releases.

    Raises:
        PublishError: as `write_sboms`.
    """
    for release, report in with_reports(releases, ledger):
        if report is not None and report.build is not None:
            yield sbom_name(release.filename), sbom(release, report, report.build)


def sbom(release: Release, report: WheelReport, build: Build) -> bytes:
    """Return the bill of materials of one wheel."""
    publication = Publication(
        sha256=release.sha256,
        url=release.url,
        summary=report.summary,
        license=report.license,
        timestamp=build.finished if _is_time(build.finished) else "",
        properties={"baseline": build.baseline, "build-record": build.record, "mode": build.mode},
        toolchain=build.toolchain,
        requirements=build.requirements,
    )
    return bill_of_materials(materials_of(release, build), publication)


def materials_of(release: Release, build: Build) -> Materials:
    """Return the materials of a wheel according to its report."""
    contents = build.contents or _NO_CONTENTS
    patches = ((patch.name, patch.sha256 or "", patch.upstream_status) for patch in build.patches)
    return Materials(
        filename=release.filename,
        project=release.project,
        version=release.version,
        source_sha256=build.source_sha256,
        patches=[AppliedPatch(name=name, sha256=sha256, upstream_status=status) for name, sha256, status in patches],
        sources=[each for each in build.sources or () if each.urls],
        repacked_from=build.repacked_from,
        repacked=build.repacked,
        bundled=[_bundled(each) for each in contents.bundled or ()],
        crates=build.crates or (),
        sboms=contents.sboms,
        licenses=contents.licenses or (),
    )


def _bundled(library: Bundled) -> BundledLibrary:
    return BundledLibrary(path=library.path, sha256=library.sha256, origin=_origin(library.package))


def _origin(package: Package | None) -> LibraryOrigin | None:
    if package is None:
        return None
    return LibraryOrigin(
        kind=package.kind, name=package.name, version=package.version, architecture=package.architecture
    )


def _is_time(text: str) -> bool:
    return TIME.fullmatch(text.replace("+00:00", "Z")) is not None
