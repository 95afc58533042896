"""Disk guard: end a command before it fills the file system, so that other work goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.errors import CommandFailed
from factory.util import cancellation
from factory.util.repetition import repeated

# Left free for everything else: the smaller of these.
RESERVE_BYTES, RESERVE_SHARE = 2 << 30, 0.05
POLL_SECONDS = 0.5


@contextmanager
def disk_guard(folder: Path) -> Iterator[None]:
    """End the body's commands before they fill the file system of `folder`.

    Small commands may use the reserve itself.

    Raises:
        CommandFailed: the reserve was reached. Its output has the kernel's words for a full disk.
    """
    total, _, before = shutil.disk_usage(folder)
    reserve = min(RESERVE_BYTES, int(total * RESERVE_SHARE))

    def end_if_full() -> bool:
        free = shutil.disk_usage(folder).free
        full = free < reserve < before - free
        if full:
            stop.request(lambda: _ended(folder, before - free, free))
        return full

    with cancellation.nested() as stop, repeated(POLL_SECONDS, end_if_full):
        yield


def _ended(folder: Path, written: int, free: int) -> CommandFailed:
    sizes = f"{written / 1e9:.1f} GB were written, {free / 1e9:.1f} GB are free"
    message = f"ended before the disk of {folder} was full: {sizes}"
    return CommandFailed(message, output=f"{message}: No space left on device")
