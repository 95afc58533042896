"""Tests of the texts of recipes and patches that the ledger keeps."""

from __future__ import annotations

import hashlib
from pathlib import Path

from factory.publish.source_texts import find_texts
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from tests.support.checkouts import ROOT


def test_folder_in_place_of_a_recipe_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "recipes/good").mkdir(parents=True)
    (tmp_path / "recipes/good/recipe.toml").write_bytes(b"x = 1\n")
    (tmp_path / "recipes/bad/recipe.toml").mkdir(parents=True)
    (tmp_path / "patches/good/1/bad.patch").mkdir(parents=True)
    assert find_texts(tmp_path)[hashlib.sha256(b"x = 1\n").hexdigest()] == b"x = 1\n"


def test_texts_have_the_hash_of_each_recipe_here() -> None:
    """Some inherit from another one."""
    texts, recipes = find_texts(ROOT), RecipeSet(ROOT, SOURCE_KINDS).by_name
    assert any(recipe.based_on for recipe in recipes.values())
    assert {recipe.file_sha256 for recipe in recipes.values()} <= texts.keys()
