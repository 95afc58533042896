"""The one module that knows the order of the stages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import (
    AuditFailed,
    BuildFailed,
    CheckFailed,
    FactoryError,
    PatchError,
    RepairFailed,
    SourceError,
    TimeLimitReached,
)
from factory.model.artifacts import AppliedPatch, BuiltWheel, PackagePin, RepairedWheel, SourceTree
from factory.model.job import Job
from factory.model.protocols import Sandbox
from factory.model.recipe import Recipe
from factory.model.record import BuildFailure, BuildRecord, CheckResult
from factory.pipeline.check import check_wheel
from factory.pipeline.checkpoints import Steps
from factory.pipeline.config import Factory
from factory.pipeline.incremental import discard_unless_noted, ends_untouched, renew
from factory.pipeline.job import OpenJob, Records, alone_with, open_job
from factory.pipeline.metadata import describe
from factory.pipeline.plan import plan
from factory.pipeline.scheduler import require_all_done, run_graph
from factory.stages.audit.auditor import audit_wheel, render_text, require_clean
from factory.stages.builders.registry import BUILDERS
from factory.stages.environments.base import SOURCE_DATE_EPOCH
from factory.stages.environments.roots import strip_command
from factory.stages.repair.wheel import RepairTools, give_build_tag, repair
from factory.stages.sources import registry
from factory.stages.sources.prepare import prepare
from factory.util.failure_hints import is_machines_fault
from factory.util.jsonio import timestamp
from factory.util.log import LogSink
from factory.util.scratch import discard
from factory.util.wheel_tags import serves

STAGES = ("source", "patch", "environment", "build", "repair", "audit", "check")
# The stage at which a package fails by itself.
FAILING_STAGES: Mapping[type[Exception], str] = {
    SourceError: "source",
    PatchError: "patch",
    BuildFailed: "build",
    RepairFailed: "repair",
    AuditFailed: "audit",
    CheckFailed: "check",
}


def build(
    names: Sequence[str], pythons: Sequence[str], factory: Factory, toolchains: Sequence[str] = ()
) -> list[BuildRecord]:
    """Build `names` and what they need for each of `pythons`, several at once; what the store has is not built again.

    Each is built with `toolchains`, or with those that its recipe says.

    Raises:
        FactoryError: the first failure. What doesn't need the package that failed is built all the same.
    """
    planned = plan(names, pythons, factory.recipes(), lambda recipe: describe(recipe, factory), toolchains)
    jobs = {job.id: job for job in planned}
    needs = {each: job.needs for each, job in jobs.items()}
    with factory.reporter.overall(len(jobs), at_once=min(factory.recipes_at_once, len(jobs))):
        outcome = run_graph(
            needs, lambda each, records: _work_on(jobs[each], records, factory), at_once=factory.recipes_at_once
        )
    require_all_done(outcome, lambda each: jobs[each].label)
    return [outcome.done[each] for each in jobs]


def _work_on(job: Job, records: Records, factory: Factory) -> BuildRecord:
    try:
        with factory.slots.sharing():
            record = _build_job(job, records, factory.for_python(job.python, job.toolchain))
    except Exception as error:
        if not isinstance(error, TimeLimitReached):
            factory.reporter.line(f"{job.label}: failed")
        _note_failure(job, error, factory)
        raise
    factory.reporter.one_done()
    return record


def _note_failure(job: Job, error: Exception, factory: Factory) -> None:
    """Keep for the site that a package failed by itself; what the machine lacks says nothing about the package."""
    stage = next((name for kind, name in FAILING_STAGES.items() if isinstance(error, kind)), None)
    if stage is None or job.comparison or not isinstance(error, FactoryError):
        return
    if error.machines_fault or is_machines_fault(error.message):
        return
    factory.store.add_failure(
        BuildFailure(
            name=job.id[0],
            version=job.recipe.version,
            python=job.python,
            stage=stage,
            finished=timestamp(),
            message=error.message.replace(str(factory.layout.root), "$FACTORY_CACHE"),
            project=canonicalize_name(job.recipe.distribution),
        )
    )


def _build_job(job: Job, records: Records, factory: Factory) -> BuildRecord:
    opened = open_job(job, records, factory)
    with alone_with(opened, factory):
        existing = factory.store.record(opened.key)
        if existing is not None:
            factory.reporter.line(f"{job.label}: already built, {existing.wheel}")
            factory.store.forget_failure(existing)
            if existing.comparison != job.comparison:  # the recipe names its toolchains in another order now
                return factory.store.add_checked(replace(existing, comparison=job.comparison))
            return existing
        if not ends_untouched(opened.folder, opened.work):
            factory.reporter.line(f"{job.label}: begins anew, since a shell changed what the last build left")
            _remove(opened.folder)
        open_stage = factory.stages(job.label, opened.key)
        steps = Steps(folder=opened.folder / "steps", root=factory.layout.root, open_stage=open_stage)
        try:
            record = _run_stages(opened, steps, records, factory)
        except TimeLimitReached as error:
            raise TimeLimitReached(finished=tuple(run.stage for run in steps.runs(STAGES))) from error
        if not factory.keep:
            discard(opened.folder)
    return record


def _remove(job: Path) -> None:
    """Remove a job's folder; under another name first, so that a kill leaves nothing to go on with."""
    gone = job.with_name(f"{job.name}.partial")
    discard(gone)
    discard(job.rename(gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the stages up to the repaired wheel gave."""

    source: SourceTree
    patches: tuple[AppliedPatch, ...]
    built: BuiltWheel
    repaired: RepairedWheel


def make_wheel(opened: OpenJob, steps: Steps, factory: Factory) -> Made:
    """Run the stages from the source to the repaired wheel; those that are finished aren't run again."""
    source = steps.once("source", SourceTree, lambda log: _fetch(opened, factory, log))
    applied = steps.once("patch", tuple[AppliedPatch, ...], lambda log: _patch(opened, source, log))
    built = _build_wheel(opened, source, steps, factory)
    repaired = steps.once("repair", RepairedWheel, lambda log: _repair(opened, built, factory, log))
    return Made(source=source, patches=applied, built=built, repaired=repaired)


def _run_stages(opened: OpenJob, steps: Steps, records: Records, factory: Factory) -> BuildRecord:
    elsewhere = _built_for_another_python(opened.job, records, factory)
    if elsewhere is not None:
        return _check_again(opened, elsewhere, steps, records, factory)
    recipe = opened.job.recipe
    made = make_wheel(opened, steps, factory)
    steps.once("audit", str, lambda log: _audit(recipe, made.repaired, factory, log))
    checks = _check(opened, made.repaired.path, steps, records, factory)
    record = BuildRecord(
        key=opened.key,
        name=canonicalize_name(recipe.name),
        version=recipe.version,
        recipe_sha256=recipe.file_sha256,
        source_sha256=made.source.sha256,
        patches=made.patches,
        target=factory.target,
        mode=factory.mode,
        environment_kind=factory.environment,
        environment_key=opened.environment.root.key,
        environment=opened.environment.root.lock(),
        toolchain=opened.environment.root.toolchain(),
        requirements=made.built.requirements,
        cargo_locks=made.built.cargo_locks,
        stages=steps.runs(STAGES),
        checks=checks,
        finished=timestamp(),
        built_with=opened.job.toolchain,
        comparison=opened.job.comparison,
        repacked_from=recipe.repacked_from,
        repacked=recipe.repacked,
    )
    return factory.store.add(record, made.repaired)


def _built_for_another_python(job: Job, records: Records, factory: Factory) -> BuildRecord | None:
    """The record of this very job for another Python, where there is one and its wheel serves this Python too."""
    for record in reversed(factory.store.records_of(job.id[0])):
        there = replace(job, python=record.target.python)
        if record.wheel_of or there.python == job.python or not serves(record.wheel, job.python):
            continue
        needs_known = all((name, there.python, "") in records for name in job.build_needs)
        as_there = factory.for_python(there.python, job.toolchain)
        if needs_known and open_job(there, records, as_there).key == record.key:
            return record
    return None


def _check_again(opened: OpenJob, built: BuildRecord, steps: Steps, records: Records, factory: Factory) -> BuildRecord:
    """Check a wheel that was built for another Python on this one, and keep a record of that."""
    factory.reporter.line(f"{opened.job.label}: built for Python {built.target.python}, {built.wheel}")
    checks = _check(opened, factory.store.wheel_path(built), steps, records, factory)
    stages = (*(run for run in built.stages if run.stage != "check"), *steps.runs(("check",)))
    checked = replace(built, key=opened.key, wheel_of=built.key, target=factory.target, stages=stages, checks=checks)
    return factory.store.add_checked(replace(checked, comparison=opened.job.comparison, finished=timestamp()))


def _check(opened: OpenJob, wheel: Path, steps: Steps, records: Records, factory: Factory) -> tuple[CheckResult, ...]:
    recipe, (own, python, _) = opened.job.recipe, opened.job.id
    others = [
        factory.store.wheel_path(record)
        for (name, other, comparison), record in records.items()
        if name != own and other == python and not comparison
    ]
    return steps.once(
        "check",
        tuple[CheckResult, ...],
        lambda log: check_wheel(wheel, others, recipe, opened.folder / "check", factory.profiles(recipe), factory, log),
    )


def _fetch(opened: OpenJob, factory: Factory, log: LogSink) -> SourceTree:
    pristine = opened.folder / "source"
    discard(pristine)
    return registry.fetch(opened.job.recipe.source, factory.layout.downloads, pristine, log)


def _patch(opened: OpenJob, source: SourceTree, log: LogSink) -> tuple[AppliedPatch, ...]:
    """Patch a copy, so that a run killed between two patches starts again from the source as it came; then the overlay.

    Where a build was at work already, what it may go on with is kept.
    """

    def make(copy: Path) -> tuple[AppliedPatch, ...]:
        shutil.copytree(source.path, copy, symlinks=True)
        tree = SourceTree(path=copy, sha256=source.sha256)
        return prepare(opened.job.recipe.source, opened.patches, tree, log)

    return renew(opened.work / "src", make)


def _build_wheel(opened: OpenJob, source: SourceTree, steps: Steps, factory: Factory) -> BuiltWheel:
    job, builder = opened.job, BUILDERS[opened.job.recipe.build.builder]
    python = factory.target.python
    with _explained(opened, factory), opened.environment.open(opened.work, keep=factory.keep) as sandbox:
        requirements = steps.once(
            "environment",
            tuple[PackagePin, ...],
            lambda log: builder.install_requirements(
                sandbox, job.metadata, job.recipe, python, opened.dependencies, log
            ),
        )
        factory.compiler_cache.prepare(factory.layout.compiler_cache)
        with factory.compiler_cache.shared(sandbox, opened.environment.root.variables) as connected:
            return steps.once(
                "build", BuiltWheel, lambda log: _build(opened, source, connected, requirements, factory, log)
            )


@contextmanager
def _explained(opened: OpenJob, factory: Factory) -> Iterator[None]:
    """Where the build fails, say by which command a person gets into its root."""
    try:
        yield
    except BuildFailed as error:
        shell = f"look closer with: factory shell {opened.job.recipe.name} {factory.options_for(opened.job.recipe)}"
        error.hint = f"{error.hint}; {shell}" if error.hint else shell
        raise


def _build(
    opened: OpenJob,
    source: SourceTree,
    sandbox: Sandbox,
    requirements: tuple[PackagePin, ...],
    factory: Factory,
    log: LogSink,
) -> BuiltWheel:
    job, options = opened.job, opened.job.recipe.build
    _clear_half_written(opened, source, log)
    with factory.slots.taken(options.memory_per_job) as grant:
        log.write(f"# compile jobs: {grant.jobs} {grant.reason}\n")
        return BUILDERS[options.builder].build(
            sandbox, job.metadata, job.recipe, job.python, requirements, grant.jobs, log
        )


def _clear_half_written(opened: OpenJob, source: SourceTree, log: LogSink) -> None:
    """Where an earlier run's build was cut, bring its tree into a state that it can go on from."""
    begun = opened.folder / "build.begun"
    if begun.exists():
        _patch(opened, source, log)
        discard_unless_noted(opened.work / "objects")
    begun.touch()


def _repair(opened: OpenJob, built: BuiltWheel, factory: Factory, log: LogSink) -> RepairedWheel:
    recipe, root = opened.job.recipe, opened.environment.root
    tools = RepairTools(
        roots=[layer.tree for layer in root.layers],
        strip=strip_command(factory.layout, root, factory.stages("environment")),
        open_root=opened.environment.open,
    )
    out = opened.folder / "repaired"
    wheel = repair(built, recipe.repair, factory.target, tools, out, SOURCE_DATE_EPOCH, log)
    number = recipe.build_number
    return give_build_tag(wheel, number, SOURCE_DATE_EPOCH, log) if number else wheel


def _audit(recipe: Recipe, wheel: RepairedWheel, factory: Factory, log: LogSink) -> str:
    """Audit the wheel; returns the report as JSON text."""
    report = audit_wheel(wheel.path, recipe.audit, factory.target)
    log.write(render_text(report))
    require_clean(report)
    return json.dumps(report.to_json())
