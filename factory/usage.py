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
    """While a command runs, look at its memory, and at its end at its processors' time, for the thread's meter.

    The body reads the command's output to its end. The time is that of all processes that were waited for.
    """
    meter = _meter.get()
    if meter is None:
        yield
        return
    peak, ended = [0], threading.Event()
    sampler = threading.Thread(target=_sample, args=(child.pid, peak, ended), daemon=True)
    sampler.start()
    try:
        yield
        # Not reaped yet, it still knows its time and that of its children.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        ended.set()
        sampler.join()
        meter.add(Usage(processors=_processors(child.pid), memory=peak[0]))


def _sample(root: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], _memory(root))


def _memory(root: int) -> int:
    try:
        tree = [parent := psutil.Process(root), *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_resident, tree))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _processors(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
