"""Commands that hang, in each way, and commands that only look like it."""

from __future__ import annotations

import sys
import time

import pytest

from factory.errors import CommandFailed, TimeLimitReached
from factory.util import cancellation, hang_limits
from factory.util.hang_limits import CommandHangs, HangLimits
from factory.util.process import run
from factory.util.resource_usage import metered
from tests.support.logs import MemoryLog

SLEEPS = "print('begun', flush=True)\nimport time\ntime.sleep(60)"
WAITS_FOR_LOCK = "print('begun', flush=True)\nimport threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"
POLLS = "print('begun', flush=True)\nimport time\nwhile True: time.sleep(0.2)"
WAITS_FOR_CHILD = "print('begun', flush=True)\nimport subprocess\nsubprocess.run(['sleep', '60'])"
SPINS = "print('begun', flush=True)\nwhile True: pass"
PRINTS = "while True: print('more', flush=True); __import__('time').sleep(0.1)"
IGNORES_SIGTERM = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPS
WORKS = "import time\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_limits, "POLL_SECONDS", 0.1)
    monkeypatch.setattr("factory.util.resource_usage.SAMPLE_SECONDS", 0.1)
    monkeypatch.setattr("factory.util.process_tree.GRACE_SECONDS", 1.0)


def run_limited(script: str, limits: HangLimits, log: MemoryLog) -> None:
    with metered(), hang_limits.hang_limits("the check", limits, log) as watched:
        run([sys.executable, "-c", script], log=watched)


@pytest.mark.parametrize("script", [SLEEPS, WAITS_FOR_LOCK, POLLS, WAITS_FOR_CHILD, IGNORES_SIGTERM])
def test_idle_command_ends_with_its_last_line(script: str, log: MemoryLog) -> None:
    started = time.monotonic()
    with pytest.raises(CommandHangs) as caught:
        run_limited(script, HangLimits(idle=1.5), log)
    assert time.monotonic() - started < 10
    assert "the check hangs: nothing printed and no processor time used for" in caught.value.message
    assert caught.value.message.endswith("printed last: begun")
    assert f"# {caught.value.message}" in log.text


@pytest.mark.parametrize(
    ("script", "limits", "cause"),
    [
        (SPINS, HangLimits(silent=1.0), "nothing printed for 1 s"),
        (SPINS, HangLimits(total=1.0), "not finished after 1 s"),
        (PRINTS, HangLimits(total=1.0, idle=0.5), "not finished after 1 s; it printed last: more"),
        ("import time\ntime.sleep(60)", HangLimits(silent=1.0), "it printed nothing at all"),
    ],
)
def test_limit_of_each_kind_is_named(script: str, limits: HangLimits, cause: str, log: MemoryLog) -> None:
    with pytest.raises(CommandHangs, match=cause):
        run_limited(script, limits, log)


def test_command_that_works_silently_is_not_idle(log: MemoryLog) -> None:
    run_limited(WORKS, HangLimits(idle=2.5), log)


def test_idle_limit_needs_measured_processor_time(log: MemoryLog) -> None:
    """In a container no process of the command is visible: only silence counts."""
    with hang_limits.hang_limits("the check", HangLimits(idle=0.5), log) as watched:
        run(["sleep", "2"], log=watched)


def test_failed_command_keeps_its_own_error(log: MemoryLog) -> None:
    with pytest.raises(CommandFailed, match="exit status 3") as caught:
        run_limited("raise SystemExit(3)", HangLimits(idle=60), log)
    assert not isinstance(caught.value, CommandHangs)


def test_limit_of_the_run_wins_inside(log: MemoryLog) -> None:
    with pytest.raises(TimeLimitReached), cancellation.time_limit(1, TimeLimitReached):
        run_limited(SLEEPS, HangLimits(total=60), log)


def test_nested_limit_cancels_only_its_body(log: MemoryLog) -> None:
    with cancellation.time_limit(60, TimeLimitReached) as outer:
        with pytest.raises(TimeoutError), cancellation.time_limit(0.5, TimeoutError):
            run(["sleep", "30"])
        with pytest.raises(CommandHangs):
            run_limited(SLEEPS, HangLimits(total=0.5), log)
        assert not outer.requested
        run(["true"])
