"""Building once more what a build record says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.errors import RebuildImpossible
from factory.model.artifacts import RepairedWheel
from factory.model.record import BuildRecord
from factory.pipeline.build import make_wheel
from factory.pipeline.checkpoints import Steps
from factory.pipeline.config import Factory
from factory.pipeline.job import OpenJob, open_package
from factory.util.atomic_files import sha256_of


def rebuild(record: BuildRecord, factory: Factory, folder: Path) -> RepairedWheel:
    """Build once more, in `folder`, what a record says: the same inputs and exactly its build requirements, no cache.

    Raises:
        RebuildImpossible: the recipe, its patches, the environment or another input is not the recorded one any more.
    """
    record = factory.store.record(record.wheel_of) or record
    factory = replace(factory, target=record.target, toolchain=record.built_with, mode=record.mode)
    opened = open_package(record.name, factory, record.built_with)
    if opened.key != record.key:
        raise RebuildImpossible(
            f"{record.name} {record.version} can't be rebuilt as recorded: " + "; ".join(_changes(record, opened)),
            hint="check out the recorded recipe and patches; an environment is kept as long as its layers are",
        )
    recipe, metadata = opened.job.recipe, opened.job.metadata
    uncached = {**recipe.build.environment, "CCACHE_DISABLE": "1"}
    pins = tuple(f"{pin.name}=={pin.version}" for pin in record.requirements)
    job = replace(
        opened.job,
        recipe=replace(recipe, build=replace(recipe.build, environment=uncached)),
        metadata=replace(metadata, build_requires=pins, cargo_locks=record.cargo_locks),
    )
    steps = Steps(
        folder=folder / "steps", root=factory.layout.root, open_stage=factory.stages(f"{recipe.label} rebuilt")
    )
    return make_wheel(replace(opened, job=job, folder=folder), steps, factory).repaired


def _changes(record: BuildRecord, opened: OpenJob) -> list[str]:
    """Which inputs of a build are other ones than those recorded."""
    root = opened.environment.root
    found = []
    if opened.job.recipe.file_sha256 != record.recipe_sha256:
        found.append("its recipe.toml has changed")
    if [sha256_of(path) for path in opened.patches] != [patch.sha256 for patch in record.patches]:
        found.append("its patches have changed")
    if root.key != record.environment_key:
        then, now = set(record.environment), set(root.lock())
        gone = ", ".join(f"{pin.name} {pin.version} ({pin.architecture})" for pin in sorted(then - now, key=str)[:5])
        found.append(f"the environment has other packages, without {gone}" if gone else "the environment has changed")
    return found or ["its source, a package it builds with, its check or the factory's own build logic has changed"]
