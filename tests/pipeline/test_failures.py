"""Tests of recorded failures and of the hints that they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import UNSET

from factory.cli.console import Reporter
from factory.errors import BuildFailed, CheckFailed, CommandFailed, FactoryError, RepairFailed, SourceError
from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.model.record import BuildRecord
from factory.pipeline.build import build
from factory.pipeline.failures import failure_of
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.builders.base import build_failed
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.paths import Layout
from tests.support.logs import MemoryLog

RECIPE = """
[package]
name = "demo"
version = "1.0"
[source]
kind = "local"
path = "."
"""
UNREACHABLE = """
error: Request failed after 3 retries in 9.4s
  cause: Failed to fetch: http://index.example/simple/spam/
  cause: dns error
"""
PIN = LocalSource(project="demo", version="1.0", path=Path("demo"))
DEMO = Recipe(name="demo", version="1.0", directory=Path("demo"), source=PIN)


def make_run(root: Path) -> Run:
    return Run(layout=Layout(root / "cache"), recipes=RecipeSet(root, SOURCE_KINDS), reporter=Reporter())


def failed(output: str, *, network: bool) -> BuildFailed:
    """Return the error for a builder's command that failed with that output."""
    error = CommandFailed("it failed", output=output)
    return build_failed(DEMO, "it could not be built", error, MemoryLog(), network=network)


@pytest.mark.parametrize(
    ("error", "stages"),
    [
        (failed("x.c:1:1: error: expected ';'", network=False), ["build"]),
        (failed(UNREACHABLE, network=False), ["build"]),  # it wanted a network that no build has
        (failed(UNREACHABLE, network=True), []),
        (failed("No solution found when resolving dependencies", network=True), ["build"]),
        (failed("cc1: No space left on device", network=False), []),
        (RepairFailed("demo can't be repaired:\nOSError: [Errno 28] No space left on device"), []),
        (CheckFailed("rv64gc: it printed nothing"), ["check"]),
        (SourceError("the download has another content than the one pinned"), ["source"]),
        (SourceError("the server does not answer", machines_fault=True), []),
    ],
)
def test_failure_of_machine_is_not_recorded_for_package(
    error: FactoryError, stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes/demo").mkdir(parents=True)
    (tmp_path / "recipes/demo/recipe.toml").write_text(RECIPE)
    (tmp_path / "recipes/demo/setup.py").touch()
    (tmp_path / "recipes/demo/smoke.py").touch()

    def fail(_job: Job, _records: object, _factory: Run) -> BuildRecord:
        raise error

    monkeypatch.setattr("factory.pipeline.build._build_job", fail)
    run = make_run(tmp_path)
    with pytest.raises(type(error)):
        build(["demo"], ["3.13"], run)
    assert [failure.stage for failure in run.store.failures()] == stages


def test_the_options_lead_to_the_very_build_that_failed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert run.config.options(DEMO) == "--python 3.13"
    other = replace(run.config, mode="emulated", environment="docker").for_python("3.14", "clang")
    assert other.options(DEMO) == "--python 3.14 --toolchain clang --mode emulated --environment docker"


def add_packages(root: Path, *names: str) -> None:
    for name in names:
        folder = root / "recipes" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(RECIPE.replace("demo", name))
        for file in ("setup.py", "smoke.py"):
            (folder / file).touch()


@pytest.mark.parametrize("last", [CheckFailed("it broke too"), KeyboardInterrupt()])
def test_failure_of_one_job_is_shown_before_the_next_starts(
    last: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_packages(tmp_path, "one", "two")
    names: list[str] = []
    shown: list[str] = []

    def fail(job: Job, _records: object, _factory: Run) -> BuildRecord:
        names.append(job.label)
        if len(names) == 2:
            shown.append(capsys.readouterr().err)
            raise last
        failure = BuildFailed(f"{job.label}: it broke:\nerror: x", hint="change y")
        failure.log = "/logs/build.log"
        raise failure

    monkeypatch.setattr("factory.pipeline.build._build_job", fail)
    with pytest.raises(BuildFailed if isinstance(last, Exception) else KeyboardInterrupt) as caught:
        build(["one", "two"], ["3.13"], make_run(tmp_path))
    for part in (f"{names[0]}: failed\n", "  error: x\n", "hint: change y\n", "log: /logs/build.log\n"):
        assert part in shown[0]
    after = capsys.readouterr().err + "".join(getattr(caught.value, "__notes__", ()))
    again = (
        f"{names[1]}: it broke too" if isinstance(last, Exception) else f"{names[0]}: it broke (log: /logs/build.log)"
    )
    assert again in after


@pytest.mark.parametrize(
    ("log", "kept"), [("logs/demo/build.log", "logs/demo/build.log"), ("/elsewhere/build.log", UNSET), ("", UNSET)]
)
def test_failure_names_its_log_below_the_cache(log: str, kept: object, tmp_path: Path) -> None:
    error = BuildFailed("demo 1.0: build_wheel failed")
    error.log = str(tmp_path / log) if log else ""
    assert failure_of(DEMO, "3.13", error, tmp_path).log == kept
