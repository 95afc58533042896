"""Tests of stored builds that a run uses again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.cli.console import Reporter
from factory.model.artifacts import RepairedWheel
from factory.model.recipe import Recipe
from factory.pipeline.build import _reuse
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.jobs import job_of, prepared
from tests.support.records import record
from tests.support.wheelmaker import make_wheel

PIN = LocalSource(project="demo", version="1.0", path=Path("demo"))


def test_reused_record_of_older_factory_is_completed_once(tmp_path: Path) -> None:
    run = Run(layout=Layout(tmp_path), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    path = make_wheel(tmp_path / "made", "demo", tag="cp313-cp313-manylinux_2_38_riscv64")
    wheel = RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("manylinux_2_38_riscv64",))
    stored = run.store.add(record(), wheel)
    made = prepared(job_of(Recipe(name="demo", version="1.0", directory=tmp_path, source=PIN)))
    reused = _reuse(stored, made, run)
    assert reused.audit is not None
    assert reused.key_parts == made.key_parts.recorded
    assert replace(reused, audit=None, key_parts={}) == stored
    assert run.store.record(stored.key) == reused
    run.store.wheel_path(stored).unlink()
    assert _reuse(reused, made, run) == reused
