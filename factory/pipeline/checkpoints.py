"""Checkpoints: finished stages of one job, kept across runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from factory.errors import FactoryError
from factory.model.record import StageRun
from factory.util import cancellation
from factory.util.atomic_files import make_folder, sync_trees
from factory.util.jsonio import load, save
from factory.util.log import LogSink, OpenStage
from factory.util.resource_usage import Usage, metered

T = TypeVar("T")
PROMPTS = ("$ ", "[in the root] $ ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Generic[T]):
    """A finished stage: its value and its cost."""

    value: T
    run: StageRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Cost of an unfinished stage so far, over all its runs."""

    seconds: float
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Finished stages of one job, in `folder`.

    `root` is the cache folder; paths are saved relative to it, since it may move.
    """

    folder: Path
    root: Path
    open_stage: OpenStage

    def once(self, stage: str, kind: type[T], produce: Callable[[LogSink], T], *, files: bool = True) -> T:
        """Return the stage's value, of an earlier run or by `produce(log)`.

        A failure names the stage that was running. `files`: the stage wrote files that later stages read; they are on
        disk before the value is.

        Raises:
            BaseException: the reason for which the run was asked to stop, before the stage started.
        """
        path = self._path(stage)
        if path.is_file():
            return load(path, Finished[kind], self.root).value  # type: ignore[valid-type]
        cancellation.current().check()
        with self.open_stage(stage) as log:
            before = log.path.stat().st_size
            with self._spending(stage) as spent, _named(stage, log.path):
                value = produce(log)
        took, commands = spent(), _commands(log.path, before)
        run = StageRun(
            stage=stage,
            seconds=took.seconds,
            commands=commands,
            log=log.path,
            processors=took.usage.processors,
            memory=took.usage.memory,
        )
        if files:
            make_folder(self.folder)
            sync_trees(self.folder)
        save(path, Finished(value=value, run=run), self.root)
        self._spent_path(stage).unlink(missing_ok=True)
        return value

    def undo(self, *stages: str) -> None:
        """Forget that stages were finished."""
        for stage in stages:
            self._path(stage).unlink(missing_ok=True)

    @staticmethod
    def has_finished(folder: Path, stage: str) -> bool:
        """Report whether a job with checkpoints in `folder` has finished a stage."""
        return (folder / f"{stage}.json").is_file()

    @contextmanager
    def _spending(self, stage: str) -> Iterator[Callable[[], Spent]]:
        """Measure a run of a stage; yields its cost, with that of earlier runs.

        Runs that were killed are not included.
        """
        path, started = self._spent_path(stage), monotonic()
        before = load(path, Spent) if path.is_file() else Spent(seconds=0.0, usage=Usage())

        def spent() -> Spent:
            usage = before.usage.with_another(meter.usage)
            return Spent(seconds=before.seconds + monotonic() - started, usage=usage)

        with metered() as meter:
            try:
                yield spent
            except BaseException:
                save(path, spent())
                raise

    def runs(self, stages: tuple[str, ...]) -> tuple[StageRun, ...]:
        """Cost of each finished stage."""
        finished = (path for path in map(self._path, stages) if path.is_file())
        return tuple(load(path, Finished[object], self.root).run for path in finished)

    def _spent_path(self, stage: str) -> Path:
        return self.folder / f"{stage}.spent"

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"


@contextmanager
def _named(stage: str, log: Path) -> Iterator[None]:
    """Set the stage and its log on a failure."""
    try:
        yield
    except FactoryError as error:
        error.stage, error.log = stage, str(log)
        raise


def _commands(log: Path, offset: int) -> tuple[str, ...]:
    """Command lines of a log after `offset`; processes and sandboxes mark them with a prompt."""
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(offset)
        return tuple(line.rstrip("\n") for line in file if line.startswith(PROMPTS))
