"""Reports of published wheels, written into the ledger from build records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from factory.model.record import BuildFailure, BuildRecord
from factory.publish.failures import write_failures
from factory.publish.license_texts import license_texts_path, write_license_texts
from factory.publish.logs import write_logs
from factory.publish.release import Built, Release
from factory.publish.reports import Build, WheelReport, build_of, contents_of, with_reports, write_report
from factory.publish.source_texts import find_texts, write_texts
from factory.publish.statement_files import copy_statements
from factory.publish.wheel_about import read_about
from factory.publish.wheel_metadata import read_summary
from factory.util.atomic_files import is_file

# Finds the file of a release; None if it is not on this machine.
Find = Callable[[Release], Path | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildHistory:
    """All build records of a store, the oldest first, and its failures.

    `cache` holds the logs that these name, and `project` the recipes and patches, if it is known.
    """

    records: Sequence[BuildRecord]
    failures: Sequence[BuildFailure]
    cache: Path
    project: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _LogCopies:
    """Source and destination of the logs beside the wheels; `force` compares all of them."""

    cache: Path
    files: Path
    force: bool


def write_reports(
    releases: Sequence[Release], ledger: Path, history: BuildHistory, find: Find, out: Path, *, force: bool = False
) -> None:
    """Write reports of `releases` and failed builds into the ledger, logs into `<out>/files/`.

    A release without a file or a record on this machine keeps its report. `force` compares every log, even if it seems
    unchanged.

    Raises:
        PublishError: a report in the ledger is damaged.
    """
    records = _by_wheel(history.records)
    logs = _LogCopies(cache=history.cache, files=out / "files", force=force)
    texts = {} if history.project is None else find_texts(history.project)
    for release, known in with_reports(releases, ledger):
        report = _report(release, known, records.get(release.sha256, ()), find, logs)
        if report is not None and report != known:
            write_report(ledger, release.project, report)
        if report is not None and report.build is not None:
            write_texts(ledger, release.project, report.build, texts)
    write_failures(ledger, history.failures, _succeeded(history.records), history.cache)


def _succeeded(records: Iterable[BuildRecord]) -> Mapping[tuple[str, str], str]:
    """Map recipe and Python to the time of the last successful build."""
    return {(record.name, record.target.python): record.finished for record in records if not record.comparison}


def _report(
    release: Release, known: WheelReport | None, records: Sequence[BuildRecord], find: Find, logs: _LogCopies
) -> WheelReport | None:
    wheel = find(release) if records or known is None or known.about is UNSET else None
    if known is not None and not records:
        known = _with_present_sidecars(known, release, logs)
        return known if wheel is None else replace(known, about=read_about(wheel))
    if wheel is None:
        return None
    summary, license_ = (known.summary, known.license) if known is not None else read_summary(wheel)
    build = _build(wheel, release, known, records, logs) if isinstance(release.origin, Built) and records else None
    about = read_about(wheel) if known is None or known.about is UNSET else known.about
    return WheelReport(filename=release.filename, summary=summary, license=license_, build=build, about=about)


def _with_present_sidecars(known: WheelReport, release: Release, logs: _LogCopies) -> WheelReport:
    """Omit logs, statements and licence texts that were lost."""
    if known.build is None or not (known.build.logs or known.build.statements or known.build.license_texts):
        return known
    has_texts = is_file(license_texts_path(logs.files, known.filename))
    written = write_logs(known.filename, (), known.build.logs, logs.files, logs.cache, force=logs.force)
    statements = copy_statements(
        logs.files / known.filename, release.sha256, known.build.statements or None, logs.files
    )
    texts = known.build.license_texts if has_texts else UNSET
    return replace(known, build=replace(known.build, logs=written, statements=statements or UNSET, license_texts=texts))


def _build(
    wheel: Path, release: Release, known: WheelReport | None, records: Sequence[BuildRecord], logs: _LogCopies
) -> Build:
    before = known.build if known is not None else None
    # A wheel's bytes never change: a complete description of its contents is kept.
    contents = before.contents if before is not None else None
    if contents is None or contents.bundled is None:
        contents = contents_of(records) or contents
    written = write_logs(
        wheel.name, records, before.logs if before is not None else (), logs.files, logs.cache, force=logs.force
    )
    signed = before.statements or None if before is not None else None
    statements = copy_statements(wheel, release.sha256, signed, logs.files)
    texts = before.license_texts or None if before is not None else None
    texts = write_license_texts(wheel, logs.files, texts, force=logs.force)
    return replace(build_of(records, contents, written, statements), license_texts=texts or UNSET)


def _by_wheel(records: Iterable[BuildRecord]) -> Mapping[str, Sequence[BuildRecord]]:
    found: dict[str, list[BuildRecord]] = {}
    for record in records:
        found.setdefault(record.wheel_sha256, []).append(record)
    return found
