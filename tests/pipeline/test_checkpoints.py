"""Tests of checkpoints: finished stages do not run again, failed ones do."""

import sys
from pathlib import Path

import pytest

from factory.errors import BuildFailed, TimeLimitReached
from factory.model.artifacts import PackagePin, SourceTree
from factory.util.log import LogSink
from factory.util.process import run
from tests.support.checkpoints import steps

# Keeps a processor busy for so many seconds.
BUSY_SECONDS = 0.2
BUSY = f"import time\nwhile time.process_time() < {BUSY_SECONDS}: pass"


def test_a_finished_step_gives_its_value_again_without_running(tmp_path: Path) -> None:
    pins = (PackagePin(name="gcc", version="14", architecture="riscv64"),)
    assert steps(tmp_path).once("environment", tuple[PackagePin, ...], lambda log: pins) == pins
    assert steps(tmp_path).once("environment", tuple[PackagePin, ...], lambda log: ()) == pins


def test_a_failed_step_runs_again(tmp_path: Path) -> None:
    def fail(log: LogSink) -> SourceTree:
        raise BuildFailed("no")

    with pytest.raises(BuildFailed):
        steps(tmp_path).once("source", SourceTree, fail)
    tree = SourceTree(path=tmp_path, sha256="s")
    assert steps(tmp_path).once("source", SourceTree, lambda log: tree) == tree


def test_steps_remember_the_command_lines_of_their_own_run(tmp_path: Path) -> None:
    (tmp_path / "build.log").write_text("$ of an earlier run\n")

    def produce(log: LogSink) -> str:
        log.write("$ gcc -c x.c\nx.c: warning\n")
        log.write("[in the root] $ python setup.py\n")
        return "built"

    job = steps(tmp_path)
    job.once("build", str, produce)
    assert job.runs(("build",))[0].commands == ("$ gcc -c x.c", "[in the root] $ python setup.py")


def test_steps_tell_how_long_they_took_and_where_their_logs_are(tmp_path: Path) -> None:
    job = steps(tmp_path)
    job.once("audit", str, lambda log: "{}")
    (run,) = job.runs(("source", "audit"))
    assert (run.stage, run.log) == ("audit", tmp_path / "audit.log")
    assert run.seconds >= 0


def test_what_a_stopped_run_of_a_step_took_counts_too(tmp_path: Path) -> None:
    def busy(log: LogSink) -> str:
        run([sys.executable, "-c", BUSY], log=log)
        return "built"

    def stopped(log: LogSink) -> str:
        busy(log)
        raise TimeLimitReached(finished=())

    job = steps(tmp_path)
    with pytest.raises(TimeLimitReached):
        job.once("build", str, stopped)
    job.once("build", str, busy)
    (told,) = job.runs(("build",))
    assert told.seconds > 2 * BUSY_SECONDS
    assert told.processors > 1.5 * BUSY_SECONDS  # the kernel counts in ticks
    assert not list((tmp_path / "steps").glob("*.spent"))
