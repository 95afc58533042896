"""Indexes of checks: requirements without a wheel for riscv64 are the package's failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import CheckFailed
from factory.model.artifacts import RepairedWheel
from factory.model.recipe import Recipe
from factory.pipeline.check import PackageCheck
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.logs import MemoryLog
from tests.support.recipes import SMALLEST, write
from tests.support.records import record
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, make_wheel


@pytest.fixture
def check(tmp_path: Path) -> PackageCheck:
    """Check of demo, in a project folder that has a recipe for `needed` too."""
    directory = write(tmp_path / "recipes", SMALLEST.replace("spam", "needed"), "needed").parent
    recipe = Recipe(
        name="demo",
        version="1.0",
        directory=directory / "demo",
        source=LocalSource(project="demo", version="1.0", path=tmp_path),
    )
    run = Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    return PackageCheck(recipe=recipe, run=run)


@pytest.mark.parametrize(("name", "hint"), [("other", "recipe"), ("needed", "run: factory build needed --python 3.13")])
def test_dependency_without_wheel_fails_the_check(
    check: PackageCheck, tmp_path: Path, log: MemoryLog, upstream: Upstream, name: str, hint: str
) -> None:
    upstream.add(name, tag="cp313-cp313-manylinux_2_17_x86_64")
    upstream.add("between", requires=(f"{name}>=1",))
    wheel = make_wheel(tmp_path, "demo", requires=("between",))
    with pytest.raises(CheckFailed, match=r"demo==1\.0: cannot resolve for riscv64") as caught:
        check.write_index(wheel, [], tmp_path / "check", log)
    assert caught.value.blames_package
    assert name in caught.value.message
    assert hint in str(caught.value.hint)


def test_stored_wheel_is_not_offered_beside_the_needed_one(
    check: PackageCheck, tmp_path: Path, log: MemoryLog, upstream: Upstream
) -> None:
    """A later build with the same file name is stored: the plan's own wheel counts."""
    upstream.add("between", requires=("missing>=1",))
    later, planned = (make_wheel(tmp_path / name, "needed", code=f"X = {name!r}\n") for name in ("later", "planned"))
    repaired = RepairedWheel(path=later, sha256=sha256_of(later), platform_tags=())
    check.run.store.add(replace(record(), name="needed"), repaired)
    wheel = make_wheel(tmp_path, "demo", requires=("needed", "between"))
    with pytest.raises(CheckFailed, match=r"demo==1\.0: cannot resolve"):
        check.write_index(wheel, [planned], tmp_path / "check", log)


def test_stored_wheel_serves_another_projects_requirement(
    check: PackageCheck, tmp_path: Path, log: MemoryLog, upstream: Upstream
) -> None:
    upstream.add("needed", tag="cp313-cp313-manylinux_2_17_x86_64")
    upstream.add("between", requires=("needed>=1",))
    built = make_wheel(tmp_path, "needed", tag=RISCV)
    repaired = RepairedWheel(path=built, sha256=sha256_of(built), platform_tags=())
    check.run.store.add(replace(record(), name="needed"), repaired)
    wheel = make_wheel(tmp_path, "demo", requires=("between",))
    index = check.write_index(wheel, [], tmp_path / "check", log)
    assert {path.name for path in (index / "simple").iterdir() if path.is_dir()} == {"between", "demo", "needed"}


def test_what_the_checks_requirements_need_is_in_the_index(
    check: PackageCheck, tmp_path: Path, log: MemoryLog, upstream: Upstream
) -> None:
    upstream.add("between")
    required = make_wheel(tmp_path, "needed", tag=RISCV, requires=("between",))
    asking = replace(check, recipe=replace(check.recipe, check=replace(check.recipe.check, requires=("Needed>=1",))))
    index = asking.write_index(make_wheel(tmp_path, "demo"), [required], tmp_path / "check", log)
    assert {path.name for path in (index / "simple").iterdir() if path.is_dir()} == {"between", "demo", "needed"}
