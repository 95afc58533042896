"""Recipe set: the recipes, models and patches of a project folder, read once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import RecipeError
from factory.model.recipe import ModelPin, Recipe
from factory.recipes.document import CORRECT_THESE
from factory.recipes.loader import MODELS_FILE, Mistakes, SourceKinds, all_lines, load_models, load_readable


class Recipes(Mapping[str, Recipe]):
    """Recipes by normalized name: those that can be read, and the `mistakes` of the others.

    A draft with mistakes stops only what needs it: to look it up raises a RecipeError with its mistakes.
    """

    def __init__(self, readable: Mapping[str, Recipe], mistakes: Mistakes) -> None:
        self._readable = readable
        self.mistakes = mistakes

    def __getitem__(self, name: str) -> Recipe:
        """Return the recipe of that name.

        Raises:
            KeyError: there is none.
            RecipeError: it, or models.toml that all recipes share, has mistakes.
        """
        if problems := [*self.mistakes.get(MODELS_FILE, ()), *self.mistakes.get(name, ())]:
            raise RecipeError("\n".join(problems), hint=CORRECT_THESE)
        return self._readable[name]

    def replaced(self, recipe: Recipe) -> Recipes:
        """Return the recipes with another one of this name."""
        return Recipes({**self._readable, canonicalize_name(recipe.name): recipe}, self.mistakes)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._readable if name not in self.mistakes)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class RecipeSet:
    """Recipes of the project folder `folder`, with sources of the given kinds.

    Files are read at first use, once.
    """

    folder: Path
    kinds: SourceKinds

    @cached_property
    def by_name(self) -> Recipes:
        """Recipes by normalized name."""
        return Recipes(*load_readable(self.folder / "recipes", self.kinds))

    def require_all(self) -> None:
        """Require that every recipe can be read.

        Raises:
            RecipeError: every mistake of all files.
        """
        if problems := all_lines(self.by_name.mistakes):
            raise RecipeError("\n".join(problems), hint=CORRECT_THESE)

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
    raise unknown_recipe(name, recipes)


def unknown_recipe(name: str, recipes: Collection[str]) -> RecipeError:
    """Return the error of a name that is no recipe's; its hint suggests one."""
    return RecipeError(f"there is no recipe for {name!r}", hint=_suggestion(name, recipes))


def _suggestion(name: str, recipes: Collection[str]) -> str:
    if not recipes:
        return "the project folder has no recipes: add one with factory new, or name another folder with --project DIR"
    close = difflib.get_close_matches(name, recipes, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known recipes: {', '.join(sorted(recipes))}"
