"""Timed sandbox: measures the commands that run in another sandbox."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.model.protocols import Command, Sandbox
from factory.util.log import LogSink

# The shell's `times` instead of this process's rusage: bubblewrap does not wait for the init of its PID namespace, so
# the processes in there are not accounted to us. It prints the shell's times, then those of its children.
TIMED = '"$@"; status=$?; times >> /build/times; exit $status'


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Wall time, and processor time of all processes, with QEMU and compilers."""

    wall: float
    cpu: float


@dataclass(slots=True)
class TimedSandbox:
    """A sandbox over another one that adds up the times of its commands."""

    sandbox: Sandbox
    started: float = field(default_factory=time.monotonic)

    @property
    def work(self) -> Path:
        return self.sandbox.work

    @property
    def inputs(self) -> Path:
        return self.sandbox.inputs

    def run(self, command: Command, *, log: LogSink) -> None:
        """Run a command and add its times."""
        self.sandbox.run(replace(command, argv=["sh", "-c", TIMED, "sh", *command.argv]), log=log)

    def lap(self) -> Seconds:
        """Return the time since the last lap."""
        wall, file = time.monotonic() - self.started, self.work / "times"
        waited_for = "\n".join(file.read_text().splitlines()[1::2])
        cpu = sum(60 * int(minutes) + float(rest) for minutes, rest in re.findall(r"(\d+)m([\d.]+)s", waited_for))
        file.unlink()
        self.started = time.monotonic()
        return Seconds(wall=wall, cpu=cpu)
