"""Publishing: wheels become releases of the ledger and files of the index.

Modules that use the network are imported where they are needed, here and in commands: importing pypi-simple and
requests takes as long as everything else together, and most commands need neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from factory.errors import PublishError
from factory.model.artifacts import StoredWheel
from factory.model.target import Target
from factory.publish.candidates import describe_candidates
from factory.publish.dependencies import Admit, Dependencies, Spare, resolve_dependencies
from factory.publish.file_locations import FileLocations
from factory.publish.index_files import write_files
from factory.publish.ledger import Ledger
from factory.publish.mirror import open_mirror, refetch
from factory.publish.provenance import provenance_path
from factory.publish.release import Built, Mirrored, Origin, Release, now, sort_releases
from factory.publish.resolution_cache import ResolutionCache
from factory.publish.wheel_metadata import METADATA_SUFFIX, describe_wheel
from factory.util.atomic_files import sync_trees
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Result of `publish`: all releases, new or changed ones, written files, notes, refusals.

    A note names a release that is published with a defect, such as METADATA that installers can't fetch. A refusal says
    why a candidate is not published.
    """

    releases: tuple[Release, ...]
    added: tuple[Release, ...]
    changed: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[PublishError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Options of `publish`.

    - `may_shadow`: normalized projects that may have the name of a project of the configured package index.
    - `bases`: address of the folder that a wheel was uploaded to, by its file name; the index holds the others itself.
    - `mirror`: copy other projects' files into the index instead of linking to them.
    - `address`: address of the index, None if unknown; links to provenance have to be absolute.
    """

    may_shadow: frozenset[str] = frozenset()
    bases: Mapping[str, str] = field(default_factory=dict)
    mirror: bool = False
    address: str | None = None


def publish(
    candidates: Sequence[StoredWheel],
    *,
    offered: Sequence[StoredWheel] = (),
    ledger: Ledger,
    output: Path,
    store: Path,
    mirror: Path,
    target: Target,
    log: LogSink,
    terms: Terms = Terms(),
) -> Publication:
    """Publish `candidates` and their run-time dependencies.

    This adds entries to the ledger and files to `output`. Of `offered`, wheels that were built here too, it publishes
    those that the dependencies need.

    The caller writes the pages next (`factory.site.writer`). Everything is verified and every file is in place before
    the ledger is written: every file that the ledger names exists, and the next run completes an interrupted one. The
    ledger stays locked throughout. `store` is the folder of stored wheels, `mirror` the one that keeps dependencies,
    see `open_mirror`.

    A candidate is refused, and everything else is published, if its checks passed on no profile or its bytes changed
    after them, if its file name was published with other bytes, if its project has the name of another one on the
    configured index, if its upload is not found, or if a dependency can't be resolved.

    A published wheel is resolved again only where its dependencies may have changed, see
    `factory.publish.resolution_cache`; if that fails, a note says so.

    Raises:
        PublishError: two candidates have one file name, or a published file is not found.
    """
    with ledger.locked():
        published = ledger.read()
        known = {release.filename: release for release in published}
        locations = FileLocations((*candidates, *offered), store=store, mirror=mirror, output=output)
        cache = ResolutionCache(ledger.folder, target)
        admit = partial(_admit, known=known, ledger=ledger, terms=terms)
        described, notes, refused = _describe_built(candidates, known, admit, terms)
        unpublished = [each for each in offered if each.path.name not in known]
        spare = Spare(releases=describe_candidates(unpublished, known)[0], admit=admit)
        open_cached = partial(open_mirror, target=target, cache=mirror, log=log)
        refetch(locations.missing_mirrored(published), target=target, cache=mirror, log=log)
        built, dependencies = resolve_dependencies(described, published, spare, locations, cache, open_cached)
        releases = [*built, *_describe_mirrored(dependencies, published, terms)]
        ledger.verify_all(releases)
        merged = _merge(published, built, releases)
        publication = _write(merged, published, ledger, locations, output)
        if dependencies.found:
            cache.keep(dependencies.found, merged)
        return dataclasses.replace(
            publication, notes=(*dependencies.notes, *notes), refused=(*refused, *dependencies.refused)
        )


def _describe_built(
    candidates: Sequence[StoredWheel], known: Mapping[str, Release], admit: Admit, terms: Terms
) -> tuple[Sequence[Release], list[str], list[PublishError]]:
    """Describe the candidates as releases at their final addresses.

    The second value holds notes on uploads without METADATA, the third the refusals of candidates that are left out.
    """
    described, unfit = describe_candidates(candidates, known)
    built, refused = admit(described)
    if not terms.bases:
        return built, [], [*unfit, *refused]
    from factory.publish.remote_files import relocate

    placed, missing = relocate(built, terms.bases)
    return placed, _note_missing_metadata(built, placed), [*unfit, *refused, *missing]


def _admit(
    described: Sequence[Release], *, known: Collection[str], ledger: Ledger, terms: Terms
) -> tuple[Sequence[Release], Sequence[PublishError]]:
    """Return the releases that may be published, and refusals of the others.

    The releases have the projects that they track.
    """
    acceptable, conflicts = _without_conflicts(described, ledger)
    tracked, shadowing = _add_tracked_projects(acceptable, known, terms.may_shadow)
    return [_add_provenance_url(release, terms.address) for release in tracked], [*conflicts, *shadowing]


def _without_conflicts(
    described: Sequence[Release], ledger: Ledger
) -> tuple[Sequence[Release], Sequence[PublishError]]:
    """Leave out the releases that the ledger refuses, and return its refusals."""
    acceptable, refused = [], []
    for release in described:
        try:
            ledger.verify(release)
        except PublishError as error:
            refused.append(error)
        else:
            acceptable.append(release)
    return acceptable, refused


def _add_tracked_projects(
    built: Sequence[Release], known: Collection[str], may_shadow: frozenset[str]
) -> tuple[Sequence[Release], Sequence[PublishError]]:
    """Set the page that each project tracks.

    The package index is asked about new releases only. Those of projects that it has, and that the recipe does not
    permit to shadow, are left out and refused.
    """
    projects = sorted({release.project for release in built if release.filename not in known})
    if not projects:
        return built, []
    from factory.publish.upstream_index import configured_upstream

    with configured_upstream() as upstream:
        pages = {project: upstream.page_url(project) for project in projects}
    shadowing = [project for project, page in pages.items() if page is not None and project not in may_shadow]
    permitted = [release for release in built if release.filename in known or release.project not in shadowing]
    tracked = [replace(release, tracks=pages.get(release.project)) for release in permitted]
    return tracked, [_shadowing(project) for project in shadowing]


def _shadowing(project: str) -> PublishError:
    return PublishError(
        f"{project}: cannot publish: the package index already has a project of this name",
        hint="if it is the same project, add shadows-upstream = true under [package] in the recipe; else rename it",
    )


def _add_provenance_url(release: Release, address: str | None) -> Release:
    """Set the address that the provenance will have in the index."""
    if release.provenance_sha256 is None or address is None:
        return release
    name = quote(provenance_path(Path(release.filename)).name)
    return replace(release, provenance_url=f"{address.rstrip('/')}/files/{name}")


def _note_missing_metadata(built: Sequence[Release], uploaded: Sequence[Release]) -> list[str]:
    """Make a note for each uploaded wheel without METADATA beside it."""
    has_metadata = {release.filename: release.metadata_sha256 is not None for release in built}
    return [
        f"{after.filename}: METADATA is missing or has other bytes: {after.url}{METADATA_SUFFIX}: installers have to "
        "fetch the whole wheel to read it\n"
        f"  hint: write it with factory publish {after.filename} --write-metadata DIR, upload it, and publish again"
        for after in uploaded
        if has_metadata[after.filename] and after.metadata_sha256 is None
    ]


def _describe_mirrored(dependencies: Dependencies, published: Sequence[Release], terms: Terms) -> Sequence[Release]:
    """Describe new dependencies as links to their own index, or as copies.

    Files are copied on request (`Terms.mirror`), and where their address is not public.
    """
    known = {release.filename for release in published}
    copies = [describe_wheel(path, Mirrored()) for path in dependencies.files]
    new = [release for release in copies if release.filename not in known]
    if not new:
        return []
    from factory.publish.upstream_index import configured_upstream

    with configured_upstream() as upstream:
        linked = [upstream.linked(release) for release in new]
    return [
        replace(link, url=None, metadata_sha256=copy.metadata_sha256) if terms.mirror or link.url is None else link
        for link, copy in zip(linked, new, strict=True)
    ]


def _merge(published: Sequence[Release], built: Sequence[Release], releases: Sequence[Release]) -> tuple[Release, ...]:
    """Merge new releases into published ones, and update their addresses and checks."""
    merged = {release.filename: release for release in published}
    for release in releases:
        merged.setdefault(release.filename, replace(release, uploaded=release.uploaded or now()))
    merged |= {release.filename: _update(merged[release.filename], release) for release in built}
    return sort_releases(merged.values())


def _update(before: Release, release: Release) -> Release:
    """Update a published release: address, later provenance, checks passed since."""
    fields: dict[str, Any] = {"origin": _merge_origins(before.origin, release.origin)}
    if release.url is not None:
        fields |= {"url": release.url, "metadata_sha256": release.metadata_sha256}
    # Provenance of a linked wheel is beside the upload; a local file beside the wheel does not replace it.
    if release.provenance_sha256 is not None and (before.url is None or release.url is not None):
        fields |= {"provenance_sha256": release.provenance_sha256, "provenance_url": release.provenance_url}
    return replace(before, **fields)


def _merge_origins(before: Origin, after: Origin) -> Origin:
    """Merge the profiles and Pythons of both.

    Another machine's store may have other checks of the same wheel.
    """
    if not isinstance(before, Built) or not isinstance(after, Built):
        return before
    profiles = tuple(dict.fromkeys((*before.profiles, *after.profiles)))
    return Built(record=before.record, profiles=profiles, pythons=tuple(sorted({*before.pythons, *after.pythons})))


def _write(
    merged: tuple[Release, ...],
    published: Sequence[Release],
    ledger: Ledger,
    locations: FileLocations,
    output: Path,
) -> Publication:
    """Write the files of the index, on disk before the ledger that names them."""
    changed = write_files(merged, locations.locate, output)
    if changed:
        sync_trees(output)
    added = _record(merged, published, ledger)
    return Publication(releases=merged, added=added, changed=changed)


def _record(merged: Iterable[Release], published: Sequence[Release], ledger: Ledger) -> tuple[Release, ...]:
    """Write new and changed releases to the ledger, and return them."""
    known: Mapping[str, Release] = {release.filename: release for release in published}
    added = tuple(release for release in merged if _differs(release, known.get(release.filename)))
    for release in added:
        ledger.add(release)
    ledger.update(added)
    return added


def _differs(release: Release, before: Release | None) -> bool:
    return release is not before and release != before  # most are the same object, which is fast to see
