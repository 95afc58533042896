"""Build plans of many machines: the jobs of a selection that are not built yet, in waves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from packaging.utils import NormalizedName

from factory.errors import RecipeError
from factory.model.build_plan import BuildPlan, PlannedBuild, PlannedGroup
from factory.model.job import Job
from factory.pipeline.estimates import estimates
from factory.pipeline.outlook import Outlook, forecast
from factory.pipeline.run import Run
from factory.pipeline.selection import Selection
from factory.pipeline.waves import UNKNOWN_SECONDS, Group, Limits, Node, make_waves

Waiting = Mapping[NormalizedName, Sequence[Outlook]]


def make_plan(selection: Selection, run: Run, limits: Limits, processors: int) -> BuildPlan:
    """Group the jobs that are not built, for machines with as many processors.

    All jobs of a recipe are in one group, since a wheel for one Python may serve another.

    Raises:
        RecipeError: the limits do not hold them.
    """
    outlooks = forecast(run).outlooks(selection.jobs)
    waiting: dict[NormalizedName, list[Outlook]] = defaultdict(list)
    for outlook in outlooks:
        if outlook.record is None:
            waiting[outlook.job.id[0]].append(outlook)
    waves = make_waves(_nodes(selection.jobs, waiting, run, processors), limits)
    made = tuple(
        tuple(_planned(f"{wave + 1}-{number + 1}", group, waiting) for number, group in enumerate(groups))
        for wave, groups in enumerate(waves)
    )
    return BuildPlan(waves=made, refused=selection.refused)


def _nodes(jobs: Sequence[Job], waiting: Waiting, run: Run, processors: int) -> list[Node[NormalizedName]]:
    """Return a node for each recipe, in the order of the jobs."""
    needs: dict[NormalizedName, set[NormalizedName]] = defaultdict(set)
    for job in jobs:
        name = job.id[0]
        needs[name] |= {need for need, *_ in job.needs} - {name}
    seconds = {name: _seconds(found, run) / processors for name, found in waiting.items()}
    return [Node(name=name, seconds=seconds.get(name, 0.0), needs=frozenset(needs[name])) for name in _order(needs)]


def _order(needs: Mapping[NormalizedName, set[NormalizedName]]) -> list[NormalizedName]:
    """Order recipes by their needs, which may differ between Pythons.

    Raises:
        RecipeError: two recipes need each other, each for another Python.
    """
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise RecipeError(f"recipes depend on each other: {' -> '.join(error.args[1])}") from error


def _seconds(waiting: Sequence[Outlook], run: Run) -> float:
    records = run.store.records_named({each.job.id[0] for each in waiting})
    return sum(each.seconds or UNKNOWN_SECONDS for each in estimates(waiting, records, run.config.mode))


def _planned(name: str, group: Group[NormalizedName], waiting: Waiting) -> PlannedGroup:
    builds = tuple(
        PlannedBuild(
            name=part.name,
            version=outlook.job.recipe.version,
            python=outlook.job.python,
            reason="; ".join(outlook.reasons),
        )
        for part in group.parts
        for outlook in waiting[part.name]
    )
    return PlannedGroup(
        id=name,
        builds=tuple(dict.fromkeys(builds)),
        minutes=math.ceil(group.seconds / 60),
        resumes=not all(part.is_last for part in group.parts),
    )
