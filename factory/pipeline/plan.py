"""The plan: which jobs, in which order, and the content key that says whether one is done already."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from factory.errors import RecipeError
from factory.model.job import Job, JobId, ProjectMetadata
from factory.model.recipe import Recipe
from factory.model.target import PYTHONS, TOOLCHAINS, Target
from factory.util.jsonio import dumps, identify

# Counts up when the factory itself comes to build, repair or audit differently.
BUILD_LOGIC = 3

Describe = Callable[[Recipe], ProjectMetadata]


def plan(
    names: Sequence[str],
    pythons: Sequence[str],
    recipes: Mapping[str, Recipe],
    describe: Describe,
    toolchains: Sequence[str] = (),
) -> list[Job]:
    """The jobs for `names` on each of `pythons`, and for what they need among the recipes, in an order that works.

    Without `toolchains` a name has a job for each that its recipe says. What it needs is compiled with the first of its
    own recipe, the one whose wheels are published. `describe` tells a recipe's metadata, which costs a download the
    first time.

    Raises:
        RecipeError: a name without a recipe, recipes that need each other, or one that excludes a Python.
    """
    jobs: dict[JobId, Job] = {}
    wanted = [find_recipe(name, recipes) for name in names]
    waiting = [each for python in pythons for recipe in wanted for each in _asked_for(recipe, python, toolchains)]
    while waiting:
        each = waiting.pop()
        if each not in jobs:
            name, python, comparison = each
            recipe = find_recipe(name, recipes)
            jobs[each] = _job(recipe, python, comparison or recipe.toolchain, recipes, describe)
            waiting.extend(jobs[each].needs)
    jobs = {each: replace(job, earlier=_earlier(each, pythons, jobs)) for each, job in jobs.items()}
    try:
        order = TopologicalSorter({each: job.needs for each, job in jobs.items()}).static_order()
        return [jobs[each] for each in order]
    except CycleError as error:
        raise RecipeError(f"recipes need each other: {' -> '.join(name for name, *_ in error.args[1])}") from error


def _asked_for(recipe: Recipe, python: str, toolchains: Sequence[str]) -> list[JobId]:
    """The jobs of a recipe that is asked for by name."""
    name = canonicalize_name(recipe.name)
    chosen = toolchains or recipe.build.toolchains
    return [(name, python, "" if toolchain == recipe.toolchain else toolchain) for toolchain in chosen]


def content_key(
    job: Job,
    inputs: Sequence[str],
    target: Target,
    environment_key: str,
    patches: Iterable[Path],
    dependency_wheels: Sequence[str],
) -> str:
    """The sha256 over everything that decides the wheel's bytes and its checks.

    `inputs` are the hashes of the source and of the check's model, and the versions of programs outside the environment
    that build; `dependency_wheels` are those of our own wheels that the build installs.
    """
    recipe = job.recipe
    digest = hashlib.sha256()
    # On a riscv64 machine that builds on itself, the environment has all compilers that are installed.
    compilers = [] if job.toolchain == TOOLCHAINS[0] else [f"toolchain {job.toolchain}"]
    described = (dumps(target), identify(_deciding(recipe), recipe.directory))
    for text in (str(BUILD_LOGIC), *described, environment_key, *inputs, *compilers, *sorted(dependency_wheels)):
        digest.update(f"{len(text)}:{text}".encode())
    script = [recipe.check.script] if recipe.check.script is not None else []
    for path in (*script, *patches):
        content = path.read_bytes()
        digest.update(f"{path.name}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def _deciding(recipe: Recipe) -> Recipe:
    """The recipe as it was read, but for what doesn't decide what is built.

    That is how a build shares the machine, which others there are, what may be published, and how the project's own
    tests are run on request.
    """
    build = replace(recipe.build, memory_per_job=0, toolchains=TOOLCHAINS[:1])
    return replace(recipe, build=build, shadows_upstream=False, suite=None, file_sha256="")


def requirement_names(requirements: Iterable[str], python: str) -> set[NormalizedName]:
    """The projects that requirements name, where their markers hold on the target."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": "riscv64",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    parsed = (Requirement(text) for text in requirements)
    return {canonicalize_name(item.name) for item in parsed if item.marker is None or item.marker.evaluate(environment)}


def _earlier(job: JobId, pythons: Sequence[str], jobs: Collection[JobId]) -> frozenset[str]:
    name, python, comparison = job
    return frozenset(earlier for earlier in pythons[: pythons.index(python)] if (name, earlier, comparison) in jobs)


def _job(recipe: Recipe, python: str, toolchain: str, recipes: Mapping[str, Recipe], describe: Describe) -> Job:
    metadata = describe(recipe)
    _require_python(recipe, metadata, python)
    build = requirement_names(metadata.build_requires, python) & recipes.keys()
    run = requirement_names((*metadata.dependencies, *recipe.check.requires), python) & recipes.keys()
    own = {canonicalize_name(recipe.name)}
    return Job(
        recipe=recipe,
        metadata=metadata,
        python=python,
        toolchain=toolchain,
        build_needs=frozenset(build - own),
        run_needs=frozenset(run - own),
    )


def _require_python(recipe: Recipe, metadata: ProjectMetadata, python: str) -> None:
    """Hold the source's own Requires-Python against a Python of which the last number isn't known yet."""
    try:
        required = SpecifierSet(metadata.requires_python)
    except InvalidSpecifier:
        return  # installers pass over it too
    if not any(required.contains(f"{python}.{last}", prereleases=True) for last in (0, 99)):
        fitting = [f"--python {other}" for other in PYTHONS if required.contains(f"{other}.99")]
        raise RecipeError(
            f"{recipe.label} can't be built for Python {python}: it requires Python {metadata.requires_python}",
            hint=f"build it with {' or '.join(fitting)}" if fitting else "pin a version of it that allows this Python",
        )


def find_recipe(name: str, recipes: Mapping[str, Recipe]) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: there is none; with a suggestion.
    """
    name = canonicalize_name(name)
    if name in recipes:
        return recipes[name]
    close = difflib.get_close_matches(name, recipes, n=1)
    suggestion = f"did you mean {close[0]!r}?" if close else f"known recipes: {', '.join(sorted(recipes))}"
    raise RecipeError(f"there is no recipe for {name!r}", hint=suggestion)
