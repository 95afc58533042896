"""Outlook of a plan: which jobs would be built, and why, without building anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from factory.errors import EnvironmentSetupError
from factory.model.job import Job, JobId
from factory.model.record import BuildRecord
from factory.pipeline.build import built_for_another_python
from factory.pipeline.job import PreparedJob, Records, prepare_job
from factory.pipeline.key_changes import changed_parts
from factory.pipeline.run import Run
from factory.store.store import Store

NEVER = "it was not built yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The stored build of a job, or the reasons to build it.

    `key` is empty where it depends on a wheel or a root that does not exist yet.
    """

    job: Job
    key: str
    record: BuildRecord | None
    reasons: tuple[str, ...]


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
        if missing:
            return Outlook(job=job, key="", record=None, reasons=tuple(f"{name} is built before" for name in missing))
        try:
            prepared = self.prepare(job, built)
        except EnvironmentSetupError as error:
            return Outlook(job=job, key="", record=None, reasons=(error.message,))
        record = self.store.record(prepared.key)
        reasons = () if record else tuple(self._reasons(job, built, prepared))
        return Outlook(job=job, key=prepared.key, record=record, reasons=reasons)

    def _reasons(self, job: Job, built: Records, prepared: PreparedJob) -> list[str]:
        records = [
            each
            for each in reversed(self.store.records_of(job.id[0]))
            if (each.target.python, each.built_with) == (job.python, job.toolchain)
        ]
        if records:
            return changed_parts(records, prepared, self.store)
        other = self.serving(job, built)
        if other is not None:
            return [f"the wheel for Python {other.target.python} serves it: it is only checked"]
        failures = [each for each in self.store.failures() if (each.name, each.python) == (job.id[0], job.python)]
        return [f"it was not built yet; the stage {each.stage} failed" for each in failures] or [NEVER]


def forecast(run: Run) -> Forecast:
    """Return the forecast of a run, which makes no layers."""
    looking = replace(run, makes_layers=False)
    return Forecast(
        prepare=lambda job, records: prepare_job(job, records, looking),
        serving=lambda job, records: built_for_another_python(job, records, looking),
        store=run.store,
    )
