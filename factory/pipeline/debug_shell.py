"""Debug shell: a job's environment as its last build left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.incremental import begin_look, ends_untouched
from factory.pipeline.job import PreparedJob
from factory.pipeline.order import StageRunner
from factory.pipeline.run import Run
from factory.pipeline.unstored import note_job
from factory.stages.environments.base import OpenedRoot


@contextmanager
def debug_root(prepared: PreparedJob, run: Run) -> Iterator[OpenedRoot]:
    """Open the job's environment for a person; no build of the job runs meanwhile.

    Where no build has left a source, it is patched and put there. A change made there gets into no wheel: the next
    build starts from a clean tree.
    """
    with prepared.locked(run):
        if not (prepared.work / "src").exists():
            _lay_out_source(prepared, run)
        begin_look(prepared.folder, prepared.work)
        with prepared.environment.open(prepared.work, caches=prepared.caches, keep=True, as_left=True) as root:
            yield root
        if not ends_untouched(prepared.folder, prepared.work):
            run.reporter.line(f"{prepared.job.label}: /build has changed; the next build starts from a clean tree")


def _lay_out_source(prepared: PreparedJob, run: Run) -> None:
    """Fetch and patch the source; a later build goes on from there."""
    job = prepared.job
    note_job(prepared.folder, job)
    opener = run.stages(job.label, prepared.key)
    checkpoints = Checkpoints(folder=prepared.folder / "steps", root=run.layout.root, open_stage=opener)
    StageRunner(prepared=prepared, checkpoints=checkpoints, run=run).prepare_source()
