"""Build records and failures of a package `demo`."""

from __future__ import annotations

from factory.model.record import BuildFailure, BuildRecord, CheckResult
from factory.model.target import Target


def record(key: str = "k" * 64, *, finished: str = "2026-01-01T00:00:00+00:00", passed: bool = True) -> BuildRecord:
    check = CheckResult(profile="rv64gc", passed=passed, seconds=1.5, shown="Paris", facts={"facts": {"rvv": False}})
    return BuildRecord(
        key=key,
        name="demo",
        version="1.0",
        recipe_sha256="r",
        source_sha256="s",
        patches=(),
        target=Target(),
        mode="hybrid",
        environment_key="e",
        environment=(),
        toolchain={"gcc": "14"},
        requirements=(),
        stages=(),
        checks=(check,),
        finished=finished,
    )


FAILURE = BuildFailure(
    name="demo",
    version="1.0",
    python="3.13",
    stage="build",
    finished="2026-01-01T00:00:00+00:00",
    message="demo 1.0: build_wheel failed:\nerror: no",
)
