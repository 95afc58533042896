"""Selection of recipes: all, or those that a change of the project touches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.errors import CommandFailed, FactoryError, PythonExcluded, RecipeError
from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.model.record import BuildFailure
from factory.model.target import PYTHONS
from factory.pipeline.failures import failure_of
from factory.pipeline.metadata import describe
from factory.pipeline.plan import plan_each
from factory.pipeline.run import Run
from factory.recipes.loader import MODELS_FILE
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources import patches
from factory.util.git import git

RECIPES, PATCHES = "recipes", "patches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Jobs of recipes for Pythons, dependencies first, and recipes that cannot be planned."""

    jobs: Sequence[Job]
    refused: tuple[BuildFailure, ...] = ()


def default_python(name: str, run: Run) -> str:
    """Return the first Python that a recipe, and all that it needs, allow."""
    for python in PYTHONS:
        with suppress(PythonExcluded):
            plan_each([(name, python)], run.recipes.by_name, lambda each: describe(each, run))
            return python
    return PYTHONS[0]


def pairs(names: Sequence[str], pythons: Sequence[str], run: Run) -> list[tuple[str, str]]:
    """Return each recipe with each of the Pythons, or without any with its default Python."""
    if pythons:
        return [(name, python) for python in pythons for name in names]
    return sorted(((name, default_python(name, run)) for name in names), key=lambda pair: PYTHONS.index(pair[1]))


def select(names: Iterable[str], pythons: Sequence[str], run: Run) -> Selection:
    """Plan the recipes for each of the Pythons that they allow, or the first of all.

    A recipe whose source can't be read is refused alone.
    """
    tried = pythons or PYTHONS
    memo = cache(lambda name: describe(run.recipes.find(name), run))
    wanted, refused = [], []
    recipes = {recipe.name: recipe for recipe in map(run.recipes.find, names)}.values()
    for recipe in recipes:
        for python in tried:
            try:
                plan_each([(recipe.name, python)], run.recipes.by_name, lambda each: memo(each.name))
            except RecipeError:
                continue  # the source excludes the Python
            except FactoryError as error:
                if not error.blames_package or error.machines_fault:
                    raise
                refused.append(failure_of(recipe, python, error, run.layout.root))
            else:
                wanted.append((recipe.name, python))
            if not pythons:
                break
    by_python = sorted(wanted, key=lambda pair: tried.index(pair[1]))
    return Selection(
        jobs=plan_each(by_python, run.recipes.by_name, lambda each: memo(each.name)), refused=tuple(refused)
    )


def touched_with_dependants(revision: str, pythons: Sequence[str], run: Run) -> Selection:
    """Select the recipes that changed since a revision of git, and all that need them.

    Raises:
        RecipeError: as `touched_recipes`.
    """
    touched = {canonicalize_name(recipe.name) for recipe in touched_recipes(revision, run.recipes)}
    if not touched:
        return Selection(jobs=())
    every = select(run.recipes.by_name, pythons, run)
    affected: set[str] = set(touched)
    for job in every.jobs:
        if any(name in affected for name, *_ in job.needs):
            affected.add(job.id[0])
    return select(sorted(affected), pythons, run)


def touched_recipes(revision: str, recipes: RecipeSet) -> list[Recipe]:
    """Return the recipes whose own files, patches, base or models changed since a revision.

    Raises:
        RecipeError: a recipe has mistakes, the folder is not in a repository of git, or it lacks the revision.
    """
    recipes.require_all()
    changed = [PurePosixPath(name) for name in _changed_files(revision, recipes.folder)]
    return [recipe for recipe in recipes.by_name.values() if _touches(changed, recipe, recipes)]


def _touches(changed: Collection[PurePosixPath], recipe: Recipe, recipes: RecipeSet) -> bool:
    folders = {PurePosixPath(RECIPES, recipe.directory.name)}
    folders |= {PurePosixPath(RECIPES, recipe.based_on)} if recipe.based_on else set()
    patched = patches.folder_of(recipes.patches, recipe.source).relative_to(recipes.folder)
    folders.add(PurePosixPath(patched))
    files = {PurePosixPath(RECIPES, MODELS_FILE)} if recipe.check.model else set()
    return any(path in files or folders.intersection(path.parents) for path in changed)


def _changed_files(revision: str, folder: Path) -> list[str]:
    """Return the files of recipes and patches that changed since a revision.

    They differ from the common ancestor with it.

    Uncommitted and new files count.
    """
    where = ("--", RECIPES, PATCHES)
    try:
        commit = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
        base = git(folder, "merge-base", commit, "HEAD").strip()
        differing = git(folder, "diff", "--name-only", "--no-renames", "--relative", "-z", base, *where)
        new = git(folder, "ls-files", "--others", "--exclude-standard", "-z", *where)
    except CommandFailed as error:
        cause = error.output.strip() or "unknown revision"
        raise RecipeError(
            f"--changed-since {revision}: cannot compare {folder} with it: {cause}",
            hint="name a commit of this repository; a shallow clone lacks older ones: git fetch --unshallow",
        ) from error
    return [name for name in (differing + new).split("\0") if name]
