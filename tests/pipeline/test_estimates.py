"""Tests of estimates of a run's duration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.model.artifacts import CompilerCacheUse
from factory.model.job import Job, ProjectMetadata
from factory.model.recipe import BuildOptions, Recipe
from factory.model.record import BuildRecord, StageRun
from factory.pipeline.estimates import Estimate, estimates, show, stage_seconds
from factory.pipeline.outlook import Outlook
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


def waiting(planned: Job, *, perhaps: bool = False, only_checked: bool = False) -> Outlook:
    return Outlook(job=planned, key="", record=None, reasons=(), perhaps=perhaps, only_checked=only_checked)


def built(*stages: tuple[str, float, float], hits: int = 0, misses: int = 0) -> BuildRecord:
    runs = tuple(
        StageRun(stage=stage, seconds=seconds, processors=processors, commands=(), log=Path("log"))
        for stage, seconds, processors in stages
    )
    return replace(record(), stages=runs, compiler_cache=CompilerCacheUse(hits=hits, misses=misses))


def seconds(planned: Job, *records: BuildRecord, mode: str = "hybrid") -> float:
    (found,) = estimates([waiting(planned)], records, mode)
    return found.seconds


def test_estimate_of_new_version_is_the_last_build() -> None:
    record = built(("build", 100.0, 150.0), ("check", 20.0, 30.0))
    (found,) = estimates([waiting(job(version="2.0", processor_time="9h"))], [record], "hybrid")
    assert found == Estimate(label="demo 2.0", seconds=180.0, cached=180.0)


def test_estimate_of_new_package_is_its_recipes() -> None:
    assert (seconds(job(processor_time="2m")), seconds(job("other"))) == (120.0, 0.0)


def test_estimate_of_another_mode_is_unknown() -> None:
    """Under QEMU, or on a board, a build takes many times as long as in hybrid mode."""
    record = built(("build", 100.0, 150.0))
    assert seconds(job(processor_time="2m"), record, mode="emulated") == 0.0
    emulated = replace(built(("build", 900.0, 1500.0)), mode="emulated")
    assert seconds(job(), record, emulated, mode="emulated") == 1500.0
    assert seconds(job(), record, emulated) == 150.0


def test_estimate_leaves_out_stored_jobs() -> None:
    stored = replace(waiting(job()), record=built(("build", 1.0, 7.0)))
    assert estimates([stored], [], "hybrid") == []


def test_estimate_is_of_a_build_without_ccaches_objects() -> None:
    """The last build is no measure for one where ccache has nothing: it is told beside it."""
    records = [
        built(("build", 1.0, 300.0), misses=9),
        built(("build", 1.0, 200.0), hits=1, misses=8),
        built(("build", 1.0, 20.0), hits=9),
    ]
    (found,) = estimates([waiting(job())], records, "hybrid")
    assert (found.seconds, found.cached) == (200.0, 20.0)
    (found,) = estimates([waiting(job(processor_time="100s"))], records[2:], "hybrid")
    assert (found.seconds, found.cached) == (100.0, 20.0)


def test_estimate_of_only_checked_wheel_is_its_last_check() -> None:
    records = [built(("build", 1.0, 90.0), ("check", 1.0, 8.0)), replace(built(("check", 1.0, 5.0)), wheel_of="key")]
    (found,) = estimates([waiting(job(), only_checked=True)], records, "hybrid")
    assert (found.only_checked, found.seconds) == (True, 5.0)


@pytest.mark.parametrize(("tags", "only_checked"), [("py3-none-any", True), ("cp313-cp313-any", False)])
def test_estimate_counts_wheel_for_several_pythons_once(tags: str, only_checked: bool) -> None:
    records = [replace(built(("build", 1.0, 90.0), ("check", 1.0, 8.0)), wheel=f"demo-1-{tags}.whl")]
    later = replace(job(), python="3.14", earlier=frozenset({"3.13"}))
    first, second = estimates([waiting(job()), waiting(later)], records, "hybrid")
    assert (first.only_checked, second.only_checked) == (False, only_checked)
    assert (first.seconds, second.seconds) == (98.0, 8.0 if only_checked else 98.0)


def test_estimate_line_divides_by_processors() -> None:
    found = [Estimate(label="a", seconds=60.0, cached=60.0), Estimate(label="b", seconds=600.0, cached=600.0)]
    (line,) = show(found, {}, 2)
    assert "about 6 min on 2 processors" in line
    assert "(b 5 min, a 30 s)" in line


def test_estimate_line_counts_what_it_does_not_know() -> None:
    many = [Estimate(label=str(number), seconds=100.0, cached=90.0, only_checked=number > 5) for number in range(7)]
    (line,) = show([*many, Estimate(label="x", seconds=0.0)], {}, 1)
    assert line.endswith("2 more, 1 only checked, 1 of unknown duration)")
    assert show([Estimate(label="x", seconds=0.0)], {"native layer": 5.0}, 1) == []


def test_estimate_lines_tell_ccache_layers_and_uncertain_builds() -> None:
    found = [
        Estimate(label="a", seconds=9000.0, cached=600.0),
        Estimate(label="b", seconds=60.0, cached=60.0, perhaps=True),
    ]
    assert show(found, {"apt layer of x": 12.0, "native layer": 60.0}, 1) == [
        "to build: about 2 h 30 min on 1 processor where nothing else runs (a 2 h 30 min)",
        "about 10 min if ccache has as much as in the last builds",
        "perhaps to build, if what they need differs from before: at most about 1 min (b 1 min)",
        "to make before: apt layer of x, native layer (about 1 min 10 s)",
    ]
    assert show(found[1:], {"native layer": 0.0}, 1)[-1] == "to make before: native layer (of unknown duration)"


def test_expected_stages_are_those_of_the_newest_build() -> None:
    checked_again = replace(built(("check", 1.0, 1.0)), wheel_of="key")
    records = [built(("build", 9.0, 9.0)), built(("build", 5.0, 6.0)), checked_again]
    assert stage_seconds(records, "hybrid") == {"build": 5.0}
    assert stage_seconds([checked_again], "hybrid") == stage_seconds(records, "emulated") == stage_seconds([], "hybrid")
    assert stage_seconds([], "hybrid") == {}
