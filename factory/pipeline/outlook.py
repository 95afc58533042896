"""Outlook of a plan: which jobs would be built, and why, without building anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from factory.errors import EnvironmentSetupError, LayerMissing
from factory.model.job import Job, JobId
from factory.model.record import BuildRecord
from factory.pipeline.job import PreparedJob, Records, built_for_another_python, prepare_job
from factory.pipeline.key_changes import changed_parts
from factory.pipeline.run import Run
from factory.store.store import Store

NEVER = "it was not built yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The stored build of a job, or the reasons to build it.

    `key` is empty where it depends on a wheel or a root that does not exist yet. With `perhaps`, the store has a build
    that will serve if the missing wheel or root comes out as before. With `only_checked`, a wheel for another Python
    serves. `prepared` is set for a stored build.
    """

    job: Job
    key: str
    record: BuildRecord | None
    reasons: tuple[str, ...]
    prepared: PreparedJob | None = None
    perhaps: bool = False
    only_checked: bool = False
    missing_layer: str = ""

    @property
    def task(self) -> str:
        """The state of a job that is not stored, in words."""
        return "to check" if self.only_checked else "perhaps to build" if self.perhaps else "to build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Look-up of stored builds: `serving` finds a wheel for another Python that serves a job."""

    prepare: Callable[[Job, Records], PreparedJob]
    serving: Callable[[Job, Records], BuildRecord | None]
    store: Store

    def outlooks(self, jobs: Sequence[Job]) -> list[Outlook]:
        """Return the outlook of each job of a plan, dependencies first."""
        built: dict[JobId, BuildRecord] = {}
        found = []
        for job in jobs:
            outlook = self._outlook(job, built)
            if outlook.record is not None:
                built[job.id] = outlook.record
            found.append(outlook)
        return found

    def _outlook(self, job: Job, built: Records) -> Outlook:
        missing = [name for name in sorted(job.build_needs) if (name, job.python, "") not in built]
        earlier = {name: self.store.latest(name, job.python) for name in missing}
        known = {(name, job.python, ""): record for name, record in earlier.items() if record is not None}
        if len(known) < len(missing):
            return Outlook(job=job, key="", record=None, reasons=_before(missing))
        try:
            prepared = self.prepare(job, {**built, **known})
        except EnvironmentSetupError as error:
            layer = error.layer if isinstance(error, LayerMissing) else ""
            perhaps = any(record.version == job.recipe.version for record in self._records(job))
            reasons = (*_before(missing), error.message)
            return Outlook(job=job, key="", record=None, reasons=reasons, perhaps=perhaps, missing_layer=layer)
        record = self.store.record(prepared.key)
        if missing and record is not None:
            reasons = tuple(f"{name} is built before, and this only if its wheel differs" for name in missing)
            return Outlook(job=job, key="", record=None, reasons=reasons, perhaps=True)
        if record is not None:
            return Outlook(job=job, key=prepared.key, record=record, reasons=(), prepared=prepared)
        return self._to_build(job, {**built, **known}, prepared, missing)

    def _to_build(self, job: Job, built: Records, prepared: PreparedJob, missing: Sequence[str]) -> Outlook:
        other = self._serving(job, built)
        reasons = [f"the wheel for Python {other.target.python} serves it"] if other else []
        return Outlook(
            job=job,
            key="" if missing else prepared.key,
            record=None,
            reasons=(*(reasons or self._reasons(job, prepared)), *_before(missing)),
            only_checked=other is not None,
        )

    def _serving(self, job: Job, built: Records) -> BuildRecord | None:
        try:
            return self.serving(job, built)
        except EnvironmentSetupError:  # the other Python's root is not made yet
            return None

    def _reasons(self, job: Job, prepared: PreparedJob) -> list[str]:
        if records := self._records(job):
            return changed_parts(records, prepared, self.store)
        failures = [each for each in self.store.failures() if (each.name, each.python) == (job.id[0], job.python)]
        return [f"it was not built yet; the stage {each.stage} failed" for each in failures] or [NEVER]

    def _records(self, job: Job) -> list[BuildRecord]:
        """Return the package's records for a job's Python and toolchain, the newest first."""
        return [
            each
            for each in reversed(self.store.records_of(job.id[0]))
            if (each.target.python, each.built_with) == (job.python, job.toolchain)
        ]


def _before(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name} is built before" for name in names)


def forecast(run: Run) -> Forecast:
    """Return the forecast of a run, which makes no layers."""
    looking = replace(run, makes_layers=False)
    return Forecast(
        prepare=lambda job, records: prepare_job(job, records, looking),
        serving=lambda job, records: built_for_another_python(job, records, looking),
        store=run.store,
    )
