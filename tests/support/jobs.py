"""Jobs, and prepared jobs whose roots are only named."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from factory.model.artifacts import PackagePin
from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import Recipe
from factory.pipeline.config import BuildConfig
from factory.pipeline.content_key import BUILD_LOGIC, KeyParts
from factory.pipeline.job import PreparedJob
from factory.stages.environments.base import OpenedRoot, Root
from factory.stages.environments.layers import Layer

PINS = (PackagePin(name="libc6", version="2.41-1", architecture="riscv64"),)


@dataclass(frozen=True, kw_only=True)
class NamedEnvironment:
    """An environment that nothing opens."""

    root: Root

    def open(
        self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False
    ) -> AbstractContextManager[OpenedRoot]:
        raise NotImplementedError


def metadata(*, build: tuple[str, ...] = (), run: tuple[str, ...] = ()) -> ProjectMetadata:
    return ProjectMetadata(name=None, version=None, build_backend="x", build_requires=build, dependencies=run)


def root_of(*pins: PackagePin) -> Root:
    return Root(layers=(Layer(key="base", tree=Path("/"), packages=pins),), variables={})


def prepared(
    job: Job,
    *,
    pins: tuple[PackagePin, ...] = PINS,
    patches: tuple[Path, ...] = (),
    wheels: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    build_logic: int = BUILD_LOGIC,
) -> PreparedJob:
    """Return a job as `prepare_job` does, with a root of these packages."""
    config, root = BuildConfig().for_job(job), root_of(*pins)
    parts = KeyParts(
        job=job,
        inputs=inputs or {},
        target=config.target,
        environment_key=root.key,
        patches=patches,
        wheels=wheels or {},
        build_logic=build_logic,
    )
    return PreparedJob(
        job=job,
        config=config,
        environment=NamedEnvironment(root=root),
        patches=patches,
        dependencies=(),
        key=parts.key,
        key_parts=parts,
        folder=Path("job"),
    )


def job_of(recipe: Recipe, **options: frozenset[str]) -> Job:
    return Job(recipe=recipe, metadata=metadata(), **options)  # type: ignore[arg-type]
