"""Bumps: the choice of versions, and what is told of and done with a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pypi_simple import DistributionPackage

from factory.cli.console import Reporter
from factory.errors import SourceError
from factory.model.recipe import Recipe
from factory.pipeline.bump import Bump, apply_bump, find_bump, metadata_changes, newer_than, obstacle
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.package_index import SDIST, newest_file
from factory.util.paths import Layout
from tests.support.index_files import sdist
from tests.support.index_server import IndexServer
from tests.support.jobs import metadata
from tests.support.logs import MemoryLog
from tests.support.projects import PATCH, add_patch, make_project, serve_spam
from tests.support.recipes import SHA256, SMALLEST, write


def run_of(recipes: RecipeSet) -> Run:
    return Run(layout=Layout(recipes.folder / "cache"), recipes=recipes, reporter=Reporter())


def pinned(root: Path, index: IndexServer, patch: str = "") -> Run:
    """Return a run with a recipe of spam 1.0, which the index has."""
    return run_of(make_project(root, SMALLEST.replace(SHA256, serve_spam(index)), patch=patch))


def bump_of(run: Run) -> Bump:
    found = find_bump(run.recipes.find("spam"), run, MemoryLog())
    assert found is not None
    return found


def newest(recipe: Recipe, *files: DistributionPackage) -> str | None:
    found = newest_file(files, SDIST, newer_than(recipe))
    return None if found is None else found.version


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return make_project(tmp_path).find("spam")


def test_newest_is_by_version_and_not_by_text(recipe: Recipe) -> None:
    assert newest(recipe, sdist("0.9"), sdist("1.9"), sdist("1.10"), sdist("1.0")) == "1.10"
    assert newest(recipe, sdist("1.0"), sdist("0.1")) is None
    assert newest(recipe) is None


@pytest.mark.parametrize(
    "options",
    [
        {"is_yanked": True},
        {"package_type": "wheel"},
        {"digests": {}},
        {"requires_python": "<3.12"},
        {"version": "2.0rc1"},
        {"version": "no version"},
        {"version": None},
    ],
)
def test_newest_leaves_out_unusable_files(recipe: Recipe, options: dict[str, object]) -> None:
    assert newest(recipe, sdist("1.1"), sdist("2.0", **options)) == "1.1"


def test_newest_of_invalid_requires_python_is_taken(recipe: Recipe) -> None:
    assert newest(recipe, sdist("2.0", requires_python="3.*.x")) == "2.0"


def test_newest_of_prerelease_may_be_another(recipe: Recipe) -> None:
    early = replace(recipe, source=replace(recipe.source, version="2.0a1"))
    assert newest(early, sdist("2.0b1")) == "2.0b1"


def test_newest_of_recipe_based_on_another_is_of_its_series(recipe: Recipe) -> None:
    assert newest(replace(recipe, based_on="eggs"), sdist("1.0.2"), sdist("1.1")) == "1.0.2"


def test_bump_names_version_hash_and_changes(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index)
    assert find_bump(run.recipes.find("spam"), run, MemoryLog()) is None
    sha256 = serve_spam(index, "1.1", requires='"flit_core>=4"', core="Requires-Python: >=3.13\n")
    found = bump_of(run)
    assert (found.version, found.source.sha256, found.patches, found.comment) == ("1.1", sha256, (), "")
    assert found.changes == (
        "build requirement flit-core: flit_core -> flit_core>=4",
        "Requires-Python: none -> >=3.13",
    )


def test_bump_moves_patches_that_apply(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index, PATCH)
    sha256 = serve_spam(index, "1.1")
    found = bump_of(run)
    assert [fit.reason for fit in found.patches] == [""]
    assert apply_bump(found, run) == []
    recipe = RecipeSet(tmp_path, run.recipes.kinds).find("spam")
    assert (recipe.version, recipe.source.version, recipe.source.sha256) == ("1.1", "1.1", sha256)
    assert [path.relative_to(tmp_path).parts[2] for path in tmp_path.glob("patches/spam/*/*")] == ["1.1"]
    assert not (tmp_path / "patches/spam/1.0").exists()


def test_bump_interrupted_at_the_recipe_keeps_both(
    index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Sequence[int]:
        raise KeyboardInterrupt

    run = pinned(tmp_path, index, PATCH)
    serve_spam(index, "1.1")
    found = bump_of(run)
    with monkeypatch.context() as patched:
        patched.setattr("factory.pipeline.bump.repin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            apply_bump(found, run)
    assert RecipeSet(tmp_path, run.recipes.kinds).find("spam").version == "1.0"
    assert (tmp_path / "patches/spam/1.0/0001-say-eggs.patch").read_text() == PATCH
    apply_bump(bump_of(run), run)
    assert [path.parent.name for path in tmp_path.glob("patches/spam/*/*")] == ["1.1"]


def test_bump_tells_reason_of_each_patch_that_fails(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index, PATCH)
    add_patch(tmp_path, PATCH.replace("ham", "beans").replace("eggs", "peas"), "0002-say-peas.patch")
    serve_spam(index, "1.1", word="eggs")
    found = bump_of(run)
    first, second = found.patches
    assert (first.patch.name, first.reason) == ("0001-say-eggs.patch", "the source has this change already")
    assert (second.patch.name, "FAILED" in second.reason) == ("0002-say-peas.patch", True)
    apply_bump(found, run)
    assert sorted(path.parent.name for path in tmp_path.glob("patches/spam/*/*")) == ["1.0", "1.0"]


def test_bump_leaves_patches_of_other_recipes(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index, PATCH)
    overlay = f'overlay = ["package"]\nproject = "spam"\nsha256 = "{SHA256}"\n'
    text = f'[package]\nname = "eggs"\nversion = "1.0"\n[source]\nkind = "pypi"\n{overlay}'
    (write(tmp_path / "recipes", text, "eggs") / "package").mkdir()
    serve_spam(index, "1.1")
    apply_bump(bump_of(run), run)
    assert sorted(path.parent.name for path in tmp_path.glob("patches/spam/*/*")) == ["1.0", "1.1"]
    assert "overlay" in obstacle(run.recipes.find("eggs"))


def test_bump_obstacle_of_other_kinds_is_told(tmp_path: Path) -> None:
    write(tmp_path / "recipes", '[package]\nname = "copy"\nbased-on = "spam"\n', "copy")
    recipes = make_project(tmp_path)
    assert obstacle(recipes.find("spam")) == ""
    assert obstacle(recipes.find("copy")) == "has the version of spam"
    write(tmp_path / "recipes", SMALLEST.replace("pypi", "debian"))
    assert "debian" in obstacle(RecipeSet(tmp_path, recipes.kinds).find("spam"))


def test_bump_of_unsound_source_is_an_error(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index, PATCH)
    index.add("spam-1.1.tar.gz", b"garbage")
    with pytest.raises(SourceError, match=r"spam-1\.1\.tar\.gz"):
        bump_of(run)
    index.add("spam-1.1.tar.gz", b"garbage", sha256="f" * 64)
    with pytest.raises(SourceError, match="another content"):
        bump_of(run)


def test_bump_of_newer_version_without_sdist_is_an_error(index: IndexServer, tmp_path: Path) -> None:
    run = pinned(tmp_path, index)
    index.add("spam-1.1-py3-none-any.whl", b"")
    with pytest.raises(SourceError, match=r"spam 1\.1: .* no sdist"):
        bump_of(run)
    serve_spam(index, "1.0.1")
    assert bump_of(run).version == "1.0.1"


def test_metadata_changes_name_added_and_removed_ones() -> None:
    old = replace(metadata(build=("cython<3", "numpy; python_version < '4'")), license="MIT")
    new = replace(metadata(build=("Cython<4", "meson")), license="\nApache-2.0\nmore", build_backend="mesonpy")
    assert list(metadata_changes(old, new)) == [
        "build requirement cython: cython<3 -> Cython<4",
        "build requirement meson: none -> meson",
        "build requirement numpy: numpy; python_version < '4' -> none",
        "build backend: x -> mesonpy",
        "licence: MIT -> Apache-2.0",
    ]
