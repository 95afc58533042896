"""Builds: planned jobs to build records in the store."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import FactoryError, StoreError, TimeLimitReached
from factory.model.job import Job, JobId
from factory.model.record import AuditSummary, BuildRecord
from factory.pipeline.check import require_script
from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.estimates import estimate_lines, stage_seconds
from factory.pipeline.failures import failure_of
from factory.pipeline.fleet.coordinator import Fleet
from factory.pipeline.incremental import ends_untouched
from factory.pipeline.job import PreparedJob, Records, built_for_another_python, prepare_job
from factory.pipeline.metadata import describe
from factory.pipeline.order import STAGES, StageRunner, audit_into_log
from factory.pipeline.outlook import Outlook, forecast
from factory.pipeline.plan import plan_each
from factory.pipeline.run import Run
from factory.pipeline.scheduler import Outcome, first_line, require_all_done, run_graph
from factory.pipeline.unstored import note_job
from factory.stages.audit.summary import summarize
from factory.util.failure_hints import is_machines_fault
from factory.util.jsonio import timestamp
from factory.util.scratch import discard

# Marker in the folder of a finished job that is to be kept.
KEPT = "kept"
ShowFailure = Callable[[Job, Exception], None]
Make = Callable[[Job, Records, Run], BuildRecord]


def build(names: Sequence[str], pythons: Sequence[str], run: Run, toolchains: Sequence[str] = ()) -> list[BuildRecord]:
    """Build `names` and their dependencies for each of `pythons`, several at once.

    Wheels that the store has are not built again. Each is built with `toolchains`, or with those of its recipe.

    Raises:
        FactoryError: the first failure. Packages that don't depend on the failed one are built all the same.
    """
    wanted = [(name, python) for python in pythons for name in names]
    results = build_each(wanted, run, toolchains)
    results.require_all_done()
    return results.records


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Jobs of a run, dependencies first, and what became of each."""

    jobs: Mapping[JobId, Job]
    outcome: Outcome[JobId, BuildRecord]

    @property
    def records(self) -> list[BuildRecord]:
        """The records of the jobs that are done."""
        return [self.outcome.done[each] for each in self.jobs if each in self.outcome.done]

    def require_all_done(self) -> None:
        """Raise an error if a job is not done, as `scheduler.require_all_done` does."""
        require_all_done(self.outcome, lambda each: self.jobs[each].label)


def build_each(
    wanted: Sequence[tuple[str, str]],
    run: Run,
    toolchains: Sequence[str] = (),
    *,
    others: bool = True,
    fleet: Fleet | None = None,
) -> Results:
    """Build recipes, each for a Python, with their dependencies, here or by a fleet.

    Without `others`, dependencies are only taken from the store: another machine builds them.
    """
    for name, _ in wanted:
        require_script(run.recipes.find(name))
    planned = plan_each(wanted, run.recipes.by_name, lambda recipe: describe(recipe, run), toolchains)
    named = {(canonicalize_name(run.recipes.find(name).name), python) for name, python in wanted}
    jobs = {job.id: job for job in planned}
    own = {each for each in jobs if others or each[:2] in named}
    for each in own:
        require_script(jobs[each].recipe)
    needs = {each: job.needs for each, job in jobs.items()}
    outlooks = _look_up(planned, run)
    _report_estimate([each for each in outlooks if each.job.id in own], run)

    stored = {each.job.id: each for each in outlooks}
    build_here = partial(_take_or_build, stored=stored) if fleet is None else _by(fleet, needs)

    def work(each: JobId, records: Records) -> BuildRecord:
        return _work_on(jobs[each], records, run, show, build_here if each in own else _stored)

    overall = run.reporter.overall(len(jobs), at_once=min(run.recipes_at_once, len(jobs)))
    with overall, _failures_shown(run, several=len(jobs) > 1) as show:
        outcome = run_graph(needs, work, at_once=run.recipes_at_once)
    return Results(jobs=jobs, outcome=outcome)


def _all_needs(job: JobId, needs: Mapping[JobId, Collection[JobId]]) -> set[JobId]:
    """Return the jobs that a job needs, also indirectly."""
    found: set[JobId] = set()
    waiting = list(needs[job])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(needs[each])
    return found


def _by(fleet: Fleet, needs: Mapping[JobId, Collection[JobId]]) -> Make:
    """Return the function that has a fleet build a job."""

    def make(job: Job, records: Records, run: Run) -> BuildRecord:
        needed = {each: records[each] for each in _all_needs(job.id, needs)}
        return _renew(fleet.build(job, needed, run), job, run)

    return make


def _look_up(jobs: Sequence[Job], run: Run) -> Sequence[Outlook]:
    """Return the jobs' outlooks; none if one cannot be prepared: its build tells why."""
    try:
        return forecast(run).outlooks(jobs)
    except FactoryError:
        return ()


def _report_estimate(outlooks: Sequence[Outlook], run: Run) -> None:
    """Report how long the builds will take."""
    for line in estimate_lines(outlooks, run):
        run.reporter.line(line)


@contextmanager
def _failures_shown(run: Run, *, several: bool) -> Iterator[ShowFailure]:
    """Yield a function that reports a job's failure at once, since others may run for hours.

    All are listed again if the run is interrupted; the only job's failure is what the command ends with.
    """
    failed: list[str] = []

    def show(job: Job, error: Exception) -> None:
        failed.append(first_line(job.label, error))
        reason = textwrap.indent(f"\n{str(error) or repr(error)}", "  ") if several else ""
        run.reporter.line(f"{job.label}: failed{reason}")

    try:
        yield show
    except KeyboardInterrupt:
        if failed:
            run.reporter.line("\n  ".join(("failed before the interrupt:", *failed)))
        raise


def _work_on(job: Job, records: Records, run: Run, show: ShowFailure, make: Make) -> BuildRecord:
    try:
        with run.slots.sharing():
            record = make(job, records, run)
    except Exception as error:
        if not isinstance(error, TimeLimitReached):
            show(job, error)
        _record_failure(job, error, run)
        raise
    run.reporter.one_done()
    return record


def _record_failure(job: Job, error: Exception, run: Run) -> None:
    """Keep a package's own failure for the site, but no fault of the machine."""
    if not isinstance(error, FactoryError) or not error.blames_package or job.comparison:
        return
    if error.machines_fault or is_machines_fault(error.message):
        return
    run.store.add_failure(failure_of(job.recipe, job.python, error, run.layout.root))


def _stored(job: Job, records: Records, run: Run) -> BuildRecord:
    """Return the stored build of a job that another machine builds, or its substitute.

    Raises:
        StoreError: there is none.
    """
    prepared = prepare_job(job, records, run)
    record = run.store.record(prepared.key)
    if record is None and run.substitutes is not None:
        with prepared.locked(run):
            record = run.substitutes.take(prepared, run)
    if record is None:
        raise StoreError(
            f"{job.label}: not in the store: no group has built it",
            hint=f"see the log of its group, or build it here: factory build {job.recipe.name}",
        )
    return record


def _take_or_build(job: Job, records: Records, run: Run, stored: Mapping[JobId, Outlook]) -> BuildRecord:
    """Return the record that was looked up before, or build."""
    looked_up = stored.get(job.id)
    if looked_up is None or looked_up.record is None or looked_up.prepared is None:
        return _build_job(job, records, run)
    with looked_up.prepared.locked(run):
        return _reuse(looked_up.record, looked_up.prepared, run)


def _build_job(job: Job, records: Records, run: Run) -> BuildRecord:
    prepared = prepare_job(job, records, run)
    with prepared.locked(run):
        existing = run.store.record(prepared.key)
        if existing is not None:
            return _reuse(existing, prepared, run)
        if run.substitutes is not None and (taken := run.substitutes.take(prepared, run)) is not None:
            _remove(prepared.folder)
            return taken
        if not ends_untouched(prepared.folder, prepared.work):
            run.reporter.line(f"{job.label}: starts from a clean tree, since a shell changed the last build's")
            _remove(prepared.folder)
        note_job(prepared.folder, job)
        expected = stage_seconds(run.store.records_of(job.id[0]), run.config.mode)
        opener = run.stages(job.label, prepared.key, expected)
        checkpoints = Checkpoints(folder=prepared.folder / "steps", root=run.layout.root, open_stage=opener)
        try:
            record = _run_stages(StageRunner(prepared=prepared, checkpoints=checkpoints, run=run), records)
        except TimeLimitReached as error:
            raise TimeLimitReached(finished=tuple(each.stage for each in checkpoints.runs(STAGES))) from error
        if run.keep:
            (prepared.folder / KEPT).touch()
        else:
            _remove(prepared.folder)
    return record


def _clean_up(folder: Path) -> None:
    """Remove the folder of a job that was killed after its record and before its own clean-up."""
    if Checkpoints.has_finished(folder / "steps", STAGES[-1]) and not (folder / KEPT).exists():
        _remove(folder)


def _reuse(existing: BuildRecord, prepared: PreparedJob, run: Run) -> BuildRecord:
    _clean_up(prepared.folder)
    run.reporter.line(f"{prepared.job.label}: already built, {existing.wheel}")
    if not existing.key_parts:  # of an older factory
        existing = run.store.add_checked(replace(existing, key_parts=prepared.key_parts.recorded))
    return _renew(existing, prepared.job, run)


def _renew(existing: BuildRecord, job: Job, run: Run) -> BuildRecord:
    """Bring a stored record to what a build would write now, and forget an earlier failure."""
    run.store.forget_failure(existing)
    if existing.audit is None:
        existing = run.store.add_checked(replace(existing, audit=_audit_stored(existing, job, run)))
    if existing.comparison != job.comparison:  # the recipe's order of toolchains has changed
        return run.store.add_checked(replace(existing, comparison=job.comparison))
    return existing


def _audit_stored(record: BuildRecord, job: Job, run: Run) -> AuditSummary:
    """Audit a stored wheel whose record an older factory wrote without the audit's summary."""
    with run.stages(job.label, record.key)("audit") as log:
        log.write(f"# {record.wheel}: the build record has no audit summary\n")
        return summarize(audit_into_log(run.store.wheel_path(record), job.recipe.audit, record.target, log))


def _remove(folder: Path) -> None:
    """Remove a job's folder.

    It is renamed first, so that an interrupted removal leaves nothing to resume from.
    """
    gone = folder.with_name(f"{folder.name}.partial")
    discard(gone)
    if folder.exists():
        discard(folder.rename(gone))


def _run_stages(runner: StageRunner, records: Records) -> BuildRecord:
    prepared, store = runner.prepared, runner.run.store
    parts = prepared.key_parts.recorded  # before files can change
    others = _needed_wheels(prepared.job, records, runner.run)
    known = built_for_another_python(prepared.job, records, runner.run)
    if known is not None:
        return store.add_checked(replace(_check_again(runner, known, others), key_parts=parts))
    made = runner.make_wheel()
    audit = runner.audit(made)
    checks = runner.check(made.repaired.path, others)
    job, config, root = prepared.job, prepared.config, prepared.environment.root
    recipe = job.recipe
    record = BuildRecord(
        key=prepared.key,
        name=canonicalize_name(recipe.name),
        version=recipe.version,
        recipe_sha256=recipe.file_sha256,
        source_sha256=made.source.sha256,
        patches=made.patches,
        target=config.target,
        mode=config.mode,
        environment_kind=config.environment,
        environment_key=root.key,
        environment=root.lock(),
        toolchain=root.toolchain(),
        requirements=made.built.requirements,
        cargo_locks=made.built.cargo_locks,
        crates=made.built.crates,
        backend_machine=made.built.backend_machine,
        stages=runner.checkpoints.runs(STAGES),
        checks=checks,
        finished=timestamp(),
        built_with=job.toolchain,
        comparison=job.comparison,
        repacked_from=recipe.repacked_from,
        repacked=recipe.repacked,
        audit=audit,
        library_origins=made.repaired.library_origins,
        sources=made.source.origins,
        compiler_cache=made.built.compiler_cache,
        replaced_requires=recipe.build.replaced_requires,
        key_parts=parts,
    )
    return store.add(record, made.repaired)


def _needed_wheels(job: Job, records: Records, run: Run) -> list[Path]:
    """Return the wheels built here that the package needs at run time."""
    return [run.store.wheel_path(records[name, job.python, ""]) for name in sorted(job.check_needs)]


def _check_again(runner: StageRunner, built: BuildRecord, others: Sequence[Path]) -> BuildRecord:
    """Check a wheel that was built for another Python; return the record for this one."""
    prepared, store = runner.prepared, runner.run.store
    job = prepared.job
    runner.run.reporter.line(f"{job.label}: built for Python {built.target.python}, {built.wheel}")
    checks = runner.check(store.wheel_path(built), others)
    stages = (*(each for each in built.stages if each.stage != "check"), *runner.checkpoints.runs(("check",)))
    target = prepared.config.target
    checked = replace(built, key=prepared.key, wheel_of=built.key, target=target, stages=stages, checks=checks)
    return replace(checked, comparison=job.comparison, finished=timestamp())
