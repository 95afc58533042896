"""A run that is asked to end: nothing begins any more, and what works is ended."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from factory.errors import CommandFailed, TimeLimitReached
from factory.util import cancellation
from factory.util.locks import held
from factory.util.process import run
from tests.support.checkpoints import steps
from tests.support.logs import MemoryLog
from tests.support.waiting import wait_until

TIDY = """
trap 'rm -f {half}; exit 1' TERM
echo begun > {half}
while :; do sleep 0.05; done
"""


def test_command_at_time_limit_ends_after_cleanup(tmp_path: Path) -> None:
    half = tmp_path / "half"
    started = time.monotonic()
    with pytest.raises(TimeLimitReached, match="time limit has passed"), cancellation.time_limit(1, TimeLimitReached):
        run(["sh", "-c", TIDY.format(half=half)])
    assert 1 <= time.monotonic() - started < 10
    assert not half.exists()


def test_command_that_ends_early_leaves_no_descendants(tmp_path: Path) -> None:
    # As bubblewrap: ended while its sandbox is being made, it leaves a process that nobody else will end.
    left = tmp_path / "left"
    script = f"(trap '' TERM; echo > {left}; exec sleep 60) & exec sleep 60"
    started = time.monotonic()
    with cancellation.working_under() as stop:
        threading.Thread(target=request_after, args=(stop, left)).start()
        with pytest.raises(TimeLimitReached):
            run(["sh", "-c", script])
    assert time.monotonic() - started < 30


def request_after(stop: cancellation.Stop, file: Path) -> None:
    """Ask for the end as soon as the file is there."""
    wait_until(file.exists)
    stop.request(TimeLimitReached)


def test_after_time_limit_no_command_and_no_step_starts(tmp_path: Path, log: MemoryLog) -> None:
    with cancellation.time_limit(0, TimeLimitReached) as stop:
        stop.request(TimeLimitReached)
        with pytest.raises(TimeLimitReached):
            run(["touch", str(tmp_path / "begun")])
        with pytest.raises(TimeLimitReached):
            steps(tmp_path).once("audit", str, lambda log: "never")
    assert list(tmp_path.iterdir()) == []


def test_step_finished_before_time_limit_gives_its_value(tmp_path: Path) -> None:
    steps(tmp_path).once("audit", str, lambda log: "clean")
    with cancellation.time_limit(0, TimeLimitReached) as stop:
        stop.request(TimeLimitReached)
        assert steps(tmp_path).once("audit", str, lambda log: "never") == "clean"


def test_a_command_that_failed_by_itself_is_a_failure() -> None:
    with pytest.raises(CommandFailed), cancellation.time_limit(60, TimeLimitReached):
        run(["false"])


def test_a_run_that_ends_in_time_leaves_no_timer() -> None:
    before = set(threading.enumerate())
    with cancellation.time_limit(60, TimeLimitReached):
        run(["true"])
    assert set(threading.enumerate()) <= before  # threads of earlier tests may end


def test_what_was_asked_to_end_before_it_began_is_ended_at_once() -> None:
    stop, ended = cancellation.Stop(), []
    stop.request(TimeLimitReached)
    with stop.ended_by(lambda: ended.append("now")):
        assert ended == ["now"]


def test_waiting_for_another_process_ends_at_the_time_limit(tmp_path: Path) -> None:
    said: list[str] = []
    with held(tmp_path / "lock"), cancellation.time_limit(1, TimeLimitReached):
        with pytest.raises(TimeLimitReached), held(tmp_path / "lock", lambda: said.append("waiting")):
            pytest.fail("two had it at once")
        assert said == ["waiting"]


def test_what_waits_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with held(tmp_path / "lock"):
            order.append("second")

    with held(tmp_path / "lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
