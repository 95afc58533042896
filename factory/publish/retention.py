"""Which builds the pages list. What they don't list any more stays where it is, with the bytes that it had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from msgspec.structs import replace
from packaging.utils import BuildTag, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.ledger import Built, Release


def retained(
    releases: Sequence[Release], names: Collection[str], *, builds: int, versions: int | None = None
) -> list[Release]:
    """What we built of the projects `names` (all if there are none), with `listed` as it should be.

    Of each version the `builds` newest build tags are listed for each Python and platform, and of the versions the
    newest `versions`, None for all. Yanked versions and pre-releases don't count, since installers pass over them.

    Raises:
        PublishError: nothing was built of a name.
    """
    projects: dict[str, list[Release]] = defaultdict(list)
    for release in releases:
        if isinstance(release.origin, Built) and (not names or release.project in names):
            projects[release.project].append(release)
    unknown = sorted(set(names) - projects.keys())
    if unknown:
        raise PublishError(
            f"the ledger has nothing that was built of {', '.join(unknown)}",
            hint=f"it has: {', '.join(sorted({each.project for each in releases if isinstance(each.origin, Built)}))}",
        )
    return [release for published in projects.values() for release in _retained(published, builds, versions)]


def _retained(published: Sequence[Release], builds: int, versions: int | None) -> list[Release]:
    oldest = _oldest(published, versions)
    alike: dict[tuple[Version, str], list[Release]] = defaultdict(list)
    for release in published:
        # Python, ABI and platform: the last three parts of a name, whether or not it has a build tag before them.
        alike[Version(release.version), "-".join(release.filename.split("-")[-3:])].append(release)
    kept = {
        release.filename
        for (version, _tags), files in alike.items()
        if oldest is None or version >= oldest
        for release in sorted(files, key=_build, reverse=True)[:builds]
    }
    return [replace(release, listed=release.filename in kept) for release in published]


def _oldest(published: Sequence[Release], versions: int | None) -> Version | None:
    """The oldest of so many versions that installers choose, or of all where they choose none; None for no limit."""
    found = {Version(release.version) for release in published}
    yanked = found - {Version(release.version) for release in published if release.yanked is None}
    chosen = {version for version in found - yanked if not version.is_prerelease}
    newest = sorted(chosen or found, reverse=True)[:versions]
    return newest[-1] if len(newest) == versions else None


def _build(release: Release) -> BuildTag:
    return parse_wheel_filename(release.filename)[2]
