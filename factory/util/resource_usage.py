"""Resource usage of commands: processor time and peak memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from subprocess import Popen

import psutil

from factory.util.process_tree import process_tree
from factory.util.repetition import repeated

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Processor time in seconds, and the largest sampled sum of resident sets in bytes."""

    processors: float = 0.0
    memory: int = 0

    def with_another(self, other: Usage) -> Usage:
        """Return the usage of two commands that ran in sequence."""
        return Usage(processors=self.processors + other.processors, memory=max(self.memory, other.memory))


class Meter:
    """The accumulated usage of commands."""

    def __init__(self) -> None:
        self.usage = Usage()
        self._watch: _Watch | None = None

    def add(self, usage: Usage) -> None:
        """Add a command's usage."""
        self.usage = self.usage.with_another(usage)

    @property
    def processors(self) -> float | None:
        """Processor time so far, with the running command's; None if no command was seen."""
        if self._watch is None or not self._watch.has_seen:
            return None
        return self.usage.processors + self._watch.largest.processors

    @contextmanager
    def watching(self, watch: _Watch) -> Iterator[None]:
        """Make the usage of a running command known while the body runs."""
        self._watch = watch
        try:
            yield
        finally:
            self._watch = None


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure the commands that this thread runs in the body."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def current_meter() -> Meter:
    """Return this thread's meter; outside of `metered`, one that measures nothing."""
    return _meter.get() or Meter()


@contextmanager
def watched(child: Popen[str]) -> Iterator[None]:
    """Sample the processes of a running command for the thread's meter.

    The body reads the command's output to its end. Usage after the last sample is missing unless the command waited for
    its processes; bubblewrap does not, and its own time excludes the processes in the sandbox.
    """
    meter = _meter.get()
    if meter is None:
        yield
        return
    watch = _Watch(lambda: child.pid)
    try:
        with repeated(SAMPLE_SECONDS, watch.sample):
            with meter.watching(watch):
                yield
            # Before it is reaped, its time and that of its children are available.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        watch.sample()
        meter.add(watch.largest)


@contextmanager
def watched_elsewhere(find: Callable[[], int | None]) -> Iterator[None]:
    """Sample the processes of a command that another program has started, while the body runs.

    `find` returns the number of its first process, None while there is none here.
    """
    meter = _meter.get()
    if meter is None:
        yield
        return
    watch = _Watch(find)
    try:
        with repeated(SAMPLE_SECONDS, watch.sample), meter.watching(watch):
            yield
    finally:
        meter.add(watch.largest)


class _Watch:
    """Samples of a process tree, of which the largest is kept."""

    def __init__(self, find: Callable[[], int | None]) -> None:
        self._find = find
        self.largest = Usage()
        self.has_seen = False

    def sample(self) -> None:
        """Take one sample."""
        root = self._find()
        tree = [] if root is None else process_tree(root)
        if not tree:
            return
        self.has_seen = True
        seen = [_usage_of(process) for process in tree]
        self.largest = Usage(
            processors=max(self.largest.processors, sum(each.processors for each in seen)),
            memory=max(self.largest.memory, sum(each.memory for each in seen)),
        )


def _usage_of(process: psutil.Process) -> Usage:
    """Return a process's time and memory, with the time of reaped children."""
    try:
        times = process.cpu_times()
        processors = times.user + times.system + times.children_user + times.children_system
        return Usage(processors=float(processors), memory=int(process.memory_info().rss))
    except psutil.Error:
        return Usage()
