"""Wheels of jobs whose check failed: `factory check` and the check's shell take them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.recipe import Recipe
from factory.model.record import StageRun
from factory.pipeline.checkpoints import Finished
from factory.pipeline.run import Run
from factory.pipeline.unstored import NOTE, JobNote, copy_newest_wheel
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import save
from factory.util.paths import Layout
from tests.support.records import record

WHEEL = "demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
DEMO = Recipe(
    name="demo",
    version="1.0",
    directory=Path("demo"),
    source=LocalSource(project="demo", version="1.0", path=Path("demo")),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())


def failed_job(run: Run, key: str, content: bytes, *, toolchain: str = "gcc", at: float = 2e9) -> None:
    """Write the folder of a job that failed after its repair."""
    folder = run.layout.jobs / f"demo-{key}"
    (folder / "repaired").mkdir(parents=True)
    (folder / "repaired" / WHEEL).write_bytes(content)
    wheel = RepairedWheel(path=folder / "repaired" / WHEEL, sha256="", platform_tags=())
    stage = StageRun(stage="repair", seconds=1.0, commands=(), log=run.layout.logs / "x.log")
    save(folder / "steps/repair.json", Finished(value=wheel, run=stage), run.layout.root)
    os.utime(folder / "steps/repair.json", (at, at))
    save(folder / NOTE, JobNote(name="demo", python="3.13", toolchain=toolchain))


def test_check_takes_the_newest_wheel_of_failed_jobs(run: Run, tmp_path: Path) -> None:
    failed_job(run, "1", b"first", at=1e9)
    failed_job(run, "2", b"second", at=1.1e9)
    failed_job(run, "3", b"clang's", toolchain="clang", at=1.2e9)
    taken = copy_newest_wheel(DEMO, run, tmp_path / "copy")
    assert (taken.name, taken.read_bytes()) == (WHEEL, b"second")
    assert taken.parent == tmp_path / "copy"
    clang = run.with_config(replace(run.config, toolchain="clang"))
    assert copy_newest_wheel(DEMO, clang, tmp_path / "copy").read_bytes() == b"clang's"


@pytest.mark.parametrize(("repaired", "content"), [(1e9, b"stored"), (2e9, b"failed")])
def test_check_takes_the_newer_of_stored_and_failed(run: Run, tmp_path: Path, repaired: float, content: bytes) -> None:
    made = tmp_path / WHEEL
    made.write_bytes(b"stored")
    run.store.add(record(), RepairedWheel(path=made, sha256=sha256_of(made), platform_tags=()))
    failed_job(run, "1", b"failed", at=repaired)
    assert copy_newest_wheel(DEMO, run, tmp_path / "copy").read_bytes() == content


def test_check_of_a_package_without_wheel_hints_the_build(run: Run, tmp_path: Path) -> None:
    (run.layout.jobs / "demo-1").mkdir(parents=True)
    save(run.layout.jobs / "demo-1" / NOTE, JobNote(name="demo", python="3.13", toolchain="gcc"))
    with pytest.raises(StoreError) as caught:
        copy_newest_wheel(DEMO, run, tmp_path / "copy")
    assert caught.value.hint == "run: factory build demo --python 3.13"
