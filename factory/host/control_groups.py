"""Control groups: limits of processes and memory for a command and all that it starts.

Linux exempts root from the resource limit of processes, and has none for the memory of several processes. The first
version of control groups has a hierarchy for each controller, the second has one. A group is made below the factory's
own, or below one above it that hands controllers on; a machine that allows neither has no such limits.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from factory.util.confinement import Limits

HIERARCHIES = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NAME = "riscv64-wheel-factory"
CONTROLLERS = ("pids", "memory")
# Writes the shell's own number; the command replaces the shell.
JOIN = 'for group in $1; do echo 0 > "$group/cgroup.procs" || exit 125; done; shift; exec "$@"'
REMOVE_SECONDS = 2.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A command's control group: its folders, one in each hierarchy, and its limits."""

    folders: tuple[Path, ...]
    limits: Limits

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` in the group."""
        folders = " ".join(map(str, self.folders))
        return ["sh", "-c", JOIN, "group", folders, *argv] if self.folders else list(argv)

    def reached(self) -> str | None:
        """Name the limit that the command reached, if it did."""
        if self._events("pids.events", "max"):
            return f"# the limit of {self.limits.processes} processes was reached"
        if self._events("memory.events", "oom_kill") or self._events("memory.oom_control", "oom_kill"):
            return f"# out of memory: a process was killed at the limit of {self.limits.memory / 1e9:.1f} GB of memory"
        return None

    def _events(self, file: str, event: str) -> int:
        for folder in self.folders:
            with suppress(OSError):
                found = re.search(rf"^{event} (\d+)$", (folder / file).read_text(), re.MULTILINE)
                if found:
                    return int(found[1])
        return 0


@contextmanager
def control_group(limits: Limits) -> Iterator[ControlGroup]:
    """Make a control group for the body; it has no folders where the machine allows none."""
    folders = _make(limits)
    try:
        yield ControlGroup(folders=folders, limits=limits)
    finally:
        for folder in folders:
            _remove(folder)


def parents(membership: str, hierarchies: Path = HIERARCHIES) -> tuple[Mapping[str, Path], Path | None]:
    """Return the folders of the factory's own groups, from the text of /proc/self/cgroup.

    They are one for each controller of CONTROLLERS in the first version, and the one in the second version.
    """
    first: dict[str, Path] = {}
    second = None
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            second = hierarchies / path.lstrip("/")
        for controller in set(controllers.split(",")).intersection(CONTROLLERS):
            first[controller] = hierarchies / controllers / path.lstrip("/")
    return first, second


def _make(limits: Limits) -> tuple[Path, ...]:
    first, second = parents(MEMBERSHIP.read_text())
    name = f"{NAME}-{os.getpid()}-{next(_numbers)}"
    made: list[Path] = []
    with suppress(OSError):
        if set(first) == set(CONTROLLERS):
            _remove_abandoned(first.values())
            for controller, parent in first.items():
                made.append(_group(parent / name, _settings(limits, first=True)[controller]))
            return tuple(made)
        if (above := _nearest(second)) is not None:
            _remove_abandoned([above])
            settings = _settings(limits, first=False)
            return (_group(above / name, {**settings["pids"], **settings["memory"]}),)
    for folder in made:
        _remove(folder)
    return ()


def _settings(limits: Limits, *, first: bool) -> dict[str, dict[str, int]]:
    memory = "memory.limit_in_bytes" if first else "memory.max"
    return {"pids": {"pids.max": limits.processes}, "memory": {memory: limits.memory}}


def _nearest(own: Path | None) -> Path | None:
    """Return the nearest group, from our own upwards, that hands both controllers on."""
    for folder in () if own is None else (own, *own.parents):
        with suppress(OSError):
            if set(CONTROLLERS) <= set((folder / "cgroup.subtree_control").read_text().split()):
                return folder
        if folder == HIERARCHIES:
            break
    return None


def _group(folder: Path, settings: Mapping[str, int]) -> Path:
    folder.mkdir()
    try:
        for name, value in settings.items():
            (folder / name).write_text(str(value))
        # Writable for us, as the command must join it.
        os.close(os.open(folder / "cgroup.procs", os.O_WRONLY))
    except OSError:
        _remove(folder)
        raise
    return folder


def _remove(folder: Path) -> None:
    """Remove a group; processes that were just killed may still be leaving it."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if not folder.is_dir() or time.monotonic() > deadline:
                return
            time.sleep(0.01)
        else:
            return


def _remove_abandoned(parents: Iterable[Path]) -> None:
    """Remove groups of killed factories."""
    for parent in parents:
        for folder in parent.glob(f"{NAME}-*"):
            if not Path("/proc", folder.name.split("-")[-2]).exists():
                with suppress(OSError):
                    folder.rmdir()
