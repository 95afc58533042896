"""Bumps: newer versions of recipes' sources, and what changes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from factory.model.job import ProjectMetadata
from factory.model.recipe import PACKAGE_TABLE, Recipe
from factory.model.source import SOURCE_TABLE, Source
from factory.pipeline.metadata import describe_source
from factory.pipeline.run import Run
from factory.recipes.edit import repin, version_comment
from factory.recipes.loader import RECIPE_FILE, document_of
from factory.recipes.reader import declared_fields
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.util.atomic_files import write_file
from factory.util.log import LogSink
from factory.util.scratch import own_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFit:
    """A patch on a newer source; `reason` says why it does not apply, and is empty if it does."""

    patch: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """A newer version of a recipe's source; `changes` are those of what the source states.

    `comment` is the one beside the old version.
    """

    recipe: Recipe
    source: Source
    patches: tuple[PatchFit, ...]
    changes: tuple[str, ...]
    comment: str

    @property
    def version(self) -> str:
        """The newer version."""
        return self.source.version

    def pins(self) -> dict[str, str]:
        """Return the keys of the recipe's source that change, but for its version."""
        before, now = self.recipe.source, self.source
        fields = [field for field in declared_fields(type(now), SOURCE_TABLE) if field.name != "version"]
        changed = [field for field in fields if getattr(now, field.name) != getattr(before, field.name)]
        return {field.key: getattr(now, field.name) for field in changed}


def obstacle(recipe: Recipe) -> str:
    """Return why no version of a recipe can be looked up, empty if one can."""
    if found := recipe.source.bump_obstacle():
        return found
    if recipe.source.overlay is not None:
        return "its overlay states the version too: bump it by hand"
    if recipe.based_on and document_of(recipe).is_inherited((PACKAGE_TABLE, "version")):
        return f"has the version of {recipe.based_on}"
    return ""


def find_bump(recipe: Recipe, run: Run, log: LogSink) -> Bump | None:
    """Return the newest version of a recipe's source, None if it is the pinned one.

    A recipe that is based on another stays within its series, `2.4` of 2.4.6.

    Raises:
        SourceError: the source's server has no such project, cannot be read, has only wheels of newer versions, or a
            source that is not sound.
    """
    source = recipe.source.newest(newer_than(recipe))
    if source is None:
        return None
    selected = patches.select(run.recipes.patches, recipe.source)
    unpinned = bool(recipe.source.sha256) and not source.sha256
    fits: tuple[PatchFit, ...] = ()
    if selected or unpinned:
        with own_folder(run.layout.scratch, "bump", recipe.name, keep=False) as scratch:
            tree = fetch(source, run.layout.downloads, scratch, log)
            fits = tuple(PatchFit(patch=patch, reason=patches.try_apply(patch, tree, log)) for patch in selected)
            source = replace(source, sha256=tree.sha256) if unpinned else source
    old = describe_source(recipe.source, recipe.label, run)
    new = describe_source(source, f"{recipe.name} {source.version}", run)
    return Bump(
        recipe=recipe,
        source=source,
        patches=fits,
        changes=tuple(metadata_changes(old, new)),
        comment=version_comment(recipe.directory / RECIPE_FILE),
    )


def newer_than(recipe: Recipe) -> Callable[[Version], bool]:
    """Return the test whether a version is newer than the recipe's.

    Pre-releases are not, except for a recipe of a pre-release, nor versions of another series for a recipe that is
    based on another.
    """
    pinned = Version(recipe.source.version)

    def is_newer(version: Version) -> bool:
        same_series = not recipe.based_on or version.release[:2] == pinned.release[:2]
        return version > pinned and same_series and (pinned.is_prerelease or not version.is_prerelease)

    return is_newer


def metadata_changes(old: ProjectMetadata, new: ProjectMetadata) -> Iterator[str]:
    """Iterate over the changes of build requirements, backend, Requires-Python and licence."""
    before, after = _by_project(old.build_requires), _by_project(new.build_requires)
    for project in sorted(before.keys() | after.keys()):
        was, now = before.get(project, "none"), after.get(project, "none")
        if was != now:
            yield f"build requirement {project}: {was} -> {now}"
    for name, was, now in (
        ("build backend", old.build_backend, new.build_backend),
        ("Requires-Python", old.requires_python, new.requires_python),
        ("licence", old.license_line, new.license_line),
    ):
        if was != now:
            yield f"{name}: {was or 'none'} -> {now or 'none'}"


def _by_project(requirements: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for text in requirements:
        found.setdefault(canonicalize_name(Requirement(text).name), []).append(text)
    return {project: ", ".join(texts) for project, texts in found.items()}


def apply_bump(bump: Bump, run: Run) -> Sequence[int]:
    """Write a bump into its recipe, and put the patches that apply beside the old ones.

    The old ones are removed last, and only where no other recipe has their source: an interrupted bump leaves the old
    version or the new one, each with its patches. Returns the recipe's lines that still have the old version.
    """
    recipe, root = bump.recipe, run.recipes.patches
    shared = any(
        (each.source.project, each.source.version) == (recipe.source.project, recipe.source.version)
        for each in run.recipes.by_name.values()
        if each is not recipe
    )
    new, old = patches.folder_of(root, bump.source), patches.folder_of(root, recipe.source)
    applied = [fit.patch for fit in bump.patches if not fit.reason]
    for patch in applied:
        if not (new / patch.name).exists():
            write_file(new / patch.name, patch.read_bytes())
    lines = repin(recipe.directory / RECIPE_FILE, bump.version, bump.pins())
    if not shared:
        for patch in applied:
            if (new / patch.name).read_bytes() == patch.read_bytes():
                patch.unlink()
        if bump.patches and not any(old.iterdir()):
            old.rmdir()
    return lines
