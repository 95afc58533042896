"""Scheduler: run a graph of jobs, several at once, each after its dependencies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

from factory.errors import TimeLimitReached
from factory.util import cancellation

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[K, V]):
    """Result of each job; `skipped` maps a job to its unmet dependencies."""

    done: dict[K, V] = field(default_factory=dict)
    failed: dict[K, Exception] = field(default_factory=dict)
    skipped: dict[K, list[K]] = field(default_factory=dict)


def run_graph(
    needs: Mapping[K, Collection[K]], work: Callable[[K, Mapping[K, V]], V], *, at_once: int
) -> Outcome[K, V]:
    """Call `work(job, done)` for each job, at most `at_once` in parallel.

    `done` has the results of the job's dependencies. A failed job skips only the jobs that depend on it. An interrupt
    ends all running jobs and is raised then.
    """
    outcome: Outcome[K, V] = Outcome()
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: deque[K] = deque()
    running: dict[Future[V], K] = {}
    with cancellation.working_under() as stop, ThreadPoolExecutor(at_once, thread_name_prefix="recipe") as pool:
        try:
            while True:
                ready.extend(sorter.get_ready())
                while ready and len(running) < at_once and not stop.requested:
                    job = ready.popleft()
                    running[pool.submit(copy_context().run, work, job, dict(outcome.done))] = job
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    _settle(running.pop(future), future, outcome, sorter)
        except BaseException:
            stop.request(KeyboardInterrupt)
            raise
    missing = [job for job in needs if job not in outcome.done and job not in outcome.failed]
    outcome.skipped.update({job: [need for need in needs[job] if need not in outcome.done] for job in missing})
    return outcome


def _settle(job: K, future: Future[V], outcome: Outcome[K, V], sorter: TopologicalSorter[K]) -> None:
    try:
        outcome.done[job] = future.result()
    except Exception as error:
        outcome.failed[job] = error
    else:
        sorter.done(job)


def require_all_done(outcome: Outcome[K, V], label: Callable[[K], str]) -> None:
    """Raise an error if a job is not done; `label(job)` names it in messages.

    Raises:
        TimeLimitReached: the limit interrupted a job or let none start; it lists the result of every job.
        Exception: otherwise the first failure, with a note about the other jobs that are not done.
    """
    interrupted = {job: error for job, error in outcome.failed.items() if isinstance(error, TimeLimitReached)}
    failed = {job: error for job, error in outcome.failed.items() if job not in interrupted}
    skipped = [_blocked(label(job), map(label, needs)) for job, needs in outcome.skipped.items()]
    if interrupted or (skipped and not failed):
        rows = {
            "built": [label(job) for job in outcome.done],
            "interrupted": [
                f"{label(job)} (finished: {', '.join(error.finished) or 'nothing'})"
                for job, error in interrupted.items()
            ],
            "failed": _lines([first_line(label(job), error) for job, error in failed.items()]),
            "not started": skipped,
        }
        raise TimeLimitReached("the time limit has passed" + _listed(rows))
    if failed:
        first, *others = failed
        also = _lines([first_line(label(job), failed[job]) for job in others])
        if also or skipped:
            failed[first].add_note(_listed({"also failed": also, "not built": skipped}).lstrip("\n"))
        raise failed[first]


def _blocked(label: str, needs: Iterable[str]) -> str:
    missing = ", ".join(needs)
    return f"{label} (needs {missing})" if missing else label


def first_line(label: str, error: Exception) -> str:
    """Return the first line of a failure, with the name of its job and the path of its log."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    named = line if line.startswith(label) else f"{label}: {line}"
    log = getattr(error, "log", "")
    return f"{named.removesuffix(':')} (log: {log})" if log else named


def _lines(entries: Sequence[str]) -> list[str]:
    """Join entries that are too long for one line."""
    return ["\n    ".join(entries)] if entries else []


def _listed(rows: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"\n  {title}: {', '.join(entries)}" for title, entries in rows.items() if entries)
