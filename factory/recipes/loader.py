"""Loader of recipe.toml and models.toml, which reports all mistakes at once."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import PACKAGE_TABLE, ROOT_TABLE, CheckOptions, ModelPin, Recipe
from factory.model.source import Source
from factory.recipes.consistency import contradictions
from factory.recipes.document import CORRECT_THESE, Document, unknown
from factory.recipes.globs import expand_globs, resolve_by_globs
from factory.recipes.reader import Context, Refused, Value, read_table

RECIPE_FILE = "recipe.toml"
MODELS_FILE = "models.toml"
DEFAULT_SCRIPT = "smoke.py"
FOLDER_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
BASED_ON = (PACKAGE_TABLE, "based-on")
# What a recipe does not inherit: its name, and the number of its own rebuilds.
OWN_KEYS = ((PACKAGE_TABLE, "name"), (PACKAGE_TABLE, "build"))

SourceKinds = Mapping[str, type[Source]]


def load_recipe(directory: Path, kinds: SourceKinds, models: Collection[str] | None = None) -> Recipe:
    """Read `directory/recipe.toml`, with sources of the given kinds.

    The name of a model is checked when `models`, the known names, are given.

    Raises:
        RecipeError: one line for each mistake: `file:line: key.path: message; did you mean 'x'?`.
    """
    document = open_recipe(directory / RECIPE_FILE)
    recipe = _read_recipe(document, directory, kinds)
    for path, message in contradictions(recipe, Path(MODELS_FILE), models):
        document.problem(path, message)
    document.finish()
    return recipe


def load_recipes(root: Path, kinds: SourceKinds) -> dict[str, Recipe]:
    """Read every `root/*/recipe.toml`, keyed by normalized name.

    The names of models are checked against `root/models.toml` if it exists.

    Raises:
        RecipeError: the mistakes of all files together, or two recipes of the same name.
    """
    recipes, mistakes = load_readable(root, kinds)
    if problems := all_lines(mistakes):
        raise RecipeError("\n".join(problems), hint=CORRECT_THESE)
    return recipes


# Lines that describe the mistakes of a recipe, by its normalized name; those of models.toml by the file's.
Mistakes = Mapping[str, Sequence[str]]


def all_lines(mistakes: Mistakes) -> list[str]:
    """Return each line once: recipes that are based on one report its mistakes again."""
    return list(dict.fromkeys(line for lines in mistakes.values() for line in lines))


def load_readable(root: Path, kinds: SourceKinds) -> tuple[dict[str, Recipe], Mistakes]:
    """Read recipes as `load_recipes` does; return those that could be read, and mistakes."""
    mistakes: dict[str, list[str]] = defaultdict(list)
    models = _load_model_names(root, mistakes[MODELS_FILE])
    recipes: dict[str, Recipe] = {}
    for file in recipe_files(root):
        name = canonicalize_name(file.parent.name)
        try:
            recipe = load_recipe(file.parent, kinds, models)
        except RecipeError as error:
            mistakes[name] += error.message.splitlines()
            continue
        first = recipes.setdefault(name, recipe)
        if first is not recipe:
            mistakes[name].append(f"{file}:1: package.name: {recipe.name!r} is also {first.directory / RECIPE_FILE}'s")
    return recipes, {name: lines for name, lines in mistakes.items() if lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeProject:
    """The project of a recipe's wheels, and whether the index may have one of that name.

    `version` and `file_sha256` are as in Recipe.
    """

    recipe: NormalizedName
    project: NormalizedName
    may_shadow: bool
    version: str
    file_sha256: str


def recipe_projects(root: Path) -> tuple[tuple[RecipeProject, ...], list[str]]:
    """Return the projects of all recipes, and mistakes of unreadable files.

    The projects are in the order of the recipes.

    Only the tables `package` of `root/*/recipe.toml` are read: a file has to be TOML, and based on another recipe or
    none.
    """
    documents, problems = [], []
    for file in recipe_files(root):
        try:
            documents.append(open_recipe(file))
        except RecipeError as error:
            problems += error.message.splitlines()
    projects = tuple(
        RecipeProject(
            recipe=canonicalize_name(str(table.get("name"))),
            project=canonicalize_name(str(table.get("distribution") or table.get("name"))),
            may_shadow=table.get("shadows-upstream") is True,
            version=str(table.get("version")),
            file_sha256=document.sha256,
        )
        for document in documents
        if isinstance(table := document.data.get(PACKAGE_TABLE), Mapping)
    )
    return projects, problems


def load_models(path: Path) -> dict[str, ModelPin]:
    """Read models.toml: one table a model, keyed by its name.

    Raises:
        RecipeError: one line for each mistake.
    """
    document = Document(path)
    root = Value(content=document.data, path=(), context=Context(document=document, kinds={}))
    tables: dict[str, dict[str, Any]] = {}
    for name in document.data:
        try:
            tables[name] = read_table(root.child(name), ModelPin, "model", given={"name": name})
        except Refused:
            continue
    document.finish()
    return {name: ModelPin(**table) for name, table in tables.items()}


def _load_model_names(root: Path, problems: list[str]) -> Collection[str] | None:
    """Return the known models' names; None without a readable models.toml."""
    if not (root / MODELS_FILE).exists():
        return None
    try:
        return tuple(load_models(root / MODELS_FILE))
    except RecipeError as error:
        problems += error.message.splitlines()
        return None


def recipe_files(root: Path) -> list[Path]:
    """Return the files of all recipes below `root`, broken links too.

    They are in the order of their folders' names.
    """
    return sorted(file for folder in root.glob("*") if os.path.lexists(file := folder / RECIPE_FILE))


def document_of(recipe: Recipe) -> Document:
    """Return the document of a recipe, which knows the lines of its keys.

    Raises:
        RecipeError: as `open_recipe`.
    """
    return open_recipe(recipe.directory / RECIPE_FILE)


def open_recipe(file: Path) -> Document:
    """Open a recipe; it inherits from the one that it is based on.

    Raises:
        RecipeError: a file is not TOML, or the other recipe is missing or based on a third one.
    """
    document = Document(file)
    name = _base_of(document)
    if name is None:
        return document
    others = [each.parent.name for each in recipe_files(file.parent.parent) if each.parent.name != file.parent.name]
    if name not in others or not re.fullmatch(FOLDER_NAME, name):
        document.problem(BASED_ON, unknown(name, others))
        document.finish()
    base = Document(file.parent.parent / name / RECIPE_FILE)
    if (third := _base_of(base)) is not None:
        advice = "one of the two must stand alone" if third == file.parent.name else "name that one"
        document.problem(BASED_ON, f"{name!r} is based on {third!r}; {advice}")
        document.finish()
    document.inherit(base, OWN_KEYS)
    return document


def _base_of(document: Document) -> str | None:
    """Return the name of the recipe that one is based on.

    A value of another type is refused later.
    """
    package = document.data.get(PACKAGE_TABLE)
    name = package.get(BASED_ON[1]) if isinstance(package, dict) else None
    return name if isinstance(name, str) else None


def _read_recipe(document: Document, directory: Path, kinds: SourceKinds) -> Recipe:
    """Read a recipe; note mistakes, and take defaults in the place of refused values."""
    context = Context(document=document, kinds=kinds)
    root = Value(content=document.data, path=(), context=context)
    package = read_table(_package_table(root), Recipe, PACKAGE_TABLE)
    project = package.get("distribution") or package["name"]
    context = replace(context, project=project, version=package["version"])
    tables = read_table(replace(root, context=context), Recipe, ROOT_TABLE, known=(PACKAGE_TABLE,))
    recipe = Recipe(**package, **tables, directory=directory, file_sha256=document.sha256)
    suite = recipe.suite if recipe.suite and recipe.suite.script else None
    return replace(recipe, check=_with_defaults(recipe.check, document.folders), suite=suite)


def _package_table(root: Value) -> Value:
    """Return the table of the package, or an empty one if it is missing or refused."""
    table = root.child(PACKAGE_TABLE)
    if table.content is None:
        table.problem("is missing")
    elif isinstance(table.content, dict):
        return table
    else:
        with suppress(Refused):
            table.of("a table", dict)
    return replace(table, content={})


def _with_defaults(check: CheckOptions, folders: Sequence[Path]) -> CheckOptions:
    """Fill in the default script, the first of these folders, and expand globs of profiles."""
    default = next((folder / DEFAULT_SCRIPT for folder in folders if (folder / DEFAULT_SCRIPT).is_file()), None)
    return replace(
        check,
        script=check.script or default,
        model_profiles=_expanded(check.model_profiles, check.profiles),
        expect={fact: resolve_by_globs(dict(values), check.profiles) for fact, values in check.expect.items()},
    )


def _expanded(names: tuple[str, ...], profiles: tuple[str, ...]) -> tuple[str, ...]:
    """Expand globs of profiles; globs without a match are kept, to be reported."""
    expanded, unmatched = expand_globs(names, profiles)
    return (*expanded, *unmatched)
