"""Recipes written for tests, and the mistakes that are found in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.model.recipe import Recipe
from factory.recipes import loader
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.pypi import PypiSource

SHA256 = "0123456789abcdef" * 4
SMALLEST = f"""\
[package]
name = "spam"
version = "1.0"
[source]
kind = "pypi"
sha256 = "{SHA256}"
"""


def write(root: Path, text: str, name: str = "spam") -> Path:
    directory = root / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "recipe.toml").write_text(text, encoding="utf-8")
    return directory


def load_recipe(directory: Path) -> Recipe:
    return loader.load_recipe(directory, SOURCE_KINDS)


def load_recipes(root: Path) -> dict[str, Recipe]:
    return loader.load_recipes(root, SOURCE_KINDS)


def problems_of(root: Path, text: str) -> list[str]:
    """Return the lines of the error, without the file's folder."""
    directory = write(root, text)
    with pytest.raises(RecipeError) as caught:
        load_recipes(root)
    return caught.value.message.replace(f"{directory}/", "").splitlines()


def recipe_named(name: str) -> Recipe:
    """Return a recipe of a source that nobody fetches."""
    pin = PypiSource(project=name, version="1.0", sha256=SHA256)
    return Recipe(name=name, version="1.0", directory=Path("recipes", name), source=pin)
