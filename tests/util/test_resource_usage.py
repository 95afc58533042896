"""What commands cost, measured on real ones."""

from __future__ import annotations

import sys

from factory.util.process import run
from factory.util.resource_usage import metered

MEBIBYTE = 1 << 20
# A child of a child keeps a processor busy for so many seconds of its time.
SECONDS = 0.3
LOOP = f"import time\\nwhile time.process_time() < {SECONDS}: pass"
BUSY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{LOOP}'])"
# It keeps memory for longer than it takes to look at it.
LARGE = f"import time; kept = b'x' * {200 * MEBIBYTE}; time.sleep(2.5)"


def test_processors_are_those_of_all_processes_of_all_commands() -> None:
    with metered() as alone:
        run([sys.executable, "-c", BUSY])
    with metered() as twice:
        run([sys.executable, "-c", BUSY])
        run([sys.executable, "-c", BUSY])
    assert alone.usage.processors > 0.8 * SECONDS  # the kernel counts in ticks
    assert twice.usage.processors > 1.6 * SECONDS


def test_memory_is_that_at_its_peak() -> None:
    with metered() as meter:
        run([sys.executable, "-c", LARGE])
        run(["true"])
    assert 200 * MEBIBYTE < meter.usage.memory < 400 * MEBIBYTE


def test_a_command_outside_is_not_counted() -> None:
    with metered() as meter:
        pass
    run([sys.executable, "-c", BUSY])
    assert meter.usage.processors == 0
