"""Dead options: keys of a recipe that change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from packaging.utils import canonicalize_name

from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.recipe import CHECK_TABLE, PACKAGE_TABLE, ROOT_TABLE, SUITE_TABLE, Recipe
from factory.model.source import PART_TABLE, SOURCE_TABLE, Source
from factory.pipeline.lint.finding import Finding, RecipeText
from factory.recipes.document import KeyPath
from factory.recipes.field_types import is_table
from factory.recipes.globs import is_glob
from factory.recipes.loader import DEFAULT_SCRIPT
from factory.recipes.reader import DeclaredField, declared_fields
from factory.stages.environments.debian.packages import BASE_PACKAGES, build_packages

DEFAULT = "is the default: remove it"
IN_EVERY_ROOT = frozenset((*BASE_PACKAGES, *build_packages(DEFAULT_DISTRIBUTION)))
# A key path and the message.
Dead = tuple[KeyPath, str]


def dead_options(text: RecipeText) -> Iterator[Finding]:
    """Iterate over keys with the default value, repetitions, and keys that nothing reads.

    A default that overrides a value of the recipe that this one is based on is none of them.
    """
    document = text.document
    for path, message in _dead(text.recipe, document.data):
        if not document.is_inherited(path) and not (message == DEFAULT and document.overrides(path)):
            yield text.finding(path, message)


def _dead(recipe: Recipe, data: Mapping[str, Any]) -> Iterator[Dead]:
    yield from _defaults(recipe, data[PACKAGE_TABLE], (PACKAGE_TABLE,), PACKAGE_TABLE)
    for field in declared_fields(Recipe, ROOT_TABLE):
        value = getattr(recipe, field.name)
        if field.key in data and isinstance(value, Source):
            yield from _of_source(recipe, value, data[field.key], (field.key,), SOURCE_TABLE)
        elif field.key in data and value is not None:
            yield from _defaults(value, data[field.key], (field.key,), field.key)
    yield from _of_package(recipe, data[PACKAGE_TABLE])
    yield from _of_build(recipe, data.get("build", {}))
    yield from _of_check(recipe, data.get(CHECK_TABLE, {}))
    for table in (CHECK_TABLE, SUITE_TABLE):
        yield from _covered_by_globs(data.get(table, {}), table)
    if recipe.suite is None and SUITE_TABLE in data:
        yield (SUITE_TABLE,), "is not read without `script`"
    audit = recipe.audit
    if audit.in_wheel and not (audit.dispatched or audit.pure or audit.provided):
        yield ("audit", "in-wheel"), "puts nothing into the wheel: the recipe declares nothing for its audit"


def _defaults(value: Any, content: Mapping[str, Any], path: KeyPath, table: str) -> Iterator[Dead]:
    """Iterate over keys of a table whose value is the default, and tables without keys."""
    if not content:
        yield path, "is empty: remove it"
    kind: Any = type(value)
    for field in declared_fields(kind, table):
        if field.key in content:
            own, place = getattr(value, field.name), (*path, field.key)
            if is_table(field.hint) and own is not None:
                yield from _defaults(own, content[field.key], place, field.key)
            elif not field.required and own == _default_of(field):
                yield place, DEFAULT


def _default_of(field: DeclaredField) -> object:
    return field.default if field.factory is dataclasses.MISSING else field.factory()


def _of_source(recipe: Recipe, source: Source, content: Mapping[str, Any], path: KeyPath, table: str) -> Iterator[Dead]:
    yield from _defaults(source, content, path, table)
    for folder, part in source.parts.items():
        yield from _of_source(recipe, part, content["parts"][folder], (*path, "parts", folder), PART_TABLE)
    if table == SOURCE_TABLE:
        for key, own in (("project", recipe.project), ("version", recipe.version)):
            if content.get(key) == own:
                yield (*path, key), "is the package's: remove it"


def _of_package(recipe: Recipe, content: Mapping[str, Any]) -> Iterator[Dead]:
    if "distribution" in content and canonicalize_name(recipe.distribution) == canonicalize_name(recipe.name):
        yield (PACKAGE_TABLE, "distribution"), "is the recipe's name: remove it"


def _of_build(recipe: Recipe, content: Mapping[str, Any]) -> Iterator[Dead]:
    for key in ("requires", "apt"):
        yield from _repetitions(content.get(key, ()), ("build", key))
    for package in recipe.build.apt:
        if package in IN_EVERY_ROOT:
            yield ("build", "apt"), f"{package!r} is in every root: remove it"
    if "repack" in content and recipe.build.builder != "repack":
        yield ("build", "repack"), f"is not read with the builder {recipe.build.builder}"


def _repetitions(names: Sequence[str], path: KeyPath) -> Iterator[Dead]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield path, f"{name!r} is named twice"


def _of_check(recipe: Recipe, content: Mapping[str, Any]) -> Iterator[Dead]:
    check = recipe.check
    yield from _repetitions(content.get("requires", ()), (CHECK_TABLE, "requires"))
    if "script" in content and check.script == recipe.directory / DEFAULT_SCRIPT:
        yield (CHECK_TABLE, "script"), DEFAULT
    if "model-profiles" in content and check.model is None:
        yield (CHECK_TABLE, "model-profiles"), "is not read without `model`"
    elif "model-profiles" in content and set(check.model_profiles) == set(check.profiles):
        yield (CHECK_TABLE, "model-profiles"), "names all profiles, as the default does: remove it"
    for fact, values in content.get("expect", {}).items():
        for profile, message in _unused_values(values, check.profiles):
            yield (CHECK_TABLE, "expect", fact, profile), message


def _unused_values(values: Mapping[str, object], profiles: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Iterate over the keys of an expectation without which it stays the same."""
    for key, value in values.items():
        rest = {other: each for other, each in values.items() if other != key}
        if is_glob(key):
            matched = [profile for profile in profiles if fnmatchcase(profile, key)]
            if matched and all(_glob_or_name(profile, values) != key for profile in matched):
                yield key, "is never used: names or earlier globs come first"
        elif (other := _glob_or_name(key, rest)) and rest[other] == value:
            yield key, f"is the value of {other!r} already: remove it"


def _glob_or_name(profile: str, values: Mapping[str, object]) -> str:
    """Return the key of a profile's value: its name, else the first glob that matches."""
    globs = (key for key in values if is_glob(key) and fnmatchcase(profile, key))
    return profile if profile in values else next(globs, "")


def _covered_by_globs(content: Mapping[str, Any], table: str) -> Iterator[Dead]:
    """Iterate over profiles that a glob of the same list has too."""
    for key in ("profiles", "model-profiles"):
        names: Sequence[str] = content.get(key, ())
        for name in names:
            other = next((glob for glob in names if glob != name and is_glob(glob) and fnmatchcase(name, glob)), "")
            if other and not (is_glob(name) and fnmatchcase(other, name)):
                yield (table, key), f"{name!r} is among {other!r} already"
