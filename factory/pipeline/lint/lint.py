"""Lint of recipes and patches without network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import Recipe
from factory.pipeline import own_qemu
from factory.pipeline.lint.files import overlay_licences, unused_files, unused_models
from factory.pipeline.lint.finding import Finding, RecipeText, parse_mistake
from factory.pipeline.lint.options import dead_options
from factory.pipeline.lint.patch_files import check_patches, unused_patches
from factory.pipeline.lint.script import check_script
from factory.recipes.loader import all_lines, load_readable, load_recipe, recipe_files
from factory.recipes.recipe_set import RecipeSet, find_recipe


def lint(names: Sequence[str], recipes: RecipeSet) -> tuple[list[Recipe], list[Finding]]:
    """Check the named recipes, or all with everything beside them.

    Returns the recipes that could be read, and the findings in the order of files and lines.

    Raises:
        RecipeError: a name has no recipe.
    """
    root = recipes.folder / "recipes"
    readable, mistakes = load_readable(root, recipes.kinds)
    found = [parse_mistake(mistake) for mistake in all_lines(mistakes)]
    chosen = list(readable.values())
    if names:
        folders = {canonicalize_name(file.parent.name): file.parent for file in recipe_files(root)}
        broken = folders.keys() - readable.keys()
        wanted = {canonicalize_name(name) for name in names}
        chosen = [find_recipe(name, readable) for name in sorted(wanted - broken)]
        found = [each for each in found if canonicalize_name(each.file.parent.name) in wanted]
        found += (each for name in wanted & broken for each in _mistakes_of(folders[name], recipes))
    found += _check(chosen, readable.values(), recipes.patches)
    if not names and not mistakes:
        found += _unused(root, chosen, recipes.patches)
    return chosen, in_order(found)


def _mistakes_of(directory: Path, recipes: RecipeSet) -> list[Finding]:
    """Return the mistakes that make a recipe unreadable, with those of its base."""
    try:
        load_recipe(directory, recipes.kinds)
    except RecipeError as error:
        return [parse_mistake(mistake) for mistake in error.message.splitlines()]
    return []


def in_order(findings: Collection[Finding]) -> list[Finding]:
    """Return each finding once, in the order of files and lines."""
    return sorted(set(findings), key=lambda each: (each.file, each.line, each.key, each.message))


def _check(chosen: Collection[Recipe], readable: Collection[Recipe], patches: Path) -> Iterator[Finding]:
    projects = {recipe.project for recipe in readable}
    for recipe in chosen:
        text = RecipeText.of(recipe)
        yield from dead_options(text)
        yield from check_script(text, projects)
        yield from overlay_licences(recipe)
    yield from check_patches(patches, [*(recipe.source for recipe in chosen), own_qemu.SOURCE])


def _unused(root: Path, recipes: Collection[Recipe], patches: Path) -> Iterator[Finding]:
    """Iterate over what no recipe uses, which is known only if all could be read."""
    yield from unused_files(recipes)
    yield from unused_models(root, recipes)
    yield from unused_patches(patches, recipes)
