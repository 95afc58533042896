"""Selection of recipes by what changed in the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import RecipeError
from factory.pipeline.run import Run
from factory.pipeline.selection import default_python, pairs, select, touched_recipes, touched_with_dependants
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout
from tests.support.checkouts import add_recipe

BOTH = ("3.13", "3.14")


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.invalid")
    return subprocess.run(["git", "-C", folder, *own, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Commit recipes of vectors-c, of asks, which needs it, and of stable-c."""
    root = tmp_path / "project"
    add_recipe(root, "vectors-c", more="", smoke="import vectors_c\n")
    add_recipe(root, "asks", more='[build]\nrequires = ["vectors-c"]\n', smoke="import asks\n")
    add_recipe(root, "stable-c", more="", smoke="import stable_c\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=change")


def run_of(root: Path) -> Run:
    return Run(layout=Layout(root.parent / "cache"), recipes=RecipeSet(root, SOURCE_KINDS), reporter=Reporter())


def touched(root: Path, revision: str = "HEAD") -> list[str]:
    return [recipe.name for recipe in touched_recipes(revision, run_of(root).recipes)]


def test_unchanged_checkout_touches_nothing(project: Path) -> None:
    (project / "README.md").write_text("text")
    assert touched(project) == []
    assert touched_with_dependants("HEAD", BOTH, run_of(project)).jobs == ()


def test_changed_file_of_recipe_touches_it(project: Path) -> None:
    (project / "recipes/stable-c/smoke.py").write_text("import stable_c  # again\n")
    assert touched(project) == ["stable-c"]
    commit(project)
    assert (touched(project, "HEAD^"), touched(project)) == (["stable-c"], [])


def test_new_file_that_is_not_committed_counts(project: Path) -> None:
    (project / "recipes/asks/data").mkdir()
    (project / "recipes/asks/data/own.txt").write_text("text")
    assert touched(project) == ["asks"]


def test_patch_touches_the_recipes_of_its_version(project: Path) -> None:
    for version, found in (("1.0", ["stable-c"]), ("2.0", [])):
        folder = project / "patches/stable-c" / version
        folder.mkdir(parents=True)
        (folder / "0001-change.patch").write_text("text")
        assert touched(project) == found
        commit(project)


def test_touched_need_selects_its_dependants(project: Path) -> None:
    (project / "recipes/vectors-c/smoke.py").write_text("import vectors_c  # again\n")
    found = touched_with_dependants("HEAD", BOTH, run_of(project))
    expected = {(name, python) for python in BOTH for name in ("vectors-c", "asks")}
    assert {(job.recipe.name, job.python) for job in found.jobs} == expected


def test_commits_of_the_other_branch_do_not_count(project: Path) -> None:
    """What the main branch changed since the fork is not this branch's change."""
    git(project, "checkout", "--quiet", "-b", "own")
    git(project, "checkout", "--quiet", "main")
    (project / "recipes/stable-c/smoke.py").write_text("import stable_c  # main\n")
    commit(project)
    git(project, "checkout", "--quiet", "own")
    (project / "recipes/asks/smoke.py").write_text("import asks  # own\n")
    commit(project)
    assert touched(project, "main") == ["asks"]


@pytest.mark.parametrize("revision", ["no-such-branch", "--output=stolen", "$(touch stolen)"])
def test_unknown_revision_is_an_error(project: Path, revision: str) -> None:
    with pytest.raises(RecipeError, match="cannot compare"):
        touched(project, revision)
    assert not (project / "stolen").exists()


def test_python_that_a_source_excludes_is_left_out(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "packages/old"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text('[project]\nname = "old"\nversion = "1.0"\nrequires-python = "<3.14"\n')
    add_recipe(project, "old", more="", smoke="import old\n", packages=source.parent)
    found = select(["old", "stable-c"], BOTH, run_of(project))
    assert {(job.recipe.name, job.python) for job in found.jobs} == {
        ("old", "3.13"),
        ("stable-c", "3.13"),
        ("stable-c", "3.14"),
    }
    assert found.refused == ()


def test_default_python_is_the_first_that_needs_allow_too(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "packages/new"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text('[project]\nname = "new"\nversion = "1.0"\nrequires-python = ">=3.14"\n')
    add_recipe(project, "new", more="", smoke="import new\n", packages=source.parent)
    file = project / "recipes/asks/recipe.toml"
    file.write_text(file.read_text().replace('vectors-c"]', 'new"]'))
    run = run_of(project)
    assert pairs(["asks", "new", "stable-c"], (), run) == [("stable-c", "3.13"), ("asks", "3.14"), ("new", "3.14")]
    assert pairs(["asks"], ("3.13",), run) == [("asks", "3.13")]
    found = {(job.recipe.name, job.python) for job in select(["asks", "stable-c"], (), run).jobs}
    assert found == {("asks", "3.14"), ("new", "3.14"), ("stable-c", "3.13")}


def test_recipe_that_allows_no_python_defaults_to_the_first(project: Path, tmp_path: Path) -> None:
    """The plan then says what excludes it."""
    source = tmp_path / "packages/old"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text('[project]\nname = "old"\nversion = "1.0"\nrequires-python = "<3.9"\n')
    add_recipe(project, "old", more="", smoke="import old\n", packages=source.parent)
    assert default_python("old", run_of(project)) == "3.13"
    assert select(["old"], (), run_of(project)).jobs == []
