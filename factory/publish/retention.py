"""Which builds the pages list. What they don't list any more stays where it is, with the bytes that it had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from packaging.utils import BuildTag, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.ledger import Built, Release


def retained(
    releases: Sequence[Release], names: Collection[str], *, builds: int, versions: int | None = None
) -> list[Release]:
    """What we built of the projects `names` (all if there are none), with `listed` as it should be.

    Of each version the `builds` newest build tags are listed for each Python and platform, and of the versions the
    newest `versions`, None for all.

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
    newest = sorted({Version(release.version) for release in published}, reverse=True)[:versions]
    alike: dict[tuple[Version, str], list[Release]] = defaultdict(list)
    for release in published:
        # Python, ABI and platform: the last three parts of a name, whether or not it has a build tag before them.
        alike[Version(release.version), "-".join(release.filename.split("-")[-3:])].append(release)
    kept = {
        release.filename
        for (version, _tags), files in alike.items()
        if version in newest
        for release in sorted(files, key=_build, reverse=True)[:builds]
    }
    return [replace(release, listed=release.filename in kept) for release in published]


def _build(release: Release) -> BuildTag:
    return parse_wheel_filename(release.filename)[2]
