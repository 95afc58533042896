"""Indexes of checks: requirements without a wheel for riscv64 are the package's failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import CheckFailed
from factory.model.recipe import Recipe
from factory.pipeline.check import PackageCheck
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.paths import Layout
from tests.support.logs import MemoryLog
from tests.support.upstream import Upstream
from tests.support.wheelmaker import make_wheel


def test_dependency_without_wheel_fails_the_check(tmp_path: Path, log: MemoryLog, upstream: Upstream) -> None:
    upstream.add("needed", tag="cp313-cp313-manylinux_2_17_x86_64")
    wheel = make_wheel(tmp_path, "demo", requires=("needed>=1",))
    recipe = Recipe(
        name="demo",
        version="1.0",
        directory=tmp_path,
        source=LocalSource(project="demo", version="1.0", path=tmp_path),
    )
    run = Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    with pytest.raises(CheckFailed, match=r"demo==1\.0: cannot resolve for riscv64") as caught:
        PackageCheck(recipe=recipe, run=run).write_index(wheel, [], tmp_path / "check", log)
    assert caught.value.blames_package
    assert "needed" in caught.value.message
    assert "recipe" in str(caught.value.hint)
