"""Environment markers of requirements, evaluated for the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement

from factory.errors import RecipeError


def marker_environment(python: str) -> dict[str, str]:
    """Return the values of environment markers on riscv64 for a Python, without an extra."""
    return {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": "riscv64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def requirements_for(requirements: Iterable[str], python: str) -> Iterator[Requirement]:
    """Yield the requirements whose markers hold on riscv64 and the Python `python`.

    Raises:
        RecipeError: a requirement is invalid.
    """
    environment = marker_environment(python)
    for item in map(_parse, requirements):
        if item.marker is None or item.marker.evaluate(environment):
            yield item


@lru_cache(maxsize=4096)
def _parse(text: str) -> Requirement:
    """Parse a requirement; a source's are valid, unless an older factory read them.

    Raises:
        RecipeError: it is invalid.
    """
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise RecipeError(
            f"{text}: invalid requirement: {error}", hint="correct it in the source, by a patch"
        ) from error
