"""Lint without network: each mistake is found at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.pipeline.lint.lint import lint
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from tests.support.checkouts import ROOT
from tests.support.projects import CALLS, PATCH, add_patch, make_project
from tests.support.recipes import SHA256, SMALLEST, write

MODEL = f'[tiny]\nproject = "p"\nversion = "1"\nwheel-sha256 = "{SHA256}"\nmember = "x"\nsha256 = "{SHA256}"\n'


def found(recipes: RecipeSet, *names: str) -> list[str]:
    _, findings = lint(names, recipes)
    return [str(each).replace(f"{recipes.folder}/", "") for each in findings]


def test_lint_of_this_repository_finds_nothing() -> None:
    recipes, findings = lint((), RecipeSet(ROOT, SOURCE_KINDS))
    assert len(recipes) > 20
    assert [str(each) for each in findings] == []


def test_lint_recipe_without_mistakes_finds_nothing(tmp_path: Path) -> None:
    assert found(make_project(tmp_path, patch=PATCH)) == []


@pytest.mark.parametrize(
    ("more", "place", "words"),
    [
        ("[build]\nrust = false\n", "8: build.rust", "default"),
        ("[build]\ntoolchains = ['gcc']\n", "8: build.toolchains", "default"),
        ("[build.config-settings]\n", "7: build.config-settings", "default"),
        ("[build]\n", "7: build", "empty"),
        ("[build]\napt = ['pkgconf']\n", "8: build.apt", "every root"),
        ("[build]\napt = ['libx-dev', 'libx-dev']\n", "8: build.apt", "'libx-dev' is named twice"),
        ("[build.repack]\nexcluded = ['x']\n", "7: build.repack", "pep517"),
        ("[check]\nscript = 'smoke.py'\n", "8: check.script", "default"),
        ("[check]\nprofiles = ['rv64gc', 'rvv128', 'k1', 'rva23', 'vlen1024']\n", "8: check.profiles", "default"),
        ("[check]\nprofiles = ['rvv128', 'rvv*']\n", "8: check.profiles", "'rvv128' is among 'rvv*'"),
        ("[check]\ntime-limit = '4h'\n", "8: check.time-limit", "default"),
        ("[check]\nmodel-profiles = ['k1']\n", "8: check.model-profiles", "without `model`"),
        ("[check.expect.core]\nk1 = 'a'\n'*' = 'a'\n", "8: check.expect.core.k1", "'*' already"),
        ("[check.expect.core]\n'*' = 'a'\n'vlen*' = 'b'\n", '9: check.expect.core."vlen*"', "never used"),
        ("[suite]\nrequires = ['pytest']\n", "7: suite", "`script`"),
        ("[audit]\nin-wheel = true\n", "8: audit.in-wheel", "nothing"),
        ("project = 'spam'\n", "7: source.project", "package's"),
        ("version = '1.0'\n", "7: source.version", "package's"),
    ],
)
def test_lint_dead_option_is_found_at_its_line(tmp_path: Path, more: str, place: str, words: str) -> None:
    (finding,) = found(make_project(tmp_path, SMALLEST + more))
    assert finding.startswith(f"recipes/spam/recipe.toml:{place}: ")
    assert words in finding


@pytest.mark.parametrize(
    "more",
    [
        "[check]\nprofiles = ['*']\n",
        "[check.expect.core]\nk1 = 'a'\n'rvv*' = 'c'\n'*' = 'b'\n",
        "[audit]\nin-wheel = true\ndispatched = ['x.so']\n",
        "[build]\ntoolchains = ['gcc', 'clang']\n",
    ],
)
def test_lint_live_option_is_no_finding(tmp_path: Path, more: str) -> None:
    assert found(make_project(tmp_path, SMALLEST + more)) == []


def test_lint_reads_what_a_based_recipe_states(tmp_path: Path) -> None:
    """The other's dead option is found once.

    A default that overrides its value is none, another one is.
    """
    recipes = make_project(tmp_path, f"{SMALLEST}[build]\nrust = true\n[check]\ntime-limit = '4h'\n")
    package = '[package]\nname = "old"\nbased-on = "spam"\ndistribution = "spam"\n'
    text = f"{package}[build]\nrust = false\nemulated-python = false\n"
    write(recipes.folder / "recipes", text, "old")
    assert [line.rpartition(": ")[0] for line in found(recipes)] == [
        "recipes/old/recipe.toml:7: build.emulated-python: is the default",
        "recipes/spam/recipe.toml:10: check.time-limit: is the default",
    ]


def test_lint_distribution_of_recipes_name_is_found(tmp_path: Path) -> None:
    text = SMALLEST.replace("[source]", 'distribution = "Spam"\n[source]')
    (finding,) = found(make_project(tmp_path, text))
    assert finding.startswith("recipes/spam/recipe.toml:4: package.distribution: ")


@pytest.mark.parametrize(
    ("patch", "line", "key"),
    [
        (PATCH.replace("Pending", "Pushed"), 3, "Upstream-Status"),
        (PATCH.replace("Pending", "Backport"), 3, "Upstream-Status"),
        (PATCH.replace(PATCH.splitlines()[1], "Description: It fixes that"), 2, "Description"),
        (PATCH.replace("Subject: Say eggs\n", ""), 1, "header"),
        (PATCH.partition("---\n")[2], 1, "header"),
        (PATCH.partition("--- a")[0], 4, "diff"),
        (PATCH.replace("b/spam.py", "b/../spam.py"), 1, "header"),
        (PATCH.replace("eggs", "\udcff"), 1, "header"),
    ],
)
def test_lint_patch_mistake_is_found_at_its_line(tmp_path: Path, patch: str, line: int, key: str) -> None:
    recipes = make_project(tmp_path)
    add_patch(tmp_path, "").write_bytes(patch.encode(errors="surrogateescape"))
    (finding,) = found(recipes)
    assert finding.startswith(f"patches/spam/1.0/0001-say-eggs.patch:{line}: {key}: ")


@pytest.mark.parametrize(
    "status", ["Submitted, pull request 7", "Backport [2.1]", "Inappropriate [our index]", "Denied"]
)
def test_lint_known_upstream_status_is_no_finding(tmp_path: Path, status: str) -> None:
    assert found(make_project(tmp_path, patch=PATCH.replace("Pending", status))) == []


def test_lint_patch_names_are_checked(tmp_path: Path) -> None:
    recipes = make_project(tmp_path, patch=PATCH)
    add_patch(tmp_path, PATCH, "0001-again.patch")
    add_patch(tmp_path, PATCH, "fix.patch")
    assert [each.partition(" is ")[0].partition(" has ")[0] for each in found(recipes)] == [
        "patches/spam/1.0/0001-say-eggs.patch:1: patch:",
        "patches/spam/1.0/fix.patch:1: patch:",
    ]


def test_lint_what_no_recipe_uses_is_found(tmp_path: Path) -> None:
    recipes = make_project(tmp_path)
    add_patch(tmp_path, PATCH, version="0.9")
    (tmp_path / "recipes/models.toml").write_text(MODEL)
    (tmp_path / "recipes/spam/suite.py").write_text(CALLS)
    assert [each.rpartition(": ")[0] for each in found(recipes)] == [
        "patches/spam/0.9/0001-say-eggs.patch:1: patch",
        "recipes/models.toml:1: tiny",
        "recipes/spam/suite.py:1: recipe",
    ]
    assert found(recipes, "spam") == []


def test_lint_overlay_without_licence_is_found(tmp_path: Path) -> None:
    recipes = make_project(tmp_path, SMALLEST + 'project = "eggs"\nversion = "2"\noverlay = ["package"]\n')
    (tmp_path / "recipes/spam/package").mkdir()
    pyproject = tmp_path / "recipes/spam/package/pyproject.toml"
    pyproject.write_text('[build-system]\n\n[project]\nname = "spam"\nversion = "1.0"\n')
    (finding,) = found(recipes)
    assert finding == "recipes/spam/package/pyproject.toml:3: project.license: is missing"
    pyproject.write_text(pyproject.read_text() + 'license = "MIT"\n')
    assert found(recipes) == []
    pyproject.write_text("[project\n")
    assert found(recipes)[0].startswith("recipes/spam/package/pyproject.toml:1: overlay: not TOML")


def test_lint_broken_recipe_hides_no_other_finding(tmp_path: Path) -> None:
    recipes = make_project(tmp_path, SMALLEST + "[build]\nrust = false\n")
    write(tmp_path / "recipes", SMALLEST.replace("spam", "eggs").replace(SHA256, "abc"), "eggs")
    write(tmp_path / "recipes", "[package\n", "ham")
    places = ["eggs/recipe.toml:6: source.sha256", "ham/recipe.toml:1: not TOML", "spam/recipe.toml:8: build.rust"]
    for finding, place in zip(found(recipes), places, strict=True):
        assert finding.startswith(f"recipes/{place}: ")
    assert [each[:27] for each in found(recipes, "eggs")] == ["recipes/eggs/recipe.toml:6:"]
    assert [each[:27] for each in found(recipes, "spam")] == ["recipes/spam/recipe.toml:8:"]


def test_lint_unknown_name_suggests_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe for 'spma'") as caught:
        lint(["spma"], make_project(tmp_path))
    assert caught.value.hint == "did you mean 'spam'?"


def test_lint_name_shows_mistakes_of_its_base(tmp_path: Path) -> None:
    recipes = make_project(tmp_path, SMALLEST + "[build]\nrust = 3\n")
    write(tmp_path / "recipes", '[package]\nname = "eggs"\nbased-on = "spam"\n', "eggs")
    write(tmp_path / "recipes", "garbage", "beans")
    (finding,) = found(recipes, "eggs")
    assert finding.startswith("recipes/spam/recipe.toml:8: build.rust: ")


def test_lint_key_with_line_end_is_one_finding(tmp_path: Path) -> None:
    (finding,) = found(make_project(tmp_path, SMALLEST + '[build]\n"a\\nb" = 1\n'))
    assert finding.startswith('recipes/spam/recipe.toml:8: build."a\\nb": unknown key')
