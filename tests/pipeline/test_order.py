"""Tests of the stages' order: runs that were interrupted, and builds that start over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import BuildFailed
from factory.model.artifacts import BuiltWheel, PackagePin, RepairedWheel
from factory.model.protocols import Command, Sandbox
from factory.model.recipe import Recipe
from factory.pipeline.order import StageRunner
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.builders import native_python
from factory.stages.builders.base import Build
from factory.stages.builders.native_python import NeedsRiscv64Python
from factory.stages.environments.base import Root
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.util.log import LogSink
from factory.util.paths import Layout
from tests.support.checkpoints import steps
from tests.support.jobs import job_of, prepared, root_of


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A root with a work folder, in which nothing runs."""

    work: Path

    @property
    def inputs(self) -> Path:
        return self.work.with_name("inputs")

    def run(self, command: Command, *, log: LogSink) -> None:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An environment of such roots."""

    root: Root

    @contextmanager
    def open(self, work: Path, *, caches: str, keep: bool = False, as_left: bool = False) -> Iterator[Sandbox]:
        yield Opened(work=work)


class HalfMaker:
    """A builder whose stages refuse half-made files of earlier runs.

    The first run of one `stage` fails.
    """

    IN_MANYLINUX = False

    def __init__(self, stage: str, failure: BaseException) -> None:
        self.stage, self.failure, self.failed = stage, failure, False

    def install_requirements(self, build: Build, wheels: Sequence[Path]) -> tuple[PackagePin, ...]:
        if not (build.folder / native_python.GIVEN_UP).exists():
            (build.folder / native_python.MARKER).touch()
        self._make(build, "environment", "src/asked.txt")
        return ()

    def build_wheel(self, build: Build, requirements: tuple[PackagePin, ...]) -> BuiltWheel:
        self._make(build, "build", "src/half.txt", "objects/.ninja_log", "venv/half.txt")
        return BuiltWheel(path=build.out, requirements=(), library_folders=())

    def _make(self, build: Build, stage: str, *names: str) -> None:
        for path in (build.work / name for name in names):
            assert not path.exists(), path
            path.parent.mkdir(exist_ok=True)
            path.touch()
        if stage == self.stage and not self.failed:
            self.failed = True
            if not isinstance(self.failure, BuildFailed) or isinstance(self.failure, NeedsRiscv64Python):
                (build.folder / native_python.GIVEN_UP).touch()
            raise self.failure


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageRunner:
    """Return the stages of a job that can run anywhere."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "setup.py").write_text("")
    pin = LocalSource(project="x", version="1.0", path=source)
    job = replace(
        prepared(job_of(Recipe(name="x", version="1.0", directory=tmp_path, source=pin))),
        folder=tmp_path / "job",
        environment=Opening(root=root_of()),  # type: ignore[arg-type]
    )
    repaired = RepairedWheel(path=tmp_path, sha256="", platform_tags=())
    monkeypatch.setattr(StageRunner, "_repair", lambda *_: repaired)
    run = Run(layout=Layout(tmp_path / "cache"), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    return StageRunner(prepared=job, checkpoints=steps(tmp_path / "job"), run=run)


def fail_once(runner: StageRunner, stage: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stages with a builder that fails once, and again if that ended the run."""
    builder = HalfMaker(stage, failure)
    monkeypatch.setattr("factory.pipeline.order.builder_of", lambda _: builder)
    if not isinstance(failure, NeedsRiscv64Python):
        with pytest.raises(type(failure)):
            runner.make_wheel()
    runner.make_wheel()
    assert builder.failed


def test_interrupted_installation_gets_a_new_source(runner: StageRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend's hooks run in the source before the build."""
    fail_once(runner, "environment", BuildFailed("x: the network is off"), monkeypatch)


@pytest.mark.parametrize("failure", [NeedsRiscv64Python("x: needs the riscv64 Python"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["environment", "build"])
def test_job_that_starts_over_finds_nothing_half_made(
    stage: str, failure: BaseException, runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the run ends between the note and the removal."""
    fail_once(runner, stage, failure, monkeypatch)
    folder = runner.prepared.folder
    assert [(folder / name).exists() for name in (native_python.MARKER, native_python.GIVEN_UP)] == [False, True]
