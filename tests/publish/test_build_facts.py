"""Facts of builds: newest, slowest, larger, cached and failing ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec import UNSET, structs

from factory.model.artifacts import CompilerCacheUse
from factory.model.record import StageRun
from factory.publish.build_facts import BuildFact, builds_of, counted, fact_of, failing, growths, newest, slowest
from factory.publish.reports import Stage, build_of
from tests.support.ledgers import build
from tests.support.records import FAILURE, record

WHEEL = "demo-1.0-1-cp313-cp313-manylinux_2_38_riscv64.whl"
STAGES = (
    Stage(name="build", seconds=60.0, processors=90.0, memory=5),
    Stage(name="check", seconds=2.0, processors=1.0, memory=7),
)


def fact(finished: str = "2026-01-01", **changes: object) -> BuildFact:
    made = fact_of(WHEEL, 1000, build(recipe="demo", stages=STAGES, finished=finished))
    return structs.replace(made, **changes)


def test_facts_are_those_of_the_build() -> None:
    use = CompilerCacheUse(hits=3, misses=1)
    found = fact_of(WHEEL, 1000, build(recipe="demo", stages=STAGES, compiler_cache=use))
    assert (found.recipe, found.project, found.version, found.tag) == ("demo", "demo", "1.0-1", "cp313-cp313")
    assert (found.seconds, found.processors, found.memory, found.size) == (62.0, 91.0, 7, 1000)
    assert (found.pythons, found.profiles, found.hits, found.misses) == (("3.13",), ("rv64gc", "k1"), 3, 1)
    assert (fact().hits, fact_of(WHEEL, 1, build()).recipe) == (None, "demo")


def test_records_of_one_wheel_are_one_build() -> None:
    """A check on another Python is no build, and a comparison is not published."""
    stages = (StageRun(stage="build", seconds=5.0, commands=(), log=Path("log")),)
    first = replace(
        record(), wheel=WHEEL, wheel_sha256="1", stages=stages, compiler_cache=CompilerCacheUse(hits=0, misses=2)
    )
    again = replace(first, key="b" * 64, wheel_of=first.key, finished="2026-01-02T00:00:00+00:00")
    other = replace(first, wheel_sha256="2", comparison=True)
    found = builds_of([again, first, other, record()])
    assert list(found) == [(WHEEL, "1")]
    assert (found[WHEEL, "1"].record, found[WHEEL, "1"].compiler_cache) == (first.key, first.compiler_cache)
    assert build_of([record()], None).compiler_cache is UNSET


def test_newest_and_slowest_are_by_recipe_and_tag() -> None:
    old, new = fact(seconds=99.0), fact("2026-01-02", seconds=1.0)
    other = fact(tag="cp314-cp314", seconds=5.0)
    assert newest([new, old, other]) == [new, other]
    assert slowest([new, old, other], 1) == [other]


def test_growth_is_from_version_to_version() -> None:
    first = fact("2026-01-01", version="1.0", size=100)
    again = fact("2026-01-02", version="1.0", size=200)
    second = fact("2026-01-03", version="1.1", size=150)
    small = [fact(version=version, tag="cp314-cp314", size=100, finished=version) for version in ("1", "2")]
    found = growths([second, first, again, *small, fact(recipe="single")])
    assert [(each.tag, each.change) for each in found] == [("cp313-cp313", -0.25), ("cp314-cp314", 0.0)]
    assert found[0].wheels == (again, second)


def test_counted_builds_have_counters() -> None:
    few, many = fact(recipe="a", hits=0, misses=1), fact(recipe="b", hits=9, misses=5)
    assert counted([few, fact(recipe="c"), many]) == [many, few]


def test_failing_is_newest_with_first_time() -> None:
    """A store and a ledger know failures of the same recipe."""
    later = replace(FAILURE, finished="2026-01-03T00:00:00+00:00", stage="check")
    (found,) = failing([later, FAILURE], [])
    assert (found.stage, found.finished, found.first) == ("check", later.finished, FAILURE.finished)
    assert failing([FAILURE], [fact("2026-01-02T00:00:00+00:00", pythons=("3.14",))]) == [FAILURE]
    assert failing([FAILURE], [fact("2026-01-02T00:00:00+00:00")]) == []
    (since,) = failing([later, FAILURE], [fact("2026-01-02T00:00:00+00:00")])
    assert since.first == later.finished
