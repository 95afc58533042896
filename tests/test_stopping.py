"""A run that is asked to end: nothing begins any more, and what works is ended."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from factory import stopping
from factory.errors import CommandFailed, TimeLimitReached
from factory.process import run
from tests.conftest import MemoryLog
from tests.test_steps import steps

TIDY = """
trap 'rm -f {half}; exit 1' TERM
echo begun > {half}
while :; do sleep 0.05; done
"""


def test_a_command_is_ended_at_the_time_limit_and_may_tidy_up_first(tmp_path: Path) -> None:
    half = tmp_path / "half"
    started = time.monotonic()
    with pytest.raises(TimeLimitReached, match="time limit has passed"), stopping.time_limit(1, TimeLimitReached):
        run(["sh", "-c", TIDY.format(half=half)])
    assert 1 <= time.monotonic() - started < 10
    assert not half.exists()


def test_after_the_time_limit_neither_a_command_nor_a_step_begins(tmp_path: Path, log: MemoryLog) -> None:
    with stopping.time_limit(0, TimeLimitReached) as stop:
        stop.request(TimeLimitReached)
        with pytest.raises(TimeLimitReached):
            run(["touch", str(tmp_path / "begun")])
        with pytest.raises(TimeLimitReached):
            steps(tmp_path).once("audit", str, lambda log: "never")
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_finished_before_the_limit_still_gives_its_value(tmp_path: Path) -> None:
    steps(tmp_path).once("audit", str, lambda log: "clean")
    with stopping.time_limit(0, TimeLimitReached) as stop:
        stop.request(TimeLimitReached)
        assert steps(tmp_path).once("audit", str, lambda log: "never") == "clean"


def test_a_command_that_failed_by_itself_is_a_failure() -> None:
    with pytest.raises(CommandFailed), stopping.time_limit(60, TimeLimitReached):
        run(["false"])


def test_a_run_that_ends_in_time_leaves_no_timer() -> None:
    before = threading.active_count()
    with stopping.time_limit(60, TimeLimitReached):
        run(["true"])
    assert threading.active_count() == before


def test_what_was_asked_to_end_before_it_began_is_ended_at_once() -> None:
    stop, ended = stopping.Stop(), []
    stop.request(TimeLimitReached)
    with stop.ended_by(lambda: ended.append("now")):
        assert ended == ["now"]
