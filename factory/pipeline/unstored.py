"""Wheels of jobs that failed after their repair.

No store has them, but checks and shells can take them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.job import Job
from factory.model.recipe import Recipe
from factory.pipeline.checkpoints import Finished
from factory.pipeline.run import Run
from factory.util.jsonio import load, save

# In a job's folder.
NOTE = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNote:
    """The package, Python and toolchain of a job's folder."""

    name: str
    python: str
    toolchain: str


def note_job(folder: Path, job: Job) -> None:
    """Note in its folder which job it is of."""
    save(folder / NOTE, JobNote(name=job.id[0], python=job.python, toolchain=job.toolchain))


def copy_newest_wheel(recipe: Recipe, run: Run, folder: Path) -> Path:
    """Copy the newest wheel of a recipe, for the run's Python and toolchain, into `folder`.

    It is in the store, or in the folder of a job that failed after the repair.

    Raises:
        StoreError: there is neither.
    """
    target, toolchain, name = run.config.target, run.config.toolchain, canonicalize_name(recipe.name)
    record = run.store.latest(name, target.python, toolchain)
    unstored = _newest_unstored(JobNote(name=name, python=target.python, toolchain=toolchain), run)
    if unstored is not None and (record is None or datetime.fromisoformat(record.finished) < unstored[0]):
        found = unstored[1]
        run.reporter.line(f"{run.config.label(recipe)}: takes the wheel of the build that failed, {found.name}")
    elif record is not None:
        found = run.store.wheel_path(record)
    else:
        hint = f"run: factory build {recipe.name} {run.config.options(recipe)}"
        raise StoreError(f"{run.config.label(recipe)}: not built yet", hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(found, folder))


def _newest_unstored(wanted: JobNote, run: Run) -> tuple[datetime, Path] | None:
    """Return the newest wheel in the folder of such a job, with the time of its repair."""
    found = []
    for note in run.layout.jobs.glob(f"{wanted.name}-*/{NOTE}"):
        repaired = note.parent / "steps/repair.json"
        if repaired.is_file() and load(note, JobNote) == wanted:
            wheel = load(repaired, Finished[RepairedWheel], run.layout.root).value.path
            if wheel.is_file():
                found.append((datetime.fromtimestamp(repaired.stat().st_mtime, UTC), wheel))
    return max(found, default=None)
