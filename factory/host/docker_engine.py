"""Docker engine: the connection to it, and its errors as errors of the factory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from factory.errors import EnvironmentSetupError, PrerequisiteMissing

if TYPE_CHECKING:
    from docker import DockerClient

ADDRESS_VARIABLE = "DOCKER_HOST"
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
# Loading or committing an image of some gigabytes sends nothing for minutes.
TIMEOUT_SECONDS = 900


def address() -> str:
    """Return the engine's address: $DOCKER_HOST, else Docker's default."""
    return os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


@contextmanager
def connect() -> Iterator[DockerClient]:
    """Connect to the engine of Docker's own variables, else to this machine's.

    Raises:
        PrerequisiteMissing: no engine answers.
    """
    # Imported here since it takes 0.2 s, and most commands need no engine.
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=TIMEOUT_SECONDS)
    except DockerException as error:
        raise PrerequisiteMissing(
            f"Docker engine {address()}: connection failed: {error}",
            hint="apt-get install docker.io, and start dockerd unless a service does; or use --environment rootfs",
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def engine_errors(task: str) -> Iterator[None]:
    """Convert the engine's errors; `task` is an imperative: `list its images`."""
    from docker.errors import APIError, DockerException
    from requests import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        text = str((error.explanation if isinstance(error, APIError) else None) or error)
        raise EnvironmentSetupError(
            f"Docker engine {address()}: cannot {task}: {text}", hint=_hint(text, error)
        ) from error


def _hint(text: str, error: Exception) -> str:
    from requests import ConnectionError

    if "no space left on device" in text:
        return "free disk space for the engine's images; docker system df shows their sizes"
    if isinstance(error, ConnectionError):
        return "the engine has stopped: start it, and run the same command to resume"
    return "see docker info and dockerd's log"
