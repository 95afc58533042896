"""Process tree of a command, and its end, in which its processes can clean up."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

# Time to clean up; ninja and make need far less.
GRACE_SECONDS = 15.0
POLL_SECONDS = 0.05
# bubblewrap's own init is number 1 in its sandbox, the command number 2.
FIRST_IN_SANDBOX = 2


def process_tree(root: int) -> list[psutil.Process]:
    """Return a process and all below it; nothing if it has ended."""
    try:
        first = psutil.Process(root)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end_workers(root: int, *, is_first: bool = False) -> None:
    """Terminate the processes below `root`.

    Returns when they have ended, or after GRACE_SECONDS.

    `is_first`: `root` is itself the first process of a command in a sandbox, as in containers.
    """
    told: set[int] = set()
    deadline = time.monotonic() + GRACE_SECONDS
    while (workers := _workers(root, is_first=is_first)) and time.monotonic() < deadline:
        for worker in workers:
            if worker.pid not in told:
                told.add(worker.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.terminate()
        time.sleep(POLL_SECONDS)


def end_orphans(first: int) -> None:
    """Kill all below the first process of a container but its oldest child.

    That one waits for the container's end. Returns when they have ended, or after GRACE_SECONDS.
    """
    deadline = time.monotonic() + GRACE_SECONDS
    while (orphans := _orphans(first)) and time.monotonic() < deadline:
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        time.sleep(POLL_SECONDS)


def _orphans(first: int) -> list[psutil.Process]:
    inside = {process: _sandbox_pid(process) for process in process_tree(first)[1:]}
    # Numbers of processes that have ended are 0. Numbers that are given again are never this low.
    oldest = min(filter(None, inside.values()), default=0)
    return [process for process, pid in inside.items() if pid > oldest and _is_alive(process)]


def _workers(root: int, *, is_first: bool) -> list[psutil.Process]:
    """Return the running processes, without bubblewrap and the first process in its sandbox.

    The end of either would end the sandbox, and ninja while it removes files. The first process, a build backend, is
    suspended: else it would report the end of its compilers as a failure.
    """
    tree = process_tree(root)
    inside = {process: _sandbox_pid(process) for process in tree}
    if not any(inside.values()):
        # A number outside of any sandbox is that of another machine's process, not the first one of a sandbox.
        return [] if is_first else [process for process in tree if _is_alive(process)]
    frozen = tree[:1] if is_first else [process for process, pid in inside.items() if pid == FIRST_IN_SANDBOX]
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    others = [process for process, pid in inside.items() if pid > FIRST_IN_SANDBOX and process not in frozen]
    return [process for process in others if _is_alive(process)]


def _sandbox_pid(process: psutil.Process) -> int:
    """Return the process's number in a nested PID namespace.

    1 for its init, 0 for a process outside.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else 0


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
