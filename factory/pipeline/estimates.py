"""Estimates of a run's duration, from earlier builds and from what recipes say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from factory.model.job import Job
from factory.model.record import BuildRecord
from factory.model.target import HYBRID_MODE
from factory.util.durations import parse_duration, show_duration
from factory.util.quantities import quantity

# Packages that are named in the line; the rest are counted.
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A package to build, and the processor time that it takes in seconds; 0 if unknown."""

    label: str
    seconds: float


def estimates(jobs: Iterable[Job], records: Sequence[BuildRecord], mode: str) -> list[Estimate]:
    """Return the jobs with the processor time that each takes in a mode.

    That is the time of the package's newest record in that mode. Until there is one, it is the recipe's
    `processor-time` in hybrid mode, and unknown in others, which are many times slower. `records` are in order of time.
    """
    newest: dict[str, BuildRecord] = {record.name: record for record in _builds(records, mode)}
    return [Estimate(label=job.label, seconds=_seconds(job, newest, mode)) for job in jobs]


def never_built(jobs: Iterable[Job], records: Iterable[BuildRecord], mode: str) -> list[Job]:
    """Return the jobs of versions that were never built in a mode.

    Other versions may have to be built again, which is known only after their dependencies.
    """
    ours = (record for record in records if record.mode == mode)
    built = {(record.name, record.version, record.target.python, record.built_with) for record in ours}
    return [
        job
        for job in jobs
        if (canonicalize_name(job.recipe.name), job.recipe.version, job.python, job.toolchain) not in built
    ]


def stage_seconds(records: Iterable[BuildRecord], mode: str) -> Mapping[str, float]:
    """Return the seconds of each stage of a package's newest build in a mode."""
    builds = _builds(records, mode)
    return {run.stage: run.seconds for run in builds[-1].stages} if builds else {}


def estimate_line(found: Sequence[Estimate], processors: int) -> str:
    """Return the line that says what is to be built, and about how long it takes.

    It is empty if there is nothing to build, or nothing to say.
    """
    known = [each for each in found if each.seconds]
    if not known:
        return ""
    total = sum(each.seconds for each in known) / processors
    longest = sorted(known, key=lambda each: -each.seconds)
    parts = [f"{each.label} {_about(each.seconds / processors)}" for each in longest[:NAMED]]
    parts += [f"{len(longest) - NAMED} more"] if len(longest) > NAMED else []
    unknown = len(found) - len(known)
    parts += [f"{unknown} of unknown duration"] if unknown else []
    on = quantity(processors, "processor")
    return f"to build: about {_about(total)} on {on} where nothing else runs ({', '.join(parts)})"


def _builds(records: Iterable[BuildRecord], mode: str) -> list[BuildRecord]:
    """Return the records of builds in a mode.

    Those of wheels that were only checked again are left out.
    """
    return [record for record in records if record.mode == mode and not record.wheel_of]


def _seconds(job: Job, newest: Mapping[str, BuildRecord], mode: str) -> float:
    record = newest.get(canonicalize_name(job.recipe.name))
    measured = sum(run.processors for run in record.stages) if record is not None else 0.0
    stated = parse_duration(job.recipe.build.processor_time) if mode == HYBRID_MODE else 0
    return measured or float(stated)


def _about(seconds: float) -> str:
    """Round to what an estimate is worth: minutes, or tens of seconds."""
    step = 60 if seconds >= 120 else 10
    return show_duration(max(round(seconds / step), 1) * step)
