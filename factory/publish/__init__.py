"""Publishing: what the store holds becomes a ledger of releases and a static package index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from factory.errors import PublishError
from factory.model import LogSink, StoredWheel, Target
from factory.publish.ledger import Built, Ledger, Mirrored, Release
from factory.publish.mirror import fetch_again, mirror_dependencies
from factory.publish.simple import write_simple
from factory.publish.wheels import describe_wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What `publish` did: every release of the index, those new to the ledger, and the files it wrote."""

    releases: tuple[Release, ...]
    added: tuple[Release, ...]
    changed: tuple[Path, ...]


def publish(
    candidates: Sequence[StoredWheel], *, ledger: Ledger, output: Path, mirror: Path, target: Target, log: LogSink
) -> Publication:
    """Publish `candidates` and their run-time dependencies, and write the index of the whole ledger to `output`.

    Everything is looked at before the ledger is touched, so a refusal publishes nothing; a killed run is finished by
    the next one. `mirror` is the folder that keeps dependencies, see `mirror_dependencies`. The ledger stays locked
    throughout: of two publishers, the later one writes the pages of both.

    Raises:
        PublishError: a candidate's checks passed on no profile, its file name was published with other bytes, a
            dependency can't be had, or a published file is nowhere to be found.
    """
    with ledger.locked():
        built = [describe_candidate(candidate) for candidate in candidates]
        ledger.verify_all(built)
        published = ledger.read()
        sources = _Sources({wheel.sha256: wheel.path for wheel in candidates}, (mirror, output / "files"))
        fetch_again(sources.missing_mirrored(published), target=target, cache=mirror, log=log)
        dependencies = _dependencies((*published, *built), sources, target, mirror, log)
        releases = [*built, *(describe_wheel(path, Mirrored()) for path in dependencies)]
        ledger.verify_all(releases)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for release in releases:
            ledger.add(replace(release, uploaded=release.uploaded or now))
        return _write(ledger, published, sources, output)


def _dependencies(
    releases: Sequence[Release], sources: _Sources, target: Target, mirror: Path, log: LogSink
) -> list[Path]:
    """What our wheels need on each Python that they were checked on."""
    ours: dict[Path, set[str]] = {}
    for release in releases:
        if isinstance(release.origin, Built):
            ours.setdefault(sources.locate(release), set()).update(release.origin.pythons)
    needed: set[Path] = set()
    for python in sorted(set().union(*ours.values())):
        wheels = sorted(path for path, pythons in ours.items() if python in pythons)
        others = sorted(ours.keys() - set(wheels))
        needed.update(mirror_dependencies(wheels, others, target=replace(target, python=python), cache=mirror, log=log))
    return sorted(needed)


def _write(ledger: Ledger, before: Sequence[Release], sources: _Sources, output: Path) -> Publication:
    releases = ledger.read()
    added = tuple(release for release in releases if release not in before)
    return Publication(releases=releases, added=added, changed=write_simple(releases, sources.locate, output))


def describe_candidate(candidate: StoredWheel) -> Release:
    """The release that a stored wheel becomes.

    Raises:
        PublishError: it passed its checks on no profile, or its bytes are no longer those that were checked.
    """
    name = candidate.path.name
    if not candidate.profiles:
        raise PublishError(
            f"{name} is not published: its checks passed on no ISA profile", hint=f"run: factory check {candidate.path}"
        )
    release = describe_wheel(
        candidate.path, Built(record=candidate.record_key, profiles=candidate.profiles, pythons=candidate.pythons)
    )
    if release.sha256 != candidate.sha256:
        raise PublishError(
            f"{name} is not published: it changed after its checks\n"
            f"  checked sha256 {candidate.sha256}\n"
            f"  found   sha256 {release.sha256}",
            hint="the store is damaged; build the package again",
        )
    return release


class _Sources:
    """Where the bytes of releases are: in the store by sha256, or by name in the mirror or the written index."""

    def __init__(self, stored: dict[str, Path], folders: tuple[Path, ...]) -> None:
        self._stored = stored
        self._folders = folders

    def locate(self, release: Release) -> Path:
        path = self._find(release)
        if path is None:
            raise PublishError(
                f"{release.filename} is in the ledger, but the file is nowhere to be found",
                hint=f"put the published file (sha256 {release.sha256}) into {self._folders[-1]}",
            )
        return path

    def missing_mirrored(self, releases: Sequence[Release]) -> tuple[Release, ...]:
        """Mirrored releases whose files are gone; their own project still has them."""
        return tuple(
            release for release in releases if isinstance(release.origin, Mirrored) and self._find(release) is None
        )

    def _find(self, release: Release) -> Path | None:
        places = (self._stored.get(release.sha256), *(folder / release.filename for folder in self._folders))
        return next((path for path in places if path is not None and path.is_file()), None)
