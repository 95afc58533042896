"""Tests of estimates of a run's duration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import BuildOptions, Recipe
from factory.model.record import BuildRecord, StageRun
from factory.pipeline.estimates import Estimate, estimate_line, estimates, never_built, stage_seconds
from factory.stages.sources.pypi import PypiSource
from tests.support.records import record


def job(name: str = "demo", version: str = "1.0", processor_time: str = "") -> Job:
    recipe = Recipe(
        name=name,
        version=version,
        directory=Path(name),
        source=PypiSource(project=name, version=version, sha256="0" * 64),
        build=BuildOptions(processor_time=processor_time),
    )
    metadata = ProjectMetadata(name=name, version="1.0", build_backend="b", backend_path=(), build_requires=())
    return Job(recipe=recipe, metadata=metadata, python="3.13")


def built(*stages: tuple[str, float, float]) -> BuildRecord:
    runs = tuple(
        StageRun(stage=stage, seconds=seconds, processors=processors, commands=(), log=Path("log"))
        for stage, seconds, processors in stages
    )
    return replace(record(), stages=runs)


def test_estimate_of_new_version_is_the_last_build() -> None:
    record = built(("build", 100.0, 150.0), ("check", 20.0, 30.0))
    (found,) = estimates([job(version="2.0", processor_time="9h")], [record], "hybrid")
    assert found == Estimate(label="demo 2.0", seconds=180.0)


def test_estimate_of_new_package_is_its_recipes() -> None:
    assert [each.seconds for each in estimates([job(processor_time="2m"), job("other")], [], "hybrid")] == [120.0, 0.0]


def test_estimate_of_another_mode_is_unknown() -> None:
    """Under QEMU, or on a board, a build takes many times as long as in hybrid mode."""
    record = built(("build", 100.0, 150.0))
    assert [each.seconds for each in estimates([job(processor_time="2m")], [record], "emulated")] == [0.0]
    emulated = replace(built(("build", 900.0, 1500.0)), mode="emulated")
    for mode, seconds in (("emulated", 1500.0), ("hybrid", 150.0)):
        assert [each.seconds for each in estimates([job()], [record, emulated], mode)] == [seconds]


def test_estimate_of_changed_package_is_its_last_build() -> None:
    """`factory plan` knows that it has to be built again."""
    assert [each.seconds for each in estimates([job()], [built(("build", 1.0, 7.0))], "hybrid")] == [7.0]


def test_version_built_in_another_mode_is_new() -> None:
    assert never_built([job(), job(version="2.0")], [built()], "hybrid") == [job(version="2.0")]
    assert never_built([job()], [built()], "emulated") == [job()]


def test_estimate_line_divides_by_processors() -> None:
    line = estimate_line([Estimate(label="a", seconds=60.0), Estimate(label="b", seconds=600.0)], 2)
    assert "about 6 min on 2 processors" in line
    assert "(b 5 min, a 30 s)" in line


def test_estimate_line_counts_what_it_does_not_know() -> None:
    many = [Estimate(label=str(number), seconds=100.0) for number in range(7)]
    assert estimate_line([*many, Estimate(label="x", seconds=0.0)], 1).endswith("2 more, 1 of unknown duration)")
    assert estimate_line([Estimate(label="x", seconds=0.0)], 1) == ""


def test_expected_stages_are_those_of_the_newest_build() -> None:
    checked_again = replace(built(("check", 1.0, 1.0)), wheel_of="key")
    records = [built(("build", 9.0, 9.0)), built(("build", 5.0, 6.0)), checked_again]
    assert stage_seconds(records, "hybrid") == {"build": 5.0}
    assert stage_seconds([checked_again], "hybrid") == stage_seconds(records, "emulated") == stage_seconds([], "hybrid")
    assert stage_seconds([], "hybrid") == {}
