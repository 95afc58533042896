"""Wheels and what they depend on become releases of the ledger, and files of the index.

What asks the network is imported where it is asked, here and in commands: pypi-simple and requests take as long to
import as everything else together, and most commands need neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from factory.errors import PublishError
from factory.model.artifacts import StoredWheel
from factory.model.target import Target
from factory.publish.file_locations import Sources, sources_of
from factory.publish.ledger import Built, Ledger, Mirrored, Origin, Release, now, ordered
from factory.publish.mirror import Mirror, fetch_again, here, opened_mirror
from factory.publish.placement import write_files
from factory.publish.resolution_cache import Resolved, Root, roots_of
from factory.publish.resolver import Pin, Unresolvable
from factory.publish.wheel_metadata import METADATA, describe_wheel, provenance_of, read_provenance
from factory.util.log import LogSink

OpenMirror = Callable[[Sequence[Release]], AbstractContextManager[Mirror]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What `publish` did: every release of the index, those new or changed in it, and the files that it put there.

    `notes` are for whoever publishes: what is published, but not as it could be.
    """

    releases: tuple[Release, ...]
    added: tuple[Release, ...]
    changed: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms wheels are published.

    `may_shadow` are the normalized projects that may have the name of a project of the configured index. `base` is the
    address of the folder that the wheels were uploaded to, None where the index has them itself. With `mirror` it has
    other projects' files itself too, else it links to them. `address` is the index's own, None where it is not known:
    links to provenance have to be whole.
    """

    may_shadow: frozenset[str] = frozenset()
    base: str | None = None
    mirror: bool = False
    address: str | None = None


def publish(
    candidates: Sequence[StoredWheel],
    *,
    ledger: Ledger,
    output: Path,
    store: Path,
    mirror: Path,
    target: Target,
    log: LogSink,
    terms: Terms = Terms(),
) -> Publication:
    """Publish `candidates` and their run-time dependencies: note them in the ledger, and put the files into `output`.

    The pages that link to them are the caller's to write next (`factory.site.writer`). Everything is looked at, and
    every file is in its place, before the ledger is touched: a refusal publishes nothing, and what the ledger names can
    be had; a killed run is finished by the next one. `store` is the folder of stored wheels, and `mirror` the one that
    keeps dependencies, see `opened_mirror`. The ledger stays locked throughout.

    What is published already is resolved again only where its dependencies may have changed, see
    `factory.publish.resolution_cache`; where they can't be had any more, a note says so, and all else is published.

    Raises:
        PublishError: a candidate's checks passed on no profile, its file name was published with other bytes, its
            project has the name of another one on the configured index, a dependency can't be had, or a published
            file is nowhere to be found.
    """
    with ledger.locked():
        published = ledger.read()
        known = {release.filename: release for release in published}
        built = [describe_candidate(candidate, known.get(candidate.path.name)) for candidate in candidates]
        ledger.verify_all(built)
        built = _named(built, published, terms.may_shadow)
        built = [_addressed(release, terms.address) for release in built]
        described, built = built, built if terms.base is None else _moved(built, terms.base)
        sources = sources_of(candidates, store=store, mirror=mirror, output=output)
        fetch_again(sources.missing_mirrored(published), target=target, cache=mirror, log=log)
        resolved = Resolved(ledger.folder, target)
        opened = partial(opened_mirror, target=target, cache=mirror, log=log)
        dependencies = _dependencies(built, published, sources, resolved, opened)
        copied = [describe_wheel(path, Mirrored()) for path in dependencies.files]
        releases = [*built, *_mirrored(copied, known, terms)]
        ledger.verify_all(releases)
        after = dict(known)
        for release in releases:
            after.setdefault(release.filename, replace(release, uploaded=release.uploaded or now()))
        after |= {release.filename: release for release in _as_known_now(built, after)}
        everything = ordered(after.values())
        changed = write_files(everything, sources.locate, output)
        added = tuple(release for release in everything if _differs(release, known.get(release.filename)))
        for release in added:
            ledger.add(release)
        ledger.update(added)
        if dependencies.found:
            resolved.keep(dependencies.found, everything)
        return Publication(
            releases=everything,
            added=added,
            changed=changed,
            notes=(*dependencies.notes, *_without_metadata(described, built)),
        )


def _named(built: Sequence[Release], published: Sequence[Release], may_shadow: frozenset[str]) -> list[Release]:
    """The releases with what their projects track; only for a release that is new the index is asked."""
    known = {release.filename for release in published}
    projects = sorted({release.project for release in built if release.filename not in known})
    if not projects:
        return list(built)
    from factory.publish.upstream_index import configured_upstream

    with configured_upstream() as upstream:
        pages = {project: upstream.page_url(project) for project in projects}
    shadowing = [project for project, page in pages.items() if page is not None and project not in may_shadow]
    if shadowing:
        raise PublishError(
            f"the package index has projects of these names already: {', '.join(shadowing)}",
            hint="if these are the same, write shadows-upstream = true under [package] in the recipe; else rename it",
        )
    return [replace(release, tracks=pages.get(release.project)) for release in built]


def _moved(built: Sequence[Release], base: str) -> list[Release]:
    from factory.publish.remote_files import moved

    return list(moved(built, base))


def _without_metadata(described: Sequence[Release], moved: Sequence[Release]) -> list[str]:
    """A note for each wheel whose METADATA is not offered by itself where it lies."""
    return [
        f"{after.filename} is published, but installers have to fetch all of it to read its METADATA: "
        f"{after.url}{METADATA} is not there, or has other bytes\n"
        f"  hint: make it with factory publish {after.filename} --write-metadata DIR, upload it, and publish again"
        for before, after in zip(described, moved, strict=True)
        if before.metadata_sha256 is not None and after.metadata_sha256 is None
    ]


def _mirrored(copied: Sequence[Release], known: Collection[str], terms: Terms) -> list[Release]:
    """What is new of our dependencies, with what their own index says of them: links to the files there, or copies.

    Copies are for where they are asked for, and for files whose address isn't for everybody to see.
    """
    new = [release for release in copied if release.filename not in known]
    if not new:
        return []
    from factory.publish.upstream_index import configured_upstream

    with configured_upstream() as upstream:
        linked = [upstream.linked(release) for release in new]
    return [
        _copy_of(link, copy) if terms.mirror or link.url is None else link
        for link, copy in zip(linked, new, strict=True)
    ]


def _copy_of(link: Release, copy: Release) -> Release:
    return replace(link, url=None, metadata_sha256=copy.metadata_sha256)


def _addressed(release: Release, address: str | None) -> Release:
    """With the address of the provenance that the index will have."""
    if release.provenance_sha256 is None or address is None:
        return release
    name = quote(provenance_of(Path(release.filename)).name)
    return replace(release, provenance_url=f"{address.rstrip('/')}/files/{name}")


def _as_known_now(built: Sequence[Release], published: Mapping[str, Release]) -> list[Release]:
    """The published releases with where their files are now, later provenance, and where they were run since."""
    return [
        replace(before, origin=_both(before.origin, release.origin), **_place(release), **_provenance(release, before))
        for release, before in ((release, published[release.filename]) for release in built)
    ]


def _both(before: Origin, now: Origin) -> Origin:
    """What we built, with the profiles and Pythons of both; another machine's store may have other checks of it."""
    if not isinstance(before, Built) or not isinstance(now, Built):
        return before
    profiles = tuple(dict.fromkeys((*before.profiles, *now.profiles)))
    return Built(record=before.record, profiles=profiles, pythons=tuple(sorted({*before.pythons, *now.pythons})))


def _place(release: Release) -> dict[str, Any]:
    return {} if release.url is None else {"url": release.url, "metadata_sha256": release.metadata_sha256}


def _provenance(release: Release, before: Release) -> dict[str, Any]:
    """That of a wheel that lies elsewhere is there too, whatever lies beside the wheel here."""
    if release.provenance_sha256 is None or (before.url is not None and release.url is None):
        return {}
    return {"provenance_sha256": release.provenance_sha256, "provenance_url": release.provenance_url}


def _at_hand(releases: Sequence[Release], sources: Sources) -> Mapping[str, Path]:
    """Where the files are that this machine has, by their names; every file that the index has itself is among them."""
    found = ((release.filename, sources.at_hand(release)) for release in releases)
    return {filename: path for filename, path in found if path is not None}


def _linked_here(release: Release, at_hand: Mapping[str, Path]) -> Release:
    path = at_hand.get(release.filename)
    return release if path is None else here(release, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dependencies:
    """What wheels of ours need: copies that are at hand, the versions for each root, and what can't be had any more."""

    files: tuple[Path, ...] = ()
    found: Mapping[Root, Sequence[Pin]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _dependencies(
    built: Sequence[Release], published: Sequence[Release], sources: Sources, resolved: Resolved, opened: OpenMirror
) -> _Dependencies:
    """What our wheels need of which that isn't known; the mirror is opened for those alone.

    What a wheel that isn't at hand needs was found when it was published.
    """
    at_hand = _at_hand((*built, *published), sources)
    known = {release.filename for release in published}
    together = {release.filename: release for release in (*built, *published)}
    listed = (each for each in (*built, *published) if together[each.filename].listed)
    stale = resolved.stale(roots_of(each for each in listed if each.filename in at_hand), together.values())
    if not stale:
        return _Dependencies()
    with opened([_linked_here(release, at_hand) for release in together.values()]) as mirror:
        return _needed(stale, mirror, roots_of(release for release in built if release.filename not in known))


def _needed(roots: Sequence[Root], mirror: Mirror, new: Sequence[Root]) -> _Dependencies:
    """What the roots need. One that is new and can't have it is refused, one that is published is noted."""
    files: set[Path] = set()
    found: dict[Root, Sequence[Pin]] = {}
    notes = []
    for root in roots:
        try:
            needed = mirror.needed_by(root.requirement, root.python)
        except Unresolvable as error:
            if root in new:
                raise
            notes.append(f"{root} is published, but can't be installed from this index any more: {error.message}")
        else:
            files.update(needed.files)
            found[root] = needed.pins
    return _Dependencies(files=tuple(sorted(files)), found=found, notes=tuple(notes))


def _differs(release: Release, before: Release | None) -> bool:
    return release is not before and release != before


def describe_candidate(candidate: StoredWheel, published: Release | None) -> Release:
    """The release that a stored wheel becomes; `published` is what the ledger has under its file name.

    A wheel that is published is not read again: its bytes are compared where they are put into the index.

    Raises:
        PublishError: it passed its checks on no profile, its bytes are no longer those that were checked, or the
            provenance beside it is not its own.
    """
    name = candidate.path.name
    if not candidate.profiles:
        raise PublishError(
            f"{name} is not published: its checks passed on no ISA profile", hint=f"run: factory check {candidate.path}"
        )
    origin = Built(record=candidate.record_key, profiles=candidate.profiles, pythons=candidate.pythons)
    release = _described_before(candidate, origin, published) or describe_wheel(candidate.path, origin)
    if release.sha256 != candidate.sha256:
        raise PublishError(
            f"{name} is not published: it changed after its checks\n"
            f"  checked sha256 {candidate.sha256}\n"
            f"  found   sha256 {release.sha256}",
            hint="the store is damaged; build the package again",
        )
    return replace(release, provenance_sha256=read_provenance(candidate.path, release.sha256))


def _described_before(candidate: StoredWheel, origin: Built, published: Release | None) -> Release | None:
    """What `describe_wheel` gives, out of the ledger; None where that doesn't have all of it."""
    if published is None or published.metadata_sha256 is None or published.sha256 != candidate.sha256:
        return None
    if not candidate.path.is_file() or candidate.path.stat().st_size != published.size:
        return None
    return Release(
        filename=published.filename,
        project=published.project,
        version=published.version,
        sha256=published.sha256,
        size=published.size,
        requires_python=published.requires_python,
        metadata_sha256=published.metadata_sha256,
        origin=origin,
    )
