"""Source distributions on the package index, found by their project's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import Version
from pypi_simple import DistributionPackage

from factory.errors import SourceError
from factory.stages.sources.package_index import NEAREST_VERSIONS, SDIST, WHEEL, list_files
from factory.stages.sources.versions import parse_version


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSdist:
    """A source distribution on the index, and the tags of the wheels of its version."""

    version: str
    filename: str
    sha256: str
    wheels: tuple[str, ...]

    @property
    def is_pure(self) -> bool:
        """Whether the version has wheels, all of which run anywhere."""
        return bool(self.wheels) and all(name.endswith("-any.whl") for name in self.wheels)


def find_sdist(project: str, version: str | None) -> PublishedSdist:
    """Find a project's sdist of a version, or the newest that is no pre-release.

    Raises:
        SourceError: the index has no such project, version or sdist, or states no hash of it.
    """
    packages = [each for each in list_files(project) if parse_version(each.version)]
    sdists = {Version(str(each.version)): each for each in packages if each.package_type == SDIST}
    wanted = _newest(project, sdists, packages) if version is None else Version(version)
    if wanted not in sdists:
        raise _no_sdist(project, wanted, sdists, packages)
    sdist = sdists[wanted]
    if "sha256" not in sdist.digests:
        raise SourceError(
            f"{project} {wanted}: the package index states no sha256 of {sdist.filename}",
            hint="download it by other means, and write source.sha256 into the recipe",
        )
    wheels = tuple(
        each.filename for each in packages if each.package_type == WHEEL and parse_version(each.version) == wanted
    )
    return PublishedSdist(
        version=str(sdist.version), filename=sdist.filename, sha256=sdist.digests["sha256"], wheels=wheels
    )


def _newest(
    project: str, sdists: Mapping[Version, DistributionPackage], packages: list[DistributionPackage]
) -> Version:
    """Return the newest version that is neither yanked nor a pre-release, if there is one.

    It need not have an sdist: an old one is not what anybody expects.
    """
    versions = {Version(str(each.version)) for each in packages if not each.is_yanked}
    stable = {each for each in versions if not each.is_prerelease}
    if not versions:
        raise _no_sdist(project, None, sdists, packages)
    return max(stable or versions)


def _no_sdist(
    project: str,
    version: Version | None,
    sdists: Mapping[Version, DistributionPackage],
    packages: list[DistributionPackage],
) -> SourceError:
    subject = project if version is None else f"{project} {version}"
    if not sdists:
        return SourceError(
            f"{subject}: the package index has no sdist of any version",
            hint="the project publishes wheels only: take a source of another kind, as docs/add-a-recipe.md says",
        )
    newest = ", ".join(map(str, sorted(sdists)[-NEAREST_VERSIONS:]))
    has_wheels = any(parse_version(each.version) == version for each in packages)
    cause = "has no sdist of this version, only wheels" if has_wheels else "has no such version"
    if version is None:
        cause = "has only yanked versions"
    return SourceError(
        f"{subject}: the package index {cause}",
        hint=f"the newest with an sdist: {newest}: factory new {project}==VERSION",
    )
