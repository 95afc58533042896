"""Markdown table of a run's builds, for the summary of a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from factory.cli.printable import printable
from factory.errors import TimeLimitReached
from factory.model.build_plan import PlannedGroup
from factory.model.job import Job, JobId
from factory.model.record import BuildRecord
from factory.pipeline.build import Results
from factory.store.store import Store
from factory.util.durations import show_duration

HEADINGS = ("package", "version", "Python", "tag", "profiles", "time", "size", "reason or failure")
# Characters of a failure that are shown; the whole one is in the log.
CELL_CHARACTERS = 300


def markdown_table(results: Results, group: PlannedGroup | None, store: Store) -> str:
    """Return the table of a run's jobs, those of dependencies too."""
    reasons = {(each.name, each.python): each.reason for each in group.builds} if group else {}
    rows = [
        (job.recipe.name, job.recipe.version, job.python, *_cells(job.id, results, reasons.get(job.id[:2], ""), store))
        for job in results.jobs.values()
        if group is None or job.id[:2] in reasons
    ]
    return markdown(HEADINGS, rows)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are text, whatever they hold."""
    return plain_table(headings, [[escape(cell) for cell in row] for row in rows])


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are Markdown."""
    return "\n".join(f"| {' | '.join(each)} |" for each in (headings, ["---"] * len(headings), *rows))


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, cut to CELL_CHARACTERS.

    In an element for code GitHub makes no links and notifies nobody.
    """
    line = " ".join(printable(text).split())
    line = line if len(line) <= CELL_CHARACTERS else f"{line[:CELL_CHARACTERS]} ..."
    shown = re.sub(r"[^A-Za-z0-9 .,-]", lambda match: f"&#{ord(match[0])};", line)
    return f"<code>{shown}</code>" if shown != line else line


def _cells(name: JobId, results: Results, reason: str, store: Store) -> Iterator[str]:
    """Return the cells after the Python."""
    outcome = results.outcome
    if name in outcome.done:
        yield from _built(outcome.done[name], store)
        yield reason
        return
    yield from ("",) * 4
    error = outcome.failed.get(name)
    if isinstance(error, TimeLimitReached):
        yield f"interrupted, finished: {', '.join(error.finished) or 'nothing'}"
    elif error is not None:
        yield f"failed: {error}"
    else:
        missing: Sequence[Job] = [results.jobs[need] for need in outcome.skipped.get(name, ())]
        yield f"not started, needs {', '.join(job.label for job in missing)}" if missing else "not started"


def _built(record: BuildRecord, store: Store) -> Iterator[str]:
    yield record.wheel.removesuffix(".whl").rpartition("-")[2]
    yield " ".join(result.profile for result in record.checks if result.passed)
    yield show_duration(sum(run.seconds for run in record.stages))
    yield f"{store.wheel_path(record).stat().st_size / 1e6:.2f} MB"
