"""Recipes based on another: what they inherit, and where their mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.recipes.loader import recipe_projects
from tests.support.recipes import SHA256, SMALLEST, load_recipe, load_recipes, write

OTHER = SHA256[::-1]
BASE = f"""{SMALLEST}
overlay = ["files"]
[build]
apt = ["libspam-dev"]
[build.environment]
SPAM = "1"
EGGS = "1"
[check]
profiles = ["rv64gc", "k1"]
"""
OLDER = f"""
[package]
name = "spam-old"
based-on = "spam"
distribution = "spam"
version = "0.9"
[source]
sha256 = "{OTHER}"
[build]
apt = []
[build.environment]
EGGS = "2"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = write(tmp_path, BASE.replace('version = "1.0"', 'version = "1.0"\nbuild = 2\nshadows-upstream = true'))
    (base / "files").mkdir()
    (base / "smoke.py").write_text("import spam\n")
    return tmp_path


def test_what_is_not_stated_is_inherited(root: Path) -> None:
    recipe = load_recipe(write(root, OLDER, "spam-old"))
    assert (recipe.name, recipe.version, recipe.project, recipe.build_number) == ("spam-old", "0.9", "spam", 0)
    assert (recipe.source.kind, recipe.source.version, recipe.source.sha256) == ("pypi", "0.9", OTHER)
    assert (recipe.build.apt, recipe.build.environment) == ((), {"SPAM": "1", "EGGS": "2"})
    assert (recipe.check.profiles, recipe.shadows_upstream) == (("rv64gc", "k1"), True)


def test_paths_are_of_the_recipe_that_states_them(root: Path) -> None:
    directory = write(root, OLDER, "spam-old")
    recipe = load_recipe(directory)
    assert recipe.source.overlay is not None
    assert recipe.source.overlay.folders == (directory / "../spam/files",)
    assert recipe.check.script == directory / "../spam/smoke.py"
    (directory / "smoke.py").touch()
    assert load_recipe(directory).check.script == directory / "smoke.py"


def test_recipes_of_one_project_are_both_its_projects(root: Path) -> None:
    write(root, OLDER, "spam-old")
    found = {each.recipe: (each.project, each.may_shadow) for each in recipe_projects(root)[0]}
    assert found == {"spam": ("spam", True), "spam-old": ("spam", True)}


def test_changed_base_changes_the_file_hash(root: Path) -> None:
    directory = write(root, OLDER, "spam-old")
    before = load_recipe(directory).file_sha256
    write(root, BASE.replace("libspam-dev", "libspam2-dev"))
    assert load_recipe(directory).file_sha256 != before


def test_mistake_is_reported_in_the_file_that_states_it(root: Path) -> None:
    write(root, BASE.replace('["rv64gc", "k1"]', '["rv65"]'))
    write(root, OLDER.replace('EGGS = "2"', "EGGS = 2"), "spam-old")
    with pytest.raises(RecipeError) as caught:
        load_recipes(root)
    places = [":".join(line.removeprefix(f"{root}/").split(":")[:3]) for line in caught.value.message.splitlines()]
    assert places == ["spam/recipe.toml:15: check.profiles", "spam-old/recipe.toml:12: build.environment.EGGS"]


@pytest.mark.parametrize(
    ("base", "cause"),
    [
        ("spa", "unknown value 'spa'; did you mean 'spam'?"),
        ("../spam", "unknown value"),
        ("spam-old", "unknown value"),
        ("x" * 300, "unknown value"),
        ("SPAM", "unknown value 'SPAM'"),
        ("spam-older", "'spam-older' is based on 'spam'; name that one"),
    ],
)
def test_recipe_based_on_none_is_refused(root: Path, base: str, cause: str) -> None:
    write(root, OLDER.replace("spam-old", "spam-older"), "spam-older")
    directory = write(root, OLDER.replace('based-on = "spam"', f'based-on = "{base}"'), "spam-old")
    with pytest.raises(RecipeError) as caught:
        load_recipe(directory)
    assert caught.value.message.startswith(f"{directory}/recipe.toml:4: package.based-on: {cause}")


def test_recipes_based_on_each_other_are_refused(root: Path) -> None:
    write(root, OLDER.replace('based-on = "spam"', 'based-on = "spam-older"'), "spam-old")
    older = write(root, OLDER.replace("spam-old", "spam-older").replace('"spam"', '"spam-old"', 1), "spam-older")
    with pytest.raises(RecipeError, match="'spam-old' is based on 'spam-older'; one of the two must stand alone"):
        load_recipe(older)


def test_base_of_another_type_is_refused(root: Path) -> None:
    directory = write(root, SMALLEST.replace('version = "1.0"', 'version = "1.0"\nbased-on = 3'))
    with pytest.raises(RecipeError, match=r"recipe\.toml:4: package\.based-on: must be a string"):
        load_recipe(directory)
