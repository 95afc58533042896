"""Compile job slots: shared by parallel builds, limited by processors and memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from factory.util import cancellation

CGROUPS = Path("/sys/fs/cgroup")
WAIT_SECONDS = 0.5


def processors() -> int:
    """Return the number of processors available to this process."""
    return len(os.sched_getaffinity(0))


def available_memory(groups: Path = CGROUPS) -> int:
    """Memory available without swapping, in bytes, within the limits of our control groups."""
    own = groups / Path("/proc/self/cgroup").read_text().partition("0::/")[2].partition("\n")[0]
    limited = [group for group in (own, *own.parents) if (group / "memory.max").is_file()]
    return max(min([psutil.virtual_memory().available, *map(_left_in, limited)]), 0)


def _left_in(group: Path) -> int:
    """Memory left in a control group (version 2); its cached files count as free."""
    limit = (group / "memory.max").read_text().strip()
    if limit == "max":
        return psutil.virtual_memory().total
    fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(limit) - int((group / "memory.current").read_text()) + int(fields.get("inactive_file", 0))


@dataclass(frozen=True, slots=True)
class Grant:
    """Number of compilers that one build may run at once, and the reason for the limit."""

    jobs: int
    reason: str


class CompileSlots:
    """Slots for `total` compilers, and the memory that they share.

    A build keeps its share from start to end, since ninja and make can't change theirs: all slots if it is the only
    recipe, else an equal part, at least one. It waits while no slot is free. If the recipe states a compiler's peak
    memory, the share is limited by the available memory too.
    """

    def __init__(self, total: int, memory: int | None = None) -> None:
        self._total = total
        self._memory = available_memory() if memory is None else memory
        self._changed = threading.Condition()
        self._sharers = 0
        self._taken = 0
        self._reserved = 0

    @property
    def total(self) -> int:
        """Number of compilers at once, all recipes together."""
        return self._total

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Count one more recipe in progress while the body runs."""
        with self._changed:
            self._sharers += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharers -= 1

    @contextmanager
    def taken(self, memory_per_job: int) -> Iterator[Grant]:
        """Hold one build's share; `memory_per_job` is in bytes, 0 if the recipe has none."""
        with self._changed:
            while self._taken >= self._total:
                self._changed.wait(WAIT_SECONDS)
                cancellation.current().check()
            grant = self._grant(memory_per_job)
            self._taken += grant.jobs
            self._reserved += grant.jobs * memory_per_job
        try:
            yield grant
        finally:
            with self._changed:
                self._taken -= grant.jobs
                self._reserved -= grant.jobs * memory_per_job
                self._changed.notify_all()

    @contextmanager
    def spare(self, wanted: int) -> Iterator[int]:
        """Hold free slots for up to `wanted` commands; yields the number that may run at once.

        They can also run in turn: the first needs no slot, so this never waits.
        """
        with self._changed:
            taken = max(min(self._share(), wanted) - 1, 0)
            self._taken += taken
        try:
            yield taken + 1
        finally:
            with self._changed:
                self._taken -= taken
                self._changed.notify_all()

    def _share(self) -> int:
        """Return the slots that one recipe may take now."""
        return min(self._total - self._taken, -(-self._total // max(self._sharers, 1)))

    def _grant(self, memory_per_job: int) -> Grant:
        share = self._share()
        reason = f"of {self._total}"
        if memory_per_job:
            free = self._memory - self._reserved
            fitting = max(free // memory_per_job, 1)
            if fitting < share:
                return Grant(fitting, f"{reason}: {memory_per_job / 1e9:.1f} GB each, {free / 1e9:.1f} GB free")
        return Grant(share, reason)
