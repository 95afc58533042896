"""Disk guard: end a command before it fills the file system, so that other work goes on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from factory.errors import CommandFailed
from factory.util import cancellation

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

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            free = shutil.disk_usage(folder).free
            if free < reserve < before - free:
                stop.request(partial(_ended, folder, before - free, free))
                return

    with cancellation.nested() as stop:
        ended = threading.Event()
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _ended(folder: Path, written: int, free: int) -> CommandFailed:
    sizes = f"{written / 1e9:.1f} GB were written, {free / 1e9:.1f} GB are free"
    message = f"ended before the disk of {folder} was full: {sizes}"
    return CommandFailed(message, output=f"{message}: No space left on device")
