"""Retention: the builds that the pages list.

Files that are no longer listed stay in place, unchanged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from msgspec.structs import replace
from packaging.utils import BuildTag, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.release import Built, Release


def apply_retention(
    releases: Sequence[Release], names: Collection[str], *, builds: int, versions: int | None = None
) -> list[Release]:
    """Return releases built here of projects `names` (all if empty), `listed` set.

    Listed are the `builds` newest build tags of each version, Python and platform, for the `versions` newest versions
    (None: all). Yanked versions and pre-releases are not counted, since installers skip them.

    Raises:
        PublishError: a name of which nothing was built.
    """
    projects: dict[str, list[Release]] = defaultdict(list)
    for release in releases:
        if isinstance(release.origin, Built) and (not names or release.project in names):
            projects[release.project].append(release)
    unknown = sorted(set(names) - projects.keys())
    built = sorted({release.project for release in releases if isinstance(release.origin, Built)})
    if unknown:
        raise PublishError(
            f"{', '.join(unknown)}: not in the ledger as a project that is built here",
            hint=f"projects: {', '.join(built)}",
        )
    return [release for published in projects.values() for release in _retained(published, builds, versions)]


def _retained(published: Sequence[Release], builds: int, versions: int | None) -> list[Release]:
    oldest = _oldest(published, versions)
    alike: dict[tuple[Version, str], list[Release]] = defaultdict(list)
    for release in published:
        # Python, ABI and platform are the last three parts of a file name; a build tag may come before them.
        alike[Version(release.version), "-".join(release.filename.split("-")[-3:])].append(release)
    kept = {
        release.filename
        for (version, _tags), files in alike.items()
        if oldest is None or version >= oldest
        for release in sorted(files, key=_build, reverse=True)[:builds]
    }
    return [replace(release, listed=release.filename in kept) for release in published]


def _oldest(published: Sequence[Release], versions: int | None) -> Version | None:
    """Return the oldest listed version, None for no limit.

    Only versions that installers choose are counted, or all if there are none.
    """
    found = {Version(release.version) for release in published}
    yanked = found - {Version(release.version) for release in published if release.yanked is None}
    chosen = {version for version in found - yanked if not version.is_prerelease}
    newest = sorted(chosen or found, reverse=True)[:versions]
    return newest[-1] if len(newest) == versions else None


def _build(release: Release) -> BuildTag:
    return parse_wheel_filename(release.filename)[2]
