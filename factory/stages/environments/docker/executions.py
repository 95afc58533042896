"""Commands that a Docker engine runs: their output, status, processes and end."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.util.process_tree import end_orphans, end_workers, process_tree

if TYPE_CHECKING:
    from docker import DockerClient

# For the first process of a container, on a machine with much other work.
START_SECONDS = 30.0


def lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Yield the engine's output line by line, each as soon as it is complete."""
    return io.TextIOWrapper(io.BufferedReader(_Pieces(pieces)), encoding="utf-8", errors="replace")


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def status_of(client: DockerClient, execution: str) -> int:
    """Return a command's exit status, which can follow shortly after the output."""
    while (state := client.api.exec_inspect(execution))["Running"]:
        time.sleep(0.02)
    return int(state["ExitCode"])


def end_cleanly(client: DockerClient, execution: str) -> None:
    """End a command: first its children, so that they can clean up, then itself."""
    if (process := first_process(client, execution)) is not None:
        end_workers(process, is_first=True)
    if (process := first_process(client, execution)) is not None:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def wait_for_entry_point(client: DockerClient, container: str) -> None:
    """Wait until a container's first process has its child.

    That one waits for the container's end. A command that starts earlier gets a lower number than it: `end_leftovers`
    would take one for the other.
    """
    first, deadline = first_of(client, container), time.monotonic() + START_SECONDS
    while first is not None and len(process_tree(first)) == 1 and time.monotonic() < deadline:
        time.sleep(0.01)


def end_leftovers(client: DockerClient, container: str) -> None:
    """End what a command left running in a container, as bubblewrap does.

    This is not possible with an engine on another machine.
    """
    if (first := first_of(client, container)) is not None:
        end_orphans(first)


def first_of(client: DockerClient, container: str) -> int | None:
    """Return the number of a container's first process on this machine.

    None with an engine on another machine.
    """
    first = int(client.api.inspect_container(container)["State"]["Pid"])
    return first if is_in_container(first, container) else None


def first_process(client: DockerClient, execution: str) -> int | None:
    """Return the number of a command's first process on this machine.

    None before it starts, and with an engine on another machine.
    """
    state = client.api.exec_inspect(execution)
    process = int(state["Pid"])
    return process if is_in_container(process, str(state["ContainerID"])) else None


def watched_process(client: DockerClient, execution: str) -> int | None:
    """Return the number from `first_process`; None too if the engine does not answer."""
    from docker.errors import DockerException
    from requests import RequestException

    try:
        return first_process(client, execution)
    except (DockerException, RequestException):
        return None


def is_in_container(process: int, container: str) -> bool:
    """Report if a number that the engine states is that of a process of the container.

    With an engine on another machine it is that of any process here. It is 0 before the command has started.
    """
    try:
        return process != 0 and container in Path(f"/proc/{process}/cgroup").read_text()
    except OSError:
        return False
