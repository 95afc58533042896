"""What a command has started: asked to end, so that ninja, make and compilers remove what they have half written."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

# How long they may take; ninja and make need far less.
GRACE_SECONDS = 15.0
POLL_SECONDS = 0.05
# bubblewrap's own init is number 1 in its sandbox, the command number 2.
FIRST_IN_SANDBOX = 2


def end_workers(root: int, *, is_first: bool = False) -> None:
    """Ask what runs below the process `root` to end; returns when it has ended, or has had its time.

    `is_first` says that `root` is itself the first process of a command in a sandbox, as in containers.
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


def _workers(root: int, *, is_first: bool) -> list[psutil.Process]:
    """What still runs, without what has to outlive the rest: bubblewrap, and the first process in its sandbox.

    The end of either would end the sandbox, and with it ninja in the midst of removing files. The first one, a build
    backend, is frozen: it would take its compilers' end for a failure, and go on with that.
    """
    try:
        tree = [parent := psutil.Process(root), *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    inside = {process: _sandbox_pid(process) for process in tree}
    if not any(inside.values()):
        # A number that leads into no sandbox is that of another machine's process, not of the sandbox's first one.
        return [] if is_first else [process for process in tree if _is_alive(process)]
    frozen = [parent] if is_first else [process for process, pid in inside.items() if pid == FIRST_IN_SANDBOX]
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    others = [process for process, pid in inside.items() if pid > FIRST_IN_SANDBOX and process not in frozen]
    return [process for process in others if _is_alive(process)]


def _sandbox_pid(process: psutil.Process) -> int:
    """The process's number in a PID namespace below ours: 1 is the namespace's own init; 0 for a process outside."""
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
