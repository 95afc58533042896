"""Facts of builds, from build records and the ledger's reports.

The reports are made of the records.

Nothing is estimated: what a record does not state is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from factory.model.record import BuildFailure, BuildRecord
from factory.publish.reports import Build, build_of
from factory.publish.wheel_filename import parse_filename


class BuildFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A wheel that was built here, with its cost.

    Times are in seconds, peak memory and size in bytes.

    `processors` and `memory` are 0 where they were not measured, and ccache's `hits` and `misses` None. `tag` has the
    wheel's Python and ABI, `version` its build number too.
    """

    recipe: str
    project: str
    version: str
    tag: str
    pythons: tuple[str, ...]
    profiles: tuple[str, ...]
    finished: str
    seconds: float
    processors: float
    memory: int
    size: int
    hits: int | None
    misses: int | None


class Growth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Sizes of a recipe's wheels for one tag, the oldest first."""

    recipe: str
    tag: str
    wheels: tuple[BuildFact, ...]

    @property
    def change(self) -> float:
        """Relative change of the size from the last wheel but one to the last.

        It is 0.1 for a tenth more.
        """
        before, now = self.wheels[-2:]
        return now.size / before.size - 1 if before.size else 0.0


def fact_of(filename: str, size: int, build: Build) -> BuildFact:
    """Return the facts of a wheel."""
    project, _ = parse_filename(filename)
    use = build.compiler_cache or None
    _, *version, python, abi, _ = filename.split("-")
    return BuildFact(
        recipe=build.recipe or project,
        project=project,
        version="-".join(version),
        tag=f"{python}-{abi}",
        pythons=tuple(sorted({check.python for check in build.checks})),
        profiles=tuple(dict.fromkeys(check.profile for check in build.checks if check.passed)),
        finished=build.finished,
        seconds=sum(stage.seconds for stage in build.stages),
        processors=sum(stage.processors for stage in build.stages),
        memory=max((stage.memory for stage in build.stages), default=0),
        size=size,
        hits=None if use is None else use.hits,
        misses=None if use is None else use.misses,
    )


def builds_of(records: Iterable[BuildRecord]) -> dict[tuple[str, str], Build]:
    """Return the builds of wheels by file name and sha256; comparisons are left out."""
    made = [record for record in records if record.wheel and not record.comparison]
    ordered = sorted(made, key=lambda each: (each.wheel, each.wheel_sha256, each.finished))
    groups = groupby(ordered, key=lambda each: (each.wheel, each.wheel_sha256))
    return {wheel: build_of(tuple(group), None) for wheel, group in groups}


def newest(facts: Iterable[BuildFact]) -> Sequence[BuildFact]:
    """Return the newest build of each recipe and tag, by name."""
    found = {(each.recipe, each.tag): each for each in sorted(facts, key=lambda each: each.finished)}
    return [found[key] for key in sorted(found)]


def slowest(facts: Iterable[BuildFact], count: int) -> Sequence[BuildFact]:
    """Return the newest builds that took most time, the slowest first."""
    return sorted(newest(facts), key=lambda each: (-each.seconds, each.recipe, each.tag))[:count]


def growths(facts: Iterable[BuildFact]) -> Sequence[Growth]:
    """Return the sizes of wheels with more than one version, the largest changes first."""
    versions = {(each.recipe, each.tag, each.version): each for each in sorted(facts, key=lambda each: each.finished)}
    ordered = sorted(versions.values(), key=lambda each: (each.recipe, each.tag, each.finished))
    groups = [(key, tuple(group)) for key, group in groupby(ordered, key=lambda each: (each.recipe, each.tag))]
    found = [Growth(recipe=recipe, tag=tag, wheels=wheels) for (recipe, tag), wheels in groups if len(wheels) > 1]
    return sorted(found, key=lambda each: (-abs(each.change), each.recipe, each.tag))


def counted(facts: Iterable[BuildFact]) -> Sequence[BuildFact]:
    """Return the newest builds whose compilations ccache counted.

    Those with most misses come first.
    """
    found = [each for each in newest(facts) if each.misses is not None]
    return sorted(found, key=lambda each: (-(each.misses or 0), each.recipe, each.tag))


def failing(failures: Iterable[BuildFailure], facts: Iterable[BuildFact]) -> Sequence[BuildFailure]:
    """Return the failures after which no build succeeded, by name.

    There is one for each recipe and Python.

    Of several, as from a store and a ledger, the newest is returned, with the time of the first.
    """
    succeeded: dict[tuple[str, str], str] = {}
    for fact in facts:
        for python in fact.pythons:
            succeeded[fact.recipe, python] = max(fact.finished, succeeded.get((fact.recipe, python), ""))
    found: dict[tuple[str, str], BuildFailure] = {}
    for each in sorted(failures, key=lambda each: each.finished):
        key = (each.name, each.python)
        if each.finished > succeeded.get(key, ""):
            found[key] = each.after(found[key]) if key in found else each
    return [found[key] for key in sorted(found)]
