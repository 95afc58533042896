"""Recipes of a project folder: a draft with mistakes stops only what needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from tests.support.recipes import SMALLEST, write


@pytest.fixture
def recipes(tmp_path: Path) -> RecipeSet:
    """Write `spam`, and `eggs` with an unknown key."""
    write(tmp_path / "recipes", SMALLEST)
    write(tmp_path / "recipes", SMALLEST.replace("spam", "eggs") + "y = 1\n", "eggs")
    return RecipeSet(tmp_path, SOURCE_KINDS)


def test_other_recipes_are_found_beside_a_broken_one(recipes: RecipeSet) -> None:
    assert recipes.find("spam").name == "spam"
    assert dict(recipes.by_name).keys() == {"spam"}
    assert len(recipes.by_name) == 1


def test_broken_recipe_raises_its_mistakes(recipes: RecipeSet) -> None:
    for look_up in (lambda: recipes.find("Eggs"), lambda: "eggs" in recipes.by_name, recipes.require_all):
        with pytest.raises(RecipeError, match=r"eggs/recipe\.toml:7: source\.y: unknown key") as caught:
            look_up()
        assert "spam" not in caught.value.message


def test_recipe_of_two_folders_raises_for_its_name_alone(recipes: RecipeSet) -> None:
    for name in ("ham-x", "Ham_X"):
        write(recipes.folder / "recipes", SMALLEST.replace("spam", name), name)
    assert recipes.find("spam").name == "spam"
    with pytest.raises(RecipeError, match="is also"):
        recipes.find("ham-x")


def test_broken_models_file_stops_all_recipes(recipes: RecipeSet) -> None:
    (recipes.folder / "recipes/models.toml").write_text("x = 1\n")
    with pytest.raises(RecipeError, match=r"models\.toml:1: "):
        recipes.find("spam")
