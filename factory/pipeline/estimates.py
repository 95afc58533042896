"""Estimates of a run's duration, from earlier builds and from what recipes say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from factory.model.job import Job
from factory.model.record import BuildRecord
from factory.model.target import HYBRID_MODE
from factory.pipeline.outlook import Outlook
from factory.pipeline.run import Run
from factory.util.durations import parse_duration, show_duration
from factory.util.quantities import quantity
from factory.util.wheel_tags import serves

# Packages that are named in the line; the rest are counted.
NAMED = 5
CHECK = "check"
# Less is not worth a word.
LEAST_SHARE_SAVED = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The processor time of a job in seconds, 0 if unknown.

    `cached` is the time where ccache has what it had in the last build. `perhaps` and `only_checked` are as in Outlook.
    """

    label: str
    seconds: float
    cached: float = 0.0
    perhaps: bool = False
    only_checked: bool = False


def estimates(outlooks: Iterable[Outlook], records: Sequence[BuildRecord], mode: str) -> list[Estimate]:
    """Return the processor time in a mode of each job that is not stored.

    That is the time of the package's newest build in that mode whose objects were not in ccache, or its longest. Until
    there is one, it is the recipe's `processor-time` in hybrid mode, and unknown in others, which are many times
    slower. A wheel that serves several Pythons is only checked for the later ones. `records` are in order of time.
    """
    by_name: dict[str, list[BuildRecord]] = {}
    for record in records:
        if record.mode == mode:
            by_name.setdefault(record.name, []).append(record)
    waiting = [each for each in outlooks if each.record is None]
    return [_estimate(each, by_name.get(each.job.id[0], []), mode) for each in waiting]


def _estimate(outlook: Outlook, records: Sequence[BuildRecord], mode: str) -> Estimate:
    job, builds = outlook.job, _builds(records, mode)
    only_checked = bool(records) and (outlook.only_checked or _serves_later(records[-1], job))
    if only_checked:
        seconds = cached = _processors(records[-1], CHECK)
    else:
        stated = parse_duration(job.recipe.build.processor_time) if mode == HYBRID_MODE else 0
        uncached = [_processors(record) for record in builds if not _mostly_cached(record)]
        longest = max([*map(_processors, builds), 0.0])
        seconds = uncached[-1] if uncached else max(longest, stated) if longest else float(stated)
        cached = _processors(builds[-1]) if builds else seconds
    return Estimate(
        label=job.label,
        seconds=seconds,
        cached=min(cached, seconds),
        perhaps=outlook.perhaps,
        only_checked=only_checked,
    )


def _serves_later(newest: BuildRecord, job: Job) -> bool:
    """Report whether the wheel that is built for an earlier Python will serve this one."""
    return bool(job.earlier) and serves(newest.wheel, job.python)


def _mostly_cached(record: BuildRecord) -> bool:
    use = record.compiler_cache
    return use is not None and use.hits > use.misses


def _processors(record: BuildRecord, stage: str = "") -> float:
    return sum(run.processors for run in record.stages if stage in ("", run.stage))


def stage_seconds(records: Iterable[BuildRecord], mode: str) -> Mapping[str, float]:
    """Return the seconds of each stage of a package's newest build in a mode."""
    builds = _builds(records, mode)
    return {run.stage: run.seconds for run in builds[-1].stages} if builds else {}


def estimate_lines(outlooks: Sequence[Outlook], run: Run) -> list[str]:
    """Return the lines that say what a run is to build, and about how long it takes.

    There are none if there is nothing to build, or nothing to say.
    """
    records = run.store.records_named({each.job.id[0] for each in outlooks if each.record is None})
    layers = {each.missing_layer: 0.0 for each in outlooks if each.missing_layer}
    layers = {layer: run.layers.usual_seconds(layer.partition(" ")[0]) for layer in layers}
    return show(estimates(outlooks, records, run.config.mode), layers, run.slots.total)


def show(found: Sequence[Estimate], layers: Mapping[str, float], processors: int) -> list[str]:
    """Return the lines of estimates.

    `layers` are those to make before, with their seconds, 0 if unknown.
    """
    certain, perhaps = [each for each in found if not each.perhaps], [each for each in found if each.perhaps]
    lines = [*_certain(certain, processors), *_perhaps(perhaps, processors)]
    if layers and lines:
        duration = f"about {_about(sum(layers.values()))}" if all(layers.values()) else "of unknown duration"
        lines.append(f"to make before: {', '.join(sorted(layers))} ({duration})")
    return lines


def _certain(found: Sequence[Estimate], processors: int) -> Iterator[str]:
    known = [each for each in found if each.seconds]
    if not known:
        return
    total, cached = sum(each.seconds for each in known) / processors, sum(each.cached for each in known) / processors
    parts = _longest(known, processors)
    if checked := sum(each.only_checked for each in known):
        parts.append(f"{checked} only checked")
    if unknown := len(found) - len(known):
        parts.append(f"{unknown} of unknown duration")
    on = quantity(processors, "processor")
    yield f"to build: about {_about(total)} on {on} where nothing else runs ({', '.join(parts)})"
    if cached < total * (1 - LEAST_SHARE_SAVED):
        yield f"about {_about(cached)} if ccache has as much as in the last builds"


def _perhaps(found: Sequence[Estimate], processors: int) -> Iterator[str]:
    known = [each for each in found if each.seconds]
    if known:
        total = sum(each.seconds for each in known) / processors
        yield (
            f"perhaps to build, if what they need differs from before: at most about {_about(total)} "
            f"({', '.join(_longest(known, processors))})"
        )


def _longest(known: Sequence[Estimate], processors: int) -> list[str]:
    """Name the longest builds with their times, and count the others."""
    longest = sorted(known, key=lambda each: -each.seconds)
    parts = [f"{each.label} {_about(each.seconds / processors)}" for each in longest[:NAMED]]
    return [*parts, f"{len(longest) - NAMED} more"] if len(longest) > NAMED else parts


def _builds(records: Iterable[BuildRecord], mode: str) -> list[BuildRecord]:
    """Return the records of builds in a mode.

    Those of wheels that were only checked again are left out.
    """
    return [record for record in records if record.mode == mode and not record.wheel_of]


def _about(seconds: float) -> str:
    """Round to what an estimate is worth: tens of minutes, minutes, or tens of seconds."""
    if seconds >= 7200:
        hours, tens = divmod(round(seconds / 600), 6)
        return f"{hours} h {tens * 10} min" if tens else f"{hours} h"
    step = 60 if seconds >= 120 else 10
    return show_duration(max(round(seconds / step), 1) * step)
