"""Rebuild of a recorded wheel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.errors import RebuildImpossible
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord
from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.job import PreparedJob, prepare_package
from factory.pipeline.order import StageRunner
from factory.pipeline.run import Run
from factory.util.atomic_files import sha256_of


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
            f"{record.name} {record.version} can't be rebuilt as recorded: " + "; ".join(_changes(record, prepared)),
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


def _changes(record: BuildRecord, prepared: PreparedJob) -> list[str]:
    """List the inputs that differ from the recorded ones."""
    root = prepared.environment.root
    found = []
    if prepared.job.recipe.file_sha256 != record.recipe_sha256:
        found.append("its recipe.toml has changed")
    if [sha256_of(path) for path in prepared.patches] != [patch.sha256 for patch in record.patches]:
        found.append("its patches have changed")
    if root.key != record.environment_key:
        then, now = set(record.environment), set(root.lock())
        gone = ", ".join(f"{pin.name} {pin.version} ({pin.architecture})" for pin in sorted(then - now, key=str)[:5])
        found.append(f"the environment has other packages, without {gone}" if gone else "the environment has changed")
    return found or ["its source, a package it builds with, its check or the factory's own build logic has changed"]
