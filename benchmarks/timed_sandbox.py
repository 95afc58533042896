"""A sandbox that tells how long its commands took."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.model.protocols import Command, Sandbox
from factory.util.log import LogSink

# The shell's `times` instead of this process's rusage: bubblewrap ends without waiting for its PID namespace's init, so
# what ran in there is never accounted to us. It prints the shell's own times, then those of all that it waited for.
TIMED = '"$@"; status=$?; times >> /build/times; exit $status'


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Elapsed time, and the processor time of all processes, QEMU and compilers included."""

    wall: float
    cpu: float


@dataclass(slots=True)
class TimedSandbox:
    """Implements model.Sandbox over another one."""

    sandbox: Sandbox
    started: float = field(default_factory=time.monotonic)

    @property
    def work(self) -> Path:
        return self.sandbox.work

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command and add its times; see model.Sandbox."""
        self.sandbox.run(replace(command, argv=["sh", "-c", TIMED, "sh", *command.argv]), log=log)

    def lap(self) -> Seconds:
        """What was taken since the last lap."""
        wall, file = time.monotonic() - self.started, self.work / "times"
        waited_for = "\n".join(file.read_text().splitlines()[1::2])
        cpu = sum(60 * int(minutes) + float(rest) for minutes, rest in re.findall(r"(\d+)m([\d.]+)s", waited_for))
        file.unlink()
        self.started = time.monotonic()
        return Seconds(wall=wall, cpu=cpu)
