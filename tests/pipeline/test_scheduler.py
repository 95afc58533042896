"""Jobs of a graph: in order, several at once, and what becomes of the others when one fails."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from factory.errors import BuildFailed, CheckFailed, FactoryError, TimeLimitReached
from factory.pipeline.scheduler import Outcome, require_all_done, run_graph
from factory.util import cancellation

# d needs b and c, which need a; e needs nothing.
NEEDS: dict[str, set[str]] = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": set()}


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_each_job_begins_when_what_it_needs_is_done(at_once: int) -> None:
    def work(job: str, done: Mapping[str, str]) -> str:
        assert done.keys() >= NEEDS[job]
        return job.upper()

    outcome = run_graph(NEEDS, work, at_once=at_once)
    assert outcome.done == {job: job.upper() for job in NEEDS}


def test_independent_jobs_run_in_parallel_up_to_limit() -> None:
    running: set[str] = set()
    seen: list[int] = []
    pair = threading.Barrier(2)

    def work(job: str, done: Mapping[str, str]) -> str:
        running.add(job)
        pair.wait(60)
        seen.append(len(running))
        pair.wait(60)
        running.remove(job)
        return job

    run_graph(dict.fromkeys("abcdefgh", ()), work, at_once=2)
    assert seen == [2] * 8


def test_failure_skips_dependents_and_notes_other_failures() -> None:
    def work(job: str, done: Mapping[str, str]) -> str:
        if job == "b":
            raise BuildFailed("b 1.0: it broke\nwith many lines")
        if job == "e":
            raise CheckFailed("it does not run")
        return job

    outcome = run_graph(NEEDS, work, at_once=1)
    assert (set(outcome.done), set(outcome.failed), outcome.skipped) == ({"a", "c"}, {"b", "e"}, {"d": ["b"]})
    with pytest.raises(FactoryError) as caught:
        require_all_done(outcome, lambda job: f"{job} 1.0")
    assert caught.value is outcome.failed["e"]
    assert caught.value.__notes__ == ["  also failed: b 1.0: it broke\n  not built: d 1.0 (needs b 1.0)"]


def test_a_single_failure_is_raised_as_it_is() -> None:
    outcome: Outcome[str, str] = Outcome(done={"a": "A"}, failed={"b": BuildFailed("it broke")})
    with pytest.raises(BuildFailed) as caught:
        require_all_done(outcome, str)
    assert not hasattr(caught.value, "__notes__")


def test_when_all_is_done_nothing_is_raised() -> None:
    require_all_done(Outcome(done={"a": 1}), str)


def test_the_time_limit_lists_every_outcome() -> None:
    def work(job: str, done: Mapping[str, str]) -> str:
        if job == "c":
            cancellation.current().request(TimeLimitReached)
            raise TimeLimitReached(finished=("source", "patch"))
        if job == "e":
            raise BuildFailed("e: it broke")
        return job

    outcome = run_graph({**NEEDS, "f": {"d"}, "g": {"e"}, "h": {"a", "b"}}, work, at_once=1)
    with pytest.raises(TimeLimitReached) as caught:
        require_all_done(outcome, str)
    assert str(caught.value) == (
        "the time limit has passed\n"
        "  built: a, b\n"
        "  interrupted: c (finished: source, patch)\n"
        "  failed: e: it broke\n"
        "  not started: d (needs c), f (needs d), g (needs e), h\n"
        "  hint: run the same command to resume; finished steps are kept"
    )


def test_an_interrupt_ends_what_runs() -> None:
    ended = threading.Event()

    def work(job: str, done: Mapping[str, str]) -> str:
        if job == "interrupter":
            raise KeyboardInterrupt
        with cancellation.current().ended_by(ended.set):
            assert ended.wait(10)
        cancellation.current().check()
        return job

    with pytest.raises(KeyboardInterrupt):
        run_graph({"interrupter": (), "worker": ()}, work, at_once=2)
    assert ended.is_set()
