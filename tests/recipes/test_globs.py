"""Globs of profile names in recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.model.recipe import Recipe
from factory.model.target import PROFILES
from tests.support.recipes import SMALLEST, load_recipe, problems_of, write


def load(tmp_path: Path, check: str) -> Recipe:
    return load_recipe(write(tmp_path, f"{SMALLEST}[check]\n{check}"))


def test_profiles_glob_expands_in_profile_order(tmp_path: Path) -> None:
    assert load(tmp_path, 'profiles = ["*"]').check.profiles == tuple(PROFILES)
    recipe = load(tmp_path, 'profiles = ["vlen*", "k1", "rv*", "rv64gc"]\nmodel-profiles = ["k*", "rva2?"]')
    assert recipe.check.profiles == ("vlen512", "vlen1024", "k1", "rv64gc", "rva22", "rvv128", "rva23")
    assert recipe.check.model_profiles == ("k1", "rva22", "rva23")


def test_profiles_glob_without_match_is_reported(tmp_path: Path) -> None:
    found = problems_of(tmp_path, SMALLEST + '[check]\nprofiles = ["rvx*"]\n')
    assert found[0].startswith("recipe.toml:8: check.profiles: unknown value 'rvx*'")
    found = problems_of(tmp_path, SMALLEST + '[check]\nmodel-profiles = ["vlen512*"]\n')
    assert found[0].startswith("recipe.toml:8: check.model-profiles: unknown value 'vlen512*'")


def test_expect_name_wins_over_glob_and_first_glob_over_later(tmp_path: Path) -> None:
    expect = '"*" = 1\n"rv*" = 2\nk1 = 3\n'
    assert load(tmp_path, 'profiles = ["rv64gc", "k1"]\nexpect.f = {"rv*" = 2, "*" = 1, k1 = 3}').check.expect == {
        "f": {"rv64gc": 2, "k1": 3}
    }
    recipe = load(tmp_path, f'profiles = ["k1", "rv64gc"]\n[check.expect.f]\n{expect}')
    assert list(recipe.check.expect["f"].items()) == [("k1", 3), ("rv64gc", 1)]


def test_expect_glob_without_match_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.toml:9: check\.expect\.f\.\"x\*\": is not one of the recipe's"):
        load(tmp_path, '[check.expect.f]\n"x*" = 1\n')


def test_expect_without_globs_keeps_its_order(tmp_path: Path) -> None:
    recipe = load(tmp_path, "expect.f = {k1 = 1, rv64gc = 2}")
    assert list(recipe.check.expect["f"]) == ["k1", "rv64gc"]
