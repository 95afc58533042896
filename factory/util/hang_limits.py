"""Limits for commands that hang, judged by their output and processor time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed
from factory.util import cancellation
from factory.util.durations import show_duration
from factory.util.log import LogSink
from factory.util.repetition import repeated
from factory.util.resource_usage import Meter, current_meter

# Exit status of timeout(1).
TIMED_OUT = 124
LINES_SHOWN = 8
POLL_SECONDS = 1.0
# Share of one processor that waiting programs may use, for polling.
IDLE_SHARE = 0.01

# Of the factory in a log: command lines and notes.
OWN_LINES = ("$ ", "[in the root] $ ", "# ")


@dataclass(frozen=True, slots=True, kw_only=True)
class HangLimits:
    """Seconds in total, without output, and without output and processor time."""

    total: float = float("inf")
    silent: float = float("inf")
    idle: float = float("inf")


class CommandHangs(CommandFailed):
    """A command that was ended because it hung."""


@contextmanager
def hang_limits(what: str, limits: HangLimits, log: LogSink) -> Iterator[LogSink]:
    """End the body's command if it hangs; the body writes to the log that this yields.

    `what` names the command in the error.

    Raises:
        CommandHangs: with the limit and the last lines.
    """
    with cancellation.nested() as stop:
        watch = _Watch(what, limits, log, stop, current_meter())
        with repeated(POLL_SECONDS, watch.end_if_hung):
            yield watch


class _Watch:
    """A log that knows when something was written last."""

    def __init__(self, what: str, limits: HangLimits, log: LogSink, stop: cancellation.Stop, meter: Meter) -> None:
        self._what = what
        self._limits = limits
        self._log = log
        self._stop = stop
        self._meter = meter
        self._started = time.monotonic()
        self._last: deque[str] = deque(maxlen=LINES_SHOWN)
        self._rest()

    @property
    def path(self) -> Path:
        return self._log.path

    def write(self, text: str) -> None:
        self._log.write(text)
        if not text.startswith(OWN_LINES):
            self._last.extend(line for line in text.splitlines() if line.strip())
        self._rest()

    def end_if_hung(self) -> bool:
        """End the command if it has reached a limit, and report so."""
        cause = self._exceeded()
        if cause:
            self._end(f"{self._what} hangs: {cause}")
        return bool(cause)

    def _end(self, message: str) -> None:
        self._log.write(f"# {message}\n")
        lines = "\n".join([*self._last, message])
        self._stop.request(lambda: CommandHangs(message, status=TIMED_OUT, output=lines))

    def _rest(self) -> None:
        """Note the time and the processor time of the last output."""
        self._printed, self._used = time.monotonic(), self._meter.processors

    def _exceeded(self) -> str:
        now, used = time.monotonic(), self._meter.processors
        silent = now - self._printed
        last = f"; it printed last: {self._last[-1].strip()}" if self._last else "; it printed nothing at all"
        if now - self._started > self._limits.total:
            return f"not finished after {show_duration(self._limits.total)}{last}"
        if silent > self._limits.silent:
            return f"nothing printed for {show_duration(silent)}{last}"
        if self._used is None:
            self._used = used  # the first sample after the last output
        elif used is not None and silent > self._limits.idle and used - self._used < IDLE_SHARE * silent:
            return f"nothing printed and no processor time used for {show_duration(silent)}{last}"
        return ""
