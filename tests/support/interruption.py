"""A build that is interrupted while its tools write files."""

from __future__ import annotations

from pathlib import Path

from factory.errors import TimeLimitReached
from factory.util import cancellation
from tests.support.waiting import wait_until

NINJA = """
rule slow
  command = echo half > $out; sleep 100; echo whole > $out
build one: slow
build two: slow
"""


# A build backend: Python under QEMU, which removes everything when its tool fails.
BACKEND = """
import pathlib, subprocess, sys
status = subprocess.call(sys.argv[1:])
pathlib.Path("backend-went-on").write_text(str(status))
"""


def ask_when_both_are_begun(work: Path, stop: cancellation.Stop) -> None:
    wait_until(lambda: (work / "one").is_file() and (work / "two").is_file())
    stop.request(TimeLimitReached)
