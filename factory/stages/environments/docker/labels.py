"""Owner labels of containers and images, to find those of killed processes."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from factory.stages.environments.docker.image import REPOSITORY

if TYPE_CHECKING:
    from docker import DockerClient

OWNER_LABEL = f"{REPOSITORY}.owner"


def own_label() -> str:
    """Return a unique label of this process: machine, PID namespace, PID, start."""
    return f"{_place()} {os.getpid()} {_started(os.getpid())}"


def folder_label(folder: Path) -> str:
    """Return the label of a kept root, which belongs to a folder of this machine."""
    return f"{_place()} {folder}"


def _place() -> str:
    return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"


def _started(process: int) -> str:
    """Return a process's start in clock ticks since boot; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_abandoned(owner: str) -> bool:
    """Report if a label of this machine has no existing process or folder."""
    if not owner.startswith(f"{_place()} "):
        return False
    rest = owner.removeprefix(f"{_place()} ")
    if rest.startswith("/"):
        return not Path(rest).exists()
    process, started = rest.split()
    return _started(int(process)) != started


def remove_abandoned(client: DockerClient) -> None:
    """Remove containers and images of killed processes and removed folders."""
    from docker.errors import APIError

    labelled = {"label": OWNER_LABEL}
    for container in client.api.containers(all=True, filters=labelled):
        if _is_abandoned(container["Labels"][OWNER_LABEL]):
            with suppress(APIError):  # it is ending by itself
                client.api.remove_container(container["Id"], force=True)
    for image in client.api.images(filters=labelled):
        if _is_abandoned(image["Labels"][OWNER_LABEL]):
            remove_image(client, image["Id"])


def remove_image(client: DockerClient, image: str) -> None:
    """Remove an image if it exists; the parent of a kept image stays."""
    from docker.errors import APIError

    with suppress(APIError):
        client.api.remove_image(image, force=True)
