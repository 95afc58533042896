"""The sample of packages that is built again each week."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.model.record import BuildRecord, StageRun
from factory.pipeline.rebuild import sample
from tests.support.records import record


def built(name: str, seconds: float = 60.0, **fields: object) -> BuildRecord:
    run = StageRun(stage="build", seconds=seconds, commands=(), log=Path("log"))
    return replace(record(), name=name, stages=(run,), **fields)  # type: ignore[arg-type]


def test_sample_moves_on_and_covers_every_package() -> None:
    records = [built(f"p{number:02}") for number in range(20)]
    first = {sample(records, week)[0].name for week in range(20)}
    assert len(first) == 20
    assert sorted(each.name for each in sample(records, 5)) == [each.name for each in records]


def test_sample_has_the_newest_publishable_builds() -> None:
    old, new = built("a", key="old"), built("a", key="new")
    others = [built("b", comparison=True), built("c", wheel_of="key"), built("d", seconds=7200.0)]
    assert sample([old, new, *others], 1) == [new]
    assert sample([], 1) == []
