"""The connection to a Docker engine, and its failures in the factory's own words."""

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
# Seconds without an answer: loading or committing an image of some gigabytes is silent for minutes.
PATIENCE = 900


def address() -> str:
    """Where the engine listens: $DOCKER_HOST, else Docker's default."""
    return os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


@contextmanager
def connect() -> Iterator[DockerClient]:
    """Connect to the engine that Docker's own variables name, else to this machine's.

    Raises:
        PrerequisiteMissing: no engine answers.
    """
    # Imported here: it takes 0.2 s, which commands that need no engine are spared.
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=PATIENCE)
    except DockerException as error:
        raise PrerequisiteMissing(
            f"no Docker engine answers at {address()}: {error}",
            hint="apt-get install docker.io, and start dockerd if no service does; or build without one: "
            "--environment rootfs, the default",
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn what the engine refuses, or its end, into the error of an environment that could not do `what`."""
    from docker.errors import APIError, DockerException
    from requests import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        text = str((error.explanation if isinstance(error, APIError) else None) or error)
        raise EnvironmentSetupError(
            f"the Docker engine at {address()} could not {what}: {text}", hint=_hint(text, error)
        ) from error


def _hint(text: str, error: Exception) -> str:
    from requests import ConnectionError

    if "no space left on device" in text:
        return "make room where the engine keeps its images; docker system df shows what they take"
    if isinstance(error, ConnectionError):
        return "the engine has ended: start it again, and run the same command to go on"
    return "docker info and dockerd's log say more"
