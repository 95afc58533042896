"""What the index's ledger keeps of each wheel's build: put together from the store, the wheel itself and its audit."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from factory.model.recipe import AuditOptions
from factory.model.record import BuildRecord
from factory.model.target import Target
from factory.pipeline.library_origins import Origins, is_bundled
from factory.publish.ledger import Built, Release
from factory.publish.logs import write_logs
from factory.publish.reports import (
    Build,
    Bundled,
    Contents,
    Dispatched,
    Package,
    WheelReport,
    build_of,
    with_reports,
    write_failures,
    write_report,
)
from factory.publish.wheel_metadata import read_words
from factory.stages.audit.auditor import LibraryReport, audit_wheel, version_numbers
from factory.store.store import Store

PARTS_OF_V = ("zve", "zvl")
SBOM = re.compile(r"[^/]+\.dist-info/sboms/.*[^/]")

Find = Callable[[Release], Path | None]
# The package that a library is from, by its path in a wheel.
FindPackage = Callable[[str], Package | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """What reports are made of, and the folder beside the wheels that logs are put into."""

    find: Find
    origins: Origins
    cache: Path
    files: Path
    force: bool


def write_reports(
    releases: Sequence[Release], ledger: Path, store: Store, find: Find, out: Path, *, force: bool = False
) -> None:
    """Keep in the ledger what the store knows of `releases`, and which builds failed last; logs go into `<out>/files/`.

    `find` gives the file of a release, or None where it is not on this machine: then an earlier report stays. `force`
    looks at every log, also where nothing seems to have changed.

    Raises:
        PublishError: a report of the ledger is damaged.
    """
    origins = Origins(store=store, records=store.records())
    records = _by_wheel(origins.records)
    sources = _Sources(find=find, origins=origins, cache=store.root.parent, files=out / "files", force=force)
    for release, known in with_reports(releases, ledger):
        report = _report(release, known, records.get(release.sha256, ()), sources)
        if report is not None and report != known:
            write_report(ledger, release.project, report)
    write_failures(ledger, store.failures(), _succeeded(origins.records))


def _succeeded(records: Iterable[BuildRecord]) -> Mapping[tuple[str, str], str]:
    """When each recipe's last build for a Python that ended well was finished; the oldest record comes first."""
    return {(record.name, record.target.python): record.finished for record in records if not record.comparison}


def _report(
    release: Release, known: WheelReport | None, records: Sequence[BuildRecord], sources: _Sources
) -> WheelReport | None:
    if known is not None and not records:
        return _with_logs_that_are_there(known, sources)
    wheel = sources.find(release)
    if wheel is None:
        return None
    summary, license_ = (known.summary, known.license) if known is not None else read_words(wheel)
    build = _build(wheel, known, records, sources) if isinstance(release.origin, Built) and records else None
    return WheelReport(filename=release.filename, summary=summary, license=license_, build=build)


def _with_logs_that_are_there(known: WheelReport, sources: _Sources) -> WheelReport:
    if known.build is None or not known.build.logs:
        return known
    logs = write_logs(known.filename, (), known.build.logs, sources.files, sources.cache, force=sources.force)
    return replace(known, build=replace(known.build, logs=logs))


def _build(wheel: Path, known: WheelReport | None, records: Sequence[BuildRecord], sources: _Sources) -> Build:
    # A wheel is read once: its bytes never change, and reading every instruction of a large one takes minutes.
    contents = known.build.contents if known is not None and known.build is not None else None
    if contents is None or contents.bundled is None:
        contents = contents_of(wheel, lambda path: sources.origins.package_of(path, records[0]))
    logs = known.build.logs if known is not None and known.build is not None else ()
    written = write_logs(wheel.name, records, logs, sources.files, sources.cache, force=sources.force)
    return build_of(records, contents, written)


def _by_wheel(records: Iterable[BuildRecord]) -> Mapping[str, Sequence[BuildRecord]]:
    found: dict[str, list[BuildRecord]] = {}
    for record in records:
        found.setdefault(record.wheel_sha256, []).append(record)
    return found


def contents_of(wheel: Path, package_of: FindPackage) -> Contents:
    """What a wheel's libraries need and hold beyond the baseline, and where those are from that the repair put there.

    A published wheel has passed its audit, so what is beyond the baseline there was declared as dispatched.

    Raises:
        AuditFailed: the file is no wheel.
    """
    libraries = audit_wheel(wheel, AuditOptions(), Target()).libraries
    own = {name for library in libraries for name in (library.soname, Path(library.path).name) if name}
    return Contents(
        libraries=len(libraries),
        glibc=max((library.glibc for library in libraries if library.glibc), key=version_numbers, default=None),
        dispatched=tuple(
            Dispatched(path=library.path, extensions=_extensions(library))
            for library in libraries
            if library.beyond_baseline
        ),
        system_libraries=tuple(sorted({name for library in libraries for name in library.needed} - own)),
        bundled=tuple(
            Bundled(path=library.path, sha256=library.sha256, package=package_of(library.path))
            for library in libraries
            if is_bundled(library.path)
        ),
        sboms=_sboms(wheel),
    )


def _sboms(wheel: Path) -> tuple[str, ...]:
    with zipfile.ZipFile(wheel) as archive:
        return tuple(sorted(name for name in archive.namelist() if SBOM.fullmatch(name)))


def _extensions(library: LibraryReport) -> tuple[str, ...]:
    """The extensions beyond the baseline, without the parts that V is made of."""
    names = {name.lower() for name in (*(use.extension for use in library.uses), *library.declares)}
    return tuple(sorted(name for name in names if "v" not in names or not name.startswith(PARTS_OF_V)))
