"""What commands cost: seconds of all processors, and memory at its peak."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from subprocess import Popen

import psutil

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Seconds of all processors, and the largest sum of resident sets that was seen, in bytes."""

    processors: float = 0.0
    memory: int = 0

    def with_another(self, other: Usage) -> Usage:
        """That of two commands, one after the other."""
        return Usage(processors=self.processors + other.processors, memory=max(self.memory, other.memory))


class Meter:
    """Adds up what commands cost."""

    def __init__(self) -> None:
        self.usage = Usage()

    def add(self, usage: Usage) -> None:
        """Take note of one more command."""
        self.usage = self.usage.with_another(usage)


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Add up what the commands cost that this thread runs meanwhile."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


@contextmanager
def watched(child: Popen[str]) -> Iterator[None]:
    """While a command runs, look at its processes now and then, for the thread's meter.

    The body reads the command's output to its end. What processes did after the last look is missing, except where the
    command waited for them: bubblewrap does not, and its own time says nothing of what ran in the sandbox.
    """
    meter = _meter.get()
    if meter is None:
        yield
        return
    watch, ended = _Watch(child.pid), threading.Event()
    watcher = threading.Thread(target=watch.go_on, args=(ended,), daemon=True)
    watcher.start()
    try:
        yield
        # Not reaped yet, it still knows its time and that of its children.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        ended.set()
        watcher.join()
        watch.look()
        meter.add(watch.largest)


class _Watch:
    """Looks at a process and all below it, and keeps the largest of what it saw."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.largest = Usage()

    def go_on(self, ended: threading.Event) -> None:
        """Look again and again."""
        while not ended.wait(SAMPLE_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        try:
            tree = [parent := psutil.Process(self._root), *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        seen = [_usage_of(process) for process in tree]
        self.largest = Usage(
            processors=max(self.largest.processors, sum(each.processors for each in seen)),
            memory=max(self.largest.memory, sum(each.memory for each in seen)),
        )


def _usage_of(process: psutil.Process) -> Usage:
    """A process's own time and memory, and the time of its children that ended and that it waited for."""
    try:
        times = process.cpu_times()
        processors = times.user + times.system + times.children_user + times.children_system
        return Usage(processors=float(processors), memory=int(process.memory_info().rss))
    except psutil.Error:
        return Usage()
