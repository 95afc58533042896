"""Limits of containers, from variables or of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from factory.errors import EnvironmentSetupError
from factory.util.confinement import default_limits

MEMORY_VARIABLE = "FACTORY_DOCKER_MEMORY"
CPUS_VARIABLE = "FACTORY_DOCKER_CPUS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a container: bytes of memory, and CPUs (None: all)."""

    memory: int
    cpus: float | None = None


def limits(variables: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits in the variables; by default 90 % of memory and all CPUs.

    Raises:
        EnvironmentSetupError: a value is malformed.
    """
    from docker.errors import DockerException
    from docker.utils import parse_bytes

    try:
        memory = int(parse_bytes(variables.get(MEMORY_VARIABLE) or default_limits().memory))
    except DockerException as error:
        raise EnvironmentSetupError(f"{MEMORY_VARIABLE}: {error}", hint="use a size such as 6g or 800m") from error
    cpus = variables.get(CPUS_VARIABLE)
    try:
        return Limits(memory=memory, cpus=float(cpus) if cpus else None)
    except ValueError as error:
        raise EnvironmentSetupError(f"{CPUS_VARIABLE}: {error}", hint="use a number such as 4 or 1.5") from error
