"""Links to other projects' files.

Requirements of upstream.toml, with all their dependencies on riscv64.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.publish.index_files import write_simple
from factory.publish.ledger import Ledger
from factory.publish.release import Built, Mirrored, Release, now
from factory.publish.reports import WheelReport, with_reports, write_report
from factory.publish.resolver import Pin, Unresolvable, open_environment, resolve
from factory.publish.upstream_index import Upstream, configured_upstream
from factory.publish.wheel_about import about_of
from factory.publish.wheel_metadata import summary_of
from factory.util.log import LogSink
from factory.util.wheel_tags import glibc_of, serves

GONE = "its project took it from its index"


def refresh(requirements: Sequence[str], *, ledger: Ledger, output: Path, log: LogSink) -> tuple[Release, ...]:
    """Resolve `requirements` on riscv64 for each Python and link to the files.

    Returns new and changed releases.

    Earlier links stay, since they may be pinned: a link is yanked while its project yanks it or has removed it, or
    while it is yanked here. Copies follow yanks too, but stay available when the project removes the file. `output` is
    the written index, which holds the files built here. Each requirement is resolved alone, so that no two have to
    agree.

    Raises:
        PublishError: a requirement can't be resolved from wheels, a file can't be linked, or the package index can't be
            read; nothing is changed.
    """
    with ledger.locked():
        published = ledger.read()
        built = [release for release in published if isinstance(release.origin, Built)]
        wanted = _hashes(_pins(requirements, built, output / "files", log), {release.project for release in built})
        mirrored = [each for each in published if isinstance(each.origin, Mirrored)]
        for release in mirrored:
            wanted.setdefault(release.project, set()).add(release.sha256)
        known = {release.filename for release in published}
        with configured_upstream() as upstream:
            found = {release.filename: release for release in _found(wanted, known, upstream)}
            described = _describe(found.values(), ledger.folder, upstream)
        new = [replace(each, uploaded=each.uploaded or now()) for name, each in found.items() if name not in known]
        _require_links(new)
        ledger.verify_all(list(found.values()))
        changed = ledger.update(
            _update(release, found.get(release.filename), upstream.page(release.project)) for release in mirrored
        )
        added = tuple(ledger.add(release) for release in new)
        for release, report in described:
            write_report(ledger.folder, release.project, report)
        return (*added, *changed)


def _describe(releases: Iterable[Release], ledger: Path, upstream: Upstream) -> Sequence[tuple[Release, WheelReport]]:
    """Report what linked files state of themselves, as far as the ledger doesn't know it."""
    known = with_reports(releases, ledger)
    unknown = [release for release, report in known if report is None or report.about is UNSET]
    fetched = ((release, upstream.metadata(release)) for release in unknown)
    return [(release, _report(release.filename, metadata)) for release, metadata in fetched if metadata is not None]


def _report(filename: str, metadata: bytes) -> WheelReport:
    summary, license_ = summary_of(metadata)
    return WheelReport(filename=filename, summary=summary, license=license_, about=about_of(metadata))


def _pins(requirements: Sequence[str], built: Sequence[Release], files: Path, log: LogSink) -> list[Pin]:
    pins: list[Pin] = []
    missing = []
    with tempfile.TemporaryDirectory(prefix="factory-closure-") as folder:
        ours = [
            replace(release, url=release.url or (files / release.filename).absolute().as_uri()) for release in built
        ]
        write_simple(ours, lambda _release: files, Path(folder))
        environment = open_environment(Path(folder) / "simple")
        for requirement in requirements:
            for python in PYTHONS:
                try:
                    pins += resolve(requirement, python=python, environment=environment, log=log)
                except Unresolvable as error:
                    missing.append(f"Python {python}: {error.message}")
    if missing:
        raise PublishError(
            "\n".join(missing), hint="remove these from upstream.toml, or write recipes for the missing packages"
        )
    return pins


def _hashes(pins: Iterable[Pin], ours: set[str]) -> dict[str, set[str]]:
    """Return the sha256 of the pinned files by project, without projects that are built here."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for pin in pins:
        if pin.project not in ours:
            wanted[pin.project] |= {
                word.partition("sha256:")[2] for word in pin.requirement.split() if "sha256:" in word
            }
    return wanted


def _found(wanted: Mapping[str, set[str]], known: Collection[str], upstream: Upstream) -> list[Release]:
    """Return wheels with these hashes that are published, or usable on the target."""

    def is_wanted(filename: str) -> bool:
        return filename in known or _is_usable(filename)

    return [each for project in sorted(wanted) for each in upstream.wheels(project, wanted[project], is_wanted)]


def _require_links(releases: Sequence[Release]) -> None:
    names = [release.filename for release in releases if release.url is None]
    if names:
        raise PublishError(
            f"{', '.join(names)}: cannot link: the address on the package index has a query, which may be a credential",
            hint="remove the packages that need these files from upstream.toml; factory index copies such dependencies "
            "of wheels built here",
        )


def _is_usable(filename: str) -> bool:
    platforms = filename.removesuffix(".whl").rpartition("-")[2].split(".")
    ours = any(each == "any" or glibc_of(each) is not None for each in platforms)
    return ours and any(serves(filename, python) for python in PYTHONS)


def _update(release: Release, found: Release | None, page: str) -> Release:
    """Update a link from its project's `page`.

    Links to another index, which were not looked up there, stay.
    """
    if found is None or found.sha256 != release.sha256:
        stays = release.url is None or release.yanked is not None or release.tracks not in (None, page)
        return release if stays else replace(release, yanked=GONE)
    ours = None if release.yanked in (GONE, release.yanked_upstream) else release.yanked
    release = replace(release, yanked=ours or found.yanked, yanked_upstream=found.yanked)
    if release.url is None or found.url is None:
        return replace(release, tracks=found.tracks)
    return replace(release, url=found.url, metadata_sha256=found.metadata_sha256)
