"""Rebuild of a recorded wheel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from factory.errors import RebuildImpossible
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord
from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.job import prepare_package
from factory.pipeline.key_changes import changed_parts
from factory.pipeline.order import StageRunner
from factory.pipeline.run import Run

# Packages by which the order moves on: more than a sample has, and prime to most numbers of packages.
SAMPLE_STEP = 7
# Builds that took longer, in seconds, are in no sample.
SAMPLE_SECONDS = 3600.0


def sample(records: Sequence[BuildRecord], week: int) -> list[BuildRecord]:
    """Return the newest publishable build of each package.

    Their order moves on each week.

    Builds that took longer than an hour are left out. `records` are in order of time.
    """
    newest = {record.name: record for record in records if not record.comparison and not record.wheel_of}
    seconds = {name: sum(run.seconds for run in record.stages) for name, record in newest.items()}
    quick = [record for name, record in sorted(newest.items()) if seconds[name] < SAMPLE_SECONDS]
    start = week * SAMPLE_STEP % max(len(quick), 1)
    return [*quick[start:], *quick[:start]]


def rebuild(record: BuildRecord, run: Run, folder: Path) -> RepairedWheel:
    """Rebuild a recorded wheel in `folder`.

    Inputs and build requirements are exactly the recorded ones; the compiler cache is off.

    Raises:
        RebuildImpossible: the recipe, its patches, the environment or another input is not the recorded one any more.
    """
    record = run.store.record(record.wheel_of) or record
    config = replace(run.config, target=record.target, toolchain=record.built_with, mode=record.mode)
    run = run.with_config(config)
    prepared = prepare_package(record.name, run, record.built_with)
    if prepared.key != record.key:
        raise RebuildImpossible(
            f"{record.name} {record.version} can't be rebuilt as recorded: "
            + "; ".join(changed_parts([record], prepared, run.store)),
            hint="check out the recorded recipe and patches; an environment is kept as long as its layers are",
        )
    recipe, metadata = prepared.job.recipe, prepared.job.metadata
    uncached = {**recipe.build.environment, "CCACHE_DISABLE": "1"}
    pins = tuple(f"{pin.name}=={pin.version}" for pin in record.requirements)
    job = replace(
        prepared.job,
        recipe=replace(recipe, build=replace(recipe.build, environment=uncached)),
        metadata=replace(metadata, build_requires=pins, cargo_locks=record.cargo_locks),
    )
    opener = run.stages(f"{recipe.label} rebuilt")
    checkpoints = Checkpoints(folder=folder / "steps", root=run.layout.root, open_stage=opener)
    again = replace(prepared, job=job, folder=folder)
    return StageRunner(prepared=again, checkpoints=checkpoints, run=run).make_wheel().repaired
