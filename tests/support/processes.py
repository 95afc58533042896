"""Processes of this machine."""

from __future__ import annotations

import time
from pathlib import Path


def survivors(cache: Path) -> list[str]:
    """Return the command lines of processes that use the cache, after waiting for them to end."""
    for _ in range(50):
        alive = [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if str(cache) in line]
        if not alive:
            return []
        time.sleep(0.1)
    return alive


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
