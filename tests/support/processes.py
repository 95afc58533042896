"""Processes of this machine."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.waiting import POLL_SECONDS


def survivors(cache: Path) -> list[str]:
    """Return the command lines of processes that use the cache, after waiting for them to end."""
    deadline = time.monotonic() + 5
    while (alive := users_of(cache)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return alive


def users_of(cache: Path) -> list[str]:
    """Return the command lines of processes that name the cache."""
    return [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if str(cache) in line]


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
