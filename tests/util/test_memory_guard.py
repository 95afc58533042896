"""Memory guard: a command with too much memory ends, with all its processes."""

from __future__ import annotations

import sys

import pytest

from factory.errors import CommandFailed
from factory.util.failure_hints import is_machines_fault
from factory.util.memory_guard import memory_guard
from factory.util.process import run

HOGS = """
import subprocess, sys
hog = "x = b'1' * (60 << 20); import time; time.sleep(60)"
for each in [subprocess.Popen([sys.executable, "-c", hog]) for _ in range(4)]:
    each.wait()
"""
FORKS = """
import os, time
x = b"1" * (150 << 20)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
time.sleep(2)
"""


def guarded(script: str, limit: int) -> None:
    with memory_guard(limit) as guard:
        run([sys.executable, "-c", script], guard=guard)


def test_processes_over_the_limit_together_are_ended() -> None:
    with pytest.raises(CommandFailed, match=r"ended at the limit of 0\.2 GB of memory") as caught:
        guarded(HOGS, 200_000_000)
    assert is_machines_fault(caught.value.output)


def test_memory_that_processes_share_counts_once() -> None:
    guarded(FORKS, 300_000_000)
