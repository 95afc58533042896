"""Metadata of packages, cached by the hash of their sources."""

from __future__ import annotations

import difflib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli import console
from factory.cli.console import Reporter
from factory.model.job import ProjectMetadata
from factory.model.recipe import Recipe
from factory.model.source import Overlay
from factory.pipeline.metadata import describe
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.identity import identity
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.jsonio import save
from factory.util.locks import held
from factory.util.paths import Layout

PROJECT = '[build-system]\nrequires = []\nbuild-backend = "mesonpy"\n[project]\nname = "eggs"\nversion = "1"\n'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Return a recipe whose source is assembled before its metadata can be read."""
    for name in ("source", "package"):
        (tmp_path / name).mkdir()
    (tmp_path / "package/pyproject.toml").write_text(PROJECT)
    overlay = Overlay(folders=(tmp_path / "package",), project="eggs", version="1")
    pin = LocalSource(project="spam", version="1", path=tmp_path / "source", overlay=overlay)
    return Recipe(name="eggs", version="1", directory=tmp_path, source=pin)


def test_metadata_is_read_once(
    run: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "BRIEF_SECONDS", 0.0)
    metadata = describe(recipe, run)
    assert (metadata.name, metadata.build_backend) == ("eggs", "mesonpy")
    assert describe(recipe, run) == metadata
    assert capsys.readouterr().err.count("metadata: done") == 1
    assert not list(run.layout.metadata.glob("*.source"))


def test_recipe_replaces_and_adds_build_requirements(run: Run, recipe: Recipe, tmp_path: Path) -> None:
    project = PROJECT.replace("requires = []", 'requires = ["cffi~=1.17", "setuptools"]')
    (tmp_path / "package/pyproject.toml").write_text(project)
    build = replace(recipe.build, requires=("numpy",), replaced_requires={"cffi>=2": "the API is the same"})
    assert describe(replace(recipe, build=build), run).build_requires == ("cffi>=2", "setuptools", "numpy")
    assert describe(recipe, run).build_requires == ("cffi~=1.17", "setuptools")


def test_metadata_of_one_source_is_read_by_one_process(
    run: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.layout.metadata / f"{identity(recipe.source)}.json"
    path.parent.mkdir(parents=True)
    found: list[ProjectMetadata] = []
    waiting = threading.Thread(target=lambda: found.append(describe(recipe, run)))
    with held(path.with_suffix(".lock")):
        waiting.start()
        waiting.join(1)
        assert waiting.is_alive()
        first = ProjectMetadata(name="what the first one read", version="1", build_backend="mesonpy", build_requires=())
        save(path, first)
    waiting.join(10)
    assert found == [first]
    assert capsys.readouterr().err == "eggs 1: waiting for another process that reads its metadata\n"


HEADER = "Subject: change\nDescription: of metadata\nUpstream-Status: Inappropriate [test]\n---\n"
STATED = """[build-system]
requires = ["meson-python"]
build-backend = "mesonpy"
[project]
name = "eggs"
version = "1"
dynamic = ["requires-python"]
dependencies = ["numpy"]
"""
CHANGED = STATED.replace('["meson-python"]', '["cython"]').replace("mesonpy", "other").replace("numpy", "scipy")
PKG_INFO_TEXT = "Metadata-Version: 2.1\nName: eggs\nVersion: 1\nRequires-Python: >=3.10\nRequires-Dist: numpy\n"


def diff_of(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(lines)


@pytest.fixture
def patched(run: Run, tmp_path: Path) -> Recipe:
    """Return the recipe of a source with PKG-INFO, which has a patch of pyproject.toml."""
    source = tmp_path / "plain"
    source.mkdir()
    (source / "pyproject.toml").write_text(STATED)
    (source / "PKG-INFO").write_text(PKG_INFO_TEXT)
    folder = run.recipes.patches / "eggs/1"
    folder.mkdir(parents=True)
    (folder / "0001-change.patch").write_text(HEADER + diff_of("pyproject.toml", STATED, CHANGED))
    pin = LocalSource(project="eggs", version="1", path=source)
    return Recipe(name="eggs", version="1", directory=tmp_path, source=pin)


def test_metadata_is_that_of_the_patched_source(run: Run, patched: Recipe, tmp_path: Path) -> None:
    metadata = describe(patched, run)
    assert (metadata.build_backend, metadata.build_requires) == ("other", ("cython",))
    assert (metadata.dependencies, metadata.requires_python) == (("scipy",), ">=3.10")
    assert (tmp_path / "plain/pyproject.toml").read_text() == STATED
    assert not list(run.layout.metadata.glob("*.source"))


def test_changed_patch_gives_other_metadata(run: Run, patched: Recipe) -> None:
    before = describe(patched, run)
    (patch,) = (run.recipes.patches / "eggs/1").iterdir()
    patch.write_text(HEADER + diff_of("pyproject.toml", STATED, STATED.replace("mesonpy", "third")))
    after = describe(patched, run)
    assert (before.build_backend, after.build_backend, after.dependencies) == ("other", "third", ("numpy",))


def test_patch_that_does_not_apply_is_left_to_its_stage(run: Run, patched: Recipe) -> None:
    (patch,) = (run.recipes.patches / "eggs/1").iterdir()
    patch.write_text(HEADER + diff_of("pyproject.toml", CHANGED, STATED))
    assert describe(patched, run).build_backend == "mesonpy"
