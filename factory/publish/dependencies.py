"""Run-time dependencies of the wheels built here.

They are resolved again where the last resolution may no longer hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.version import Version

from factory.errors import PublishError
from factory.publish.file_locations import FileLocations
from factory.publish.mirror import Mirror, link_to_file
from factory.publish.release import Release
from factory.publish.resolution_cache import ResolutionCache, Root, find_roots
from factory.publish.resolver import Pin, Unresolvable

OpenMirror = Callable[[Sequence[Release]], AbstractContextManager[Mirror]]
# Returns the releases that may be published, and the refusals of the others.
Admit = Callable[[Sequence[Release]], tuple[Sequence[Release], Sequence[PublishError]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """Wheels built here that are published only for a dependency.

    `admit` has to permit it.
    """

    releases: Sequence[Release]
    admit: Admit


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Dependencies of wheels.

    `files` are mirrored, `found` are pinned versions by root, and `notes` name published roots that can't be resolved.
    `refused` holds the refusals of new roots that cannot be resolved, and of spare wheels that are needed.
    """

    files: tuple[Path, ...] = ()
    found: Mapping[Root, Sequence[Pin]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: tuple[PublishError, ...] = ()


def resolve_dependencies(
    built: Sequence[Release],
    published: Sequence[Release],
    spare: Spare,
    locations: FileLocations,
    cache: ResolutionCache,
    open_mirror: OpenMirror,
) -> tuple[Sequence[Release], Dependencies]:
    """Resolve stale wheels, and select those to publish.

    Returns `built` without unresolvable ones, and with the spare ones that they need.

    A wheel is stale if its cached resolution no longer holds.

    A new wheel has to be resolvable on each Python that it was checked on. What is left is resolved without it, since
    another wheel may have been resolved to it. So is what needs a spare wheel, which is then a new one too.
    """
    refused: list[PublishError] = []
    known = {release.filename for release in published}
    while True:
        dependencies, failed = _resolve(built, published, spare.releases, locations, cache, open_mirror)
        needed = {f"{pin.project}=={Version(pin.version)}" for pins in dependencies.found.values() for pin in pins}
        used = [each for each in spare.releases if f"{each.project}=={Version(each.version)}" in needed]
        if not failed and not used:
            return built, replace(dependencies, refused=tuple(refused))
        admitted, not_admitted = spare.admit(used)
        refused += (*failed.values(), *not_admitted)
        kept = [each for each in built if each.filename in known or failed.keys().isdisjoint(find_roots([each]))]
        built = [*kept, *admitted]
        spare = replace(spare, releases=[each for each in spare.releases if each not in used])


def _resolve(
    built: Sequence[Release],
    published: Sequence[Release],
    spare: Sequence[Release],
    locations: FileLocations,
    cache: ResolutionCache,
    open_mirror: OpenMirror,
) -> tuple[Dependencies, Mapping[Root, Unresolvable]]:
    """Resolve stale wheels; the mirror is opened for those only.

    Wheels without a local file are not resolved: their dependencies were found when they were published. The second
    value holds the new roots that can't be resolved.
    """
    files = _local_files((*spare, *built, *published), locations)
    known = {release.filename for release in published}
    releases = {release.filename: release for release in (*built, *published)}
    available = {release.filename: release for release in spare} | releases
    listed = (each for each in (*built, *published) if releases[each.filename].listed)
    roots = find_roots(each for each in listed if each.filename in files)
    wanted = set(find_roots(built))
    stale = [
        *cache.find_stale((root for root in roots if root not in wanted), releases.values()),
        *cache.find_stale((root for root in roots if root in wanted), available.values()),
    ]
    if not stale:
        return Dependencies(), {}
    with open_mirror([_link_local(release, files) for release in available.values()]) as mirror:
        return _fetch(stale, mirror, find_roots(release for release in built if release.filename not in known))


def _local_files(releases: Sequence[Release], locations: FileLocations) -> Mapping[str, Path]:
    """Map file names to the files of this machine.

    Every file that the index itself holds is among them.
    """
    found = ((release.filename, locations.locate_unless_linked(release)) for release in releases)
    return {filename: path for filename, path in found if path is not None}


def _link_local(release: Release, files: Mapping[str, Path]) -> Release:
    path = files.get(release.filename)
    return release if path is None else link_to_file(release, path)


def _fetch(
    roots: Sequence[Root], mirror: Mirror, new: Sequence[Root]
) -> tuple[Dependencies, Mapping[Root, Unresolvable]]:
    """Fetch the dependencies of `roots`.

    An unresolvable root is returned if it is new, else noted.
    """
    files: set[Path] = set()
    found: dict[Root, Sequence[Pin]] = {}
    notes = []
    failed: dict[Root, Unresolvable] = {}
    for root in roots:
        try:
            needed = mirror.fetch_needed(root.requirement, root.python)
        except Unresolvable as error:
            if root in new:
                failed[root] = error
            else:
                notes.append(f"{root}: published, but no longer installable from this index: {error.message}")
        else:
            files.update(needed.files)
            found[root] = needed.pins
    return Dependencies(files=tuple(sorted(files)), found=found, notes=tuple(notes)), failed
