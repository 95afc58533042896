"""Consistency of a recipe: contradictions between keys, or with other files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.model.recipe import CHECK_TABLE, PACKAGE_TABLE, CheckOptions, Recipe
from factory.model.source import SOURCE_TABLE
from factory.model.target import OWN_PROFILES
from factory.recipes.document import KeyPath, unknown

# A key path and the message.
Mistake = tuple[KeyPath, str]


def contradictions(recipe: Recipe, models_file: Path, models: Collection[str] | None) -> Iterator[Mistake]:
    """Iterate over mistakes of a recipe whose values are right by themselves.

    The model's name is checked when `models`, the names in `models_file`, are given.
    """
    yield from _check_name(recipe)
    yield from _check_source(recipe)
    yield from _check_builder(recipe)
    yield from _check_profiles(recipe.check)
    model, check = recipe.check.model, recipe.check
    if model and models is not None and model not in models:
        yield (CHECK_TABLE, "model"), f"{unknown(model, models)} ({models_file.name})"
    if check.logits_tolerance and not check.same_tokens:
        yield (
            (CHECK_TABLE, "logits-tolerance"),
            "compares nothing without same-tokens: set how many tokens must be the same",
        )


# Names become parts of paths, commands and file names.
NAME = re.compile(r"(?a)[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)


def _check_name(recipe: Recipe) -> Iterator[Mistake]:
    folder = recipe.directory.absolute().name
    if recipe.name and not NAME.fullmatch(recipe.name):
        yield (PACKAGE_TABLE, "name"), f"{recipe.name!r} is no name of a package: letters, digits, '.', '_' and '-'"
    elif recipe.name and canonicalize_name(recipe.name) != canonicalize_name(folder):
        yield (PACKAGE_TABLE, "name"), f"{recipe.name!r} is not the folder's name, {folder!r}"


def _check_source(recipe: Recipe) -> Iterator[Mistake]:
    source = recipe.source
    if source.overlay is None and (source.project, source.version) != (recipe.project, recipe.version):
        yield (SOURCE_TABLE, "overlay"), "is missing: only an overlay makes another project's source this package"


def _check_builder(recipe: Recipe) -> Iterator[Mistake]:
    if recipe.build.emulated_python and recipe.build.builder != "pep517":
        yield ("build", "emulated-python"), f"not supported with {recipe.build.builder}, which calls no build backend"
    if recipe.build.builder != "cibuildwheel":
        return
    if recipe.build.requires:
        yield (
            ("build", "requires"),
            "not supported with cibuildwheel: the project's own configuration installs its requirements",
        )
    if recipe.build.replaced_requires:
        yield ("build", "replaced-requires"), "not supported with cibuildwheel: see build.requires"
    if recipe.repair.left_out:
        yield ("repair", "left-out"), "not supported with cibuildwheel, which repairs its wheels itself"


def _check_profiles(check: CheckOptions) -> Iterator[Mistake]:
    for profile in check.model_profiles:
        if profile not in check.profiles:
            yield (CHECK_TABLE, "model-profiles"), unknown(profile, check.profiles)
    for fact, values in check.expect.items():
        for profile in values:
            if profile not in (*check.profiles, *OWN_PROFILES):
                message = f"is not one of the recipe's profiles: {', '.join(check.profiles)}"
                yield (CHECK_TABLE, "expect", fact, profile), message
