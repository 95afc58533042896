"""Recipe set: the recipes, models and patches of a project folder, read once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import ModelPin, Recipe
from factory.recipes.loader import MODELS_FILE, SourceKinds, load_models, load_recipes


@dataclass(frozen=True)
class RecipeSet:
    """Recipes of the project folder `folder`, with sources of the given kinds.

    Files are read at first use, once.
    """

    folder: Path
    kinds: SourceKinds

    @cached_property
    def by_name(self) -> Mapping[str, Recipe]:
        """Recipes by normalized name.

        Raises:
            RecipeError: every mistake of all files.
        """
        return load_recipes(self.folder / "recipes", self.kinds)

    @cached_property
    def models(self) -> Mapping[str, ModelPin]:
        """Models of recipes/models.toml, by name."""
        return load_models(self.folder / "recipes" / MODELS_FILE)

    @property
    def patches(self) -> Path:
        """Folder of all patches."""
        return self.folder / "patches"

    def find(self, name: str) -> Recipe:
        """Return the recipe of that name.

        Raises:
            RecipeError: there is none; the hint suggests one.
        """
        return find_recipe(name, self.by_name)

    def models_of(self, recipe: Recipe) -> tuple[ModelPin, ...]:
        """Return the model of a recipe's check, if it has one."""
        return () if recipe.check.model is None else (self.models[recipe.check.model],)


def find_recipe(name: str, recipes: Mapping[str, Recipe]) -> Recipe:
    """Return the recipe of that name.

    Raises:
        RecipeError: there is none; the hint suggests one.
    """
    name = canonicalize_name(name)
    if name in recipes:
        return recipes[name]
    raise RecipeError(f"there is no recipe for {name!r}", hint=_suggestion(name, recipes))


def _suggestion(name: str, recipes: Mapping[str, Recipe]) -> str:
    if not recipes:
        return "there are no recipes here: run this in the project's folder, or name it with --checkout DIR"
    close = difflib.get_close_matches(name, recipes, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known recipes: {', '.join(sorted(recipes))}"
