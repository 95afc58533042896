"""Jobs of a graph, several at once: each begins when all that it needs is done."""

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
    """What became of each job; those `not_begun` come with what they need and didn't get, or had no time."""

    done: dict[K, V] = field(default_factory=dict)
    failed: dict[K, Exception] = field(default_factory=dict)
    not_begun: dict[K, list[K]] = field(default_factory=dict)


def run_graph(
    needs: Mapping[K, Collection[K]], work: Callable[[K, Mapping[K, V]], V], *, at_once: int
) -> Outcome[K, V]:
    """Call `work(job, done)` for each job, at most `at_once` in parallel; `done` has at least what the job needs.

    A job that fails stops no other but those that need it. An interrupt ends all that runs and is raised then.
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
    outcome.not_begun.update({job: [need for need in needs[job] if need not in outcome.done] for job in missing})
    return outcome


def _settle(job: K, future: Future[V], outcome: Outcome[K, V], sorter: TopologicalSorter[K]) -> None:
    try:
        outcome.done[job] = future.result()
    except Exception as error:
        outcome.failed[job] = error
    else:
        sorter.done(job)


def require_all_done(outcome: Outcome[K, V], label: Callable[[K], str]) -> None:
    """End with an error if a job is not done; `label(job)` is what people call it.

    Raises:
        TimeLimitReached: with what became of every job, if the limit cut one or let none begin.
        Exception: else the first failure, with a note about the other jobs that are not done.
    """
    cut = {job: error for job, error in outcome.failed.items() if isinstance(error, TimeLimitReached)}
    failed = {job: error for job, error in outcome.failed.items() if job not in cut}
    not_begun = [_blocked(label(job), map(label, needs)) for job, needs in outcome.not_begun.items()]
    if cut or (not_begun and not failed):
        rows = {
            "built": [label(job) for job in outcome.done],
            "cut": [f"{label(job)} (finished: {', '.join(error.finished) or 'nothing'})" for job, error in cut.items()],
            "failed": [_first_line(label(job), error) for job, error in failed.items()],
            "not begun": not_begun,
        }
        raise TimeLimitReached("the time limit has passed" + _listed(rows))
    if failed:
        first, *others = failed
        also = [_first_line(label(job), failed[job]) for job in others]
        if also or not_begun:
            failed[first].add_note(_listed({"also failed": also, "not built": not_begun}).lstrip("\n"))
        raise failed[first]


def _blocked(label: str, needs: Iterable[str]) -> str:
    missing = ", ".join(needs)
    return f"{label} (needs {missing})" if missing else label


def _first_line(label: str, error: Exception) -> str:
    line = (str(error) or type(error).__name__).splitlines()[0]
    return line if line.startswith(label) else f"{label}: {line}"


def _listed(rows: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"\n  {title}: {', '.join(entries)}" for title, entries in rows.items() if entries)
