"""Waits for conditions, each with a deadline."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory.site.writer import UNSURE_SECONDS
from factory.util.atomic_files import changed_at

POLL_SECONDS = 0.02


def wait_until(
    holds: Callable[[], object], *, seconds: float = 60, process: subprocess.Popen[Any] | None = None
) -> None:
    """Wait until a condition holds; fail after `seconds` or at the process's end."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(POLL_SECONDS)


def settle(folder: Path) -> None:
    """Wait until the times of all folders are old enough for the site's writer to trust them."""
    newest = max(changed_at(path) for path in (folder, *folder.rglob("*")) if path.is_dir())
    wait_until(lambda: newest < time.time_ns() - UNSURE_SECONDS * 1e9)
