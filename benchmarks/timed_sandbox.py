"""A sandbox that tells how long its commands took."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from factory.model.protocols import BUILD, Sandbox
from factory.model.target import BASELINE_CPU
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

    def run(
        self,
        argv: Sequence[str],
        *,
        log: LogSink,
        env: Mapping[str, str] | None = None,
        cwd: PurePosixPath = BUILD,
        network: bool = False,
        cpu: str = BASELINE_CPU,
    ) -> None:
        """Run a command and add its times; see model.Sandbox."""
        self.sandbox.run(["sh", "-c", TIMED, "sh", *argv], log=log, env=env, cwd=cwd, network=network, cpu=cpu)

    def lap(self) -> Seconds:
        """What was taken since the last lap."""
        wall, file = time.monotonic() - self.started, self.work / "times"
        waited_for = "\n".join(file.read_text().splitlines()[1::2])
        cpu = sum(60 * int(minutes) + float(rest) for minutes, rest in re.findall(r"(\d+)m([\d.]+)s", waited_for))
        file.unlink()
        self.started = time.monotonic()
        return Seconds(wall=wall, cpu=cpu)
