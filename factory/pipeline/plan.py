"""Plan: the graph of jobs for requested recipes and their dependencies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from factory.errors import PythonExcluded, RecipeError
from factory.model.job import Job, JobId, ProjectMetadata
from factory.model.markers import requirements_for
from factory.model.recipe import Recipe
from factory.model.target import PYTHONS
from factory.recipes.recipe_set import find_recipe

Describe = Callable[[Recipe], ProjectMetadata]


def plan(
    names: Sequence[str],
    pythons: Sequence[str],
    recipes: Mapping[str, Recipe],
    describe: Describe,
    toolchains: Sequence[str] = (),
) -> list[Job]:
    """Plan the jobs for `names` on each of `pythons`, dependencies first.

    Without `toolchains`, a named recipe has a job for each of its own toolchains. Dependencies use the first toolchain
    of their recipe, whose wheels are published. `describe` returns a recipe's metadata; its first call may download
    the source.

    Raises:
        RecipeError: a name has no recipe, recipes depend on each other, or a recipe excludes a Python.
    """
    return plan_each([(name, python) for python in pythons for name in names], recipes, describe, toolchains)


def plan_each(
    wanted: Sequence[tuple[str, str]],
    recipes: Mapping[str, Recipe],
    describe: Describe,
    toolchains: Sequence[str] = (),
) -> list[Job]:
    """Plan the jobs for pairs of a recipe's name and a Python, as `plan` does."""
    jobs: dict[JobId, Job] = {}
    pythons = list(dict.fromkeys(python for _, python in wanted))
    providers = _Providers(recipes, describe)
    named = [(find_recipe(name, recipes), python) for name, python in wanted]
    waiting = [each for recipe, python in named for each in _named(recipe, python, toolchains)]
    while waiting:
        each = waiting.pop()
        if each not in jobs:
            name, python, comparison = each
            recipe = find_recipe(name, recipes)
            jobs[each] = _job(recipe, python, comparison or recipe.toolchain, providers, describe)
            waiting.extend(jobs[each].needs)
    jobs = {
        each: replace(job, earlier=_earlier(each, pythons, jobs), check_needs=_run_closure(job, jobs))
        for each, job in jobs.items()
    }
    try:
        order = TopologicalSorter({each: job.needs for each, job in jobs.items()}).static_order()
        return [jobs[each] for each in order]
    except CycleError as error:
        raise RecipeError(f"recipes depend on each other: {' -> '.join(name for name, *_ in error.args[1])}") from error


def _run_closure(job: Job, jobs: Mapping[JobId, Job]) -> frozenset[NormalizedName]:
    """Return the recipes whose wheels a package needs at run time, also indirectly."""
    own, python, _ = job.id
    found: set[NormalizedName] = set()
    waiting = set(job.run_needs)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= jobs[name, python, ""].run_needs - found
    return frozenset(found - {own})


def _named(recipe: Recipe, python: str, toolchains: Sequence[str]) -> list[JobId]:
    """Jobs of a recipe that was named on the command line."""
    name = canonicalize_name(recipe.name)
    chosen = toolchains or recipe.build.toolchains
    return [(name, python, "" if toolchain == recipe.toolchain else toolchain) for toolchain in chosen]


def _earlier(job: JobId, pythons: Sequence[str], jobs: Collection[JobId]) -> frozenset[str]:
    name, python, comparison = job
    return frozenset(earlier for earlier in pythons[: pythons.index(python)] if (name, earlier, comparison) in jobs)


def _job(recipe: Recipe, python: str, toolchain: str, providers: _Providers, describe: Describe) -> Job:
    metadata = describe(recipe)
    _require_python(recipe, metadata, python)
    build = providers.of(metadata.build_requires, python)
    dependencies = metadata.dependencies if recipe.check.dependencies else ()
    # A source may state other run-time requirements than its wheel has: what no recipe meets is left to the index.
    run = providers.of((*dependencies, *recipe.check.requires), python, only_fitting=True)
    own = {canonicalize_name(recipe.name)}
    return Job(
        recipe=recipe,
        metadata=metadata,
        python=python,
        toolchain=toolchain,
        build_needs=frozenset(build - own),
        run_needs=frozenset(run - own),
    )


class _Providers:
    """Recipes of required projects: the newest version that fits, as installers choose."""

    def __init__(self, recipes: Mapping[str, Recipe], describe: Describe) -> None:
        self._describe, self._known = describe, recipes
        self._recipes: dict[NormalizedName, list[Recipe]] = {
            canonicalize_name(name): [recipe] for name, recipe in recipes.items()
        }
        for _, recipe in sorted(recipes.items()):
            if recipe.distribution:
                self._recipes.setdefault(canonicalize_name(recipe.distribution), []).append(recipe)

    def of(self, requirements: Iterable[str], python: str, *, only_fitting: bool = False) -> set[NormalizedName]:
        """Return the names of the recipes for the requirements that have one.

        Of several recipes of which none fits, it is that of the project's name, or with `only_fitting` none.
        """
        found = (self._provider(each, python, only_fitting) for each in requirements_for(requirements, python))
        return {canonicalize_name(recipe.name) for recipe in found if recipe is not None}

    def _provider(self, required: Requirement, python: str, only_fitting: bool) -> Recipe | None:
        """Return the newest recipe of a project that fits.

        Raises:
            RecipeError: the recipe of the project's name has mistakes.
        """
        name = canonicalize_name(required.name)
        recipes = [] if name not in self._known and name not in self._recipes else self._recipes[name]
        if len(recipes) < 2:
            return recipes[0] if recipes else None
        newest_first = sorted(recipes, key=lambda recipe: Version(recipe.version), reverse=True)
        otherwise = None if only_fitting else recipes[0]
        return next((each for each in newest_first if self._fits(each, required, python)), otherwise)

    def _fits(self, recipe: Recipe, required: Requirement, python: str) -> bool:
        if not required.specifier.contains(recipe.version, prereleases=True):
            return False
        try:
            _require_python(recipe, self._describe(recipe), python)
        except RecipeError:
            return False
        return True


def _require_python(recipe: Recipe, metadata: ProjectMetadata, python: str) -> None:
    """Check a Python against the source's Requires-Python; its patch release is not known yet.

    Raises:
        PythonExcluded: the source excludes it.
    """
    try:
        required = SpecifierSet(metadata.requires_python)
    except InvalidSpecifier:
        return  # installers ignore it too
    if not any(required.contains(f"{python}.{last}", prereleases=True) for last in (0, 99)):
        fitting = [f"--python {other}" for other in PYTHONS if required.contains(f"{other}.99")]
        raise PythonExcluded(
            f"{recipe.label} can't be built for Python {python}: it requires Python {metadata.requires_python}",
            hint=f"build it with {' or '.join(fitting)}" if fitting else "pin a version of it that allows this Python",
        )
