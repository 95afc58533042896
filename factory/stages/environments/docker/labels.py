"""Whose containers and images of an engine are: what a killed process left is found by that, and removed."""

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
    """This process, as no other one is called: machine, namespace of process numbers, number and start."""
    return f"{_place()} {os.getpid()} {_started(os.getpid())}"


def folder_label(folder: Path) -> str:
    """A folder of this machine, to which a kept root belongs."""
    return f"{_place()} {folder}"


def _place() -> str:
    return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"


def _started(process: int) -> str:
    """When a process started, in the kernel's ticks since boot; nothing if there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_abandoned(owner: str) -> bool:
    """Whether what carries this label was made here, by a process or for a folder that is gone."""
    if not owner.startswith(f"{_place()} "):
        return False
    rest = owner.removeprefix(f"{_place()} ")
    if rest.startswith("/"):
        return not Path(rest).exists()
    process, started = rest.split()
    return _started(int(process)) != started


def remove_abandoned(client: DockerClient) -> None:
    """Remove what killed processes left (containers that never started, images in between) and what nothing needs."""
    from docker.errors import APIError

    labelled = {"label": OWNER_LABEL}
    for container in client.api.containers(all=True, filters=labelled):
        if _is_abandoned(container["Labels"][OWNER_LABEL]):
            with suppress(APIError):  # it's just ending by itself
                client.api.remove_container(container["Id"], force=True)
    for image in client.api.images(filters=labelled):
        if _is_abandoned(image["Labels"][OWNER_LABEL]):
            remove_image(client, image["Id"])


def remove_image(client: DockerClient, image: str) -> None:
    """Remove an image if it's there; one that a kept image was made of stays until that one goes."""
    from docker.errors import APIError

    with suppress(APIError):
        client.api.remove_image(image, force=True)
