"""Readable forms of sizes, durations, versions and tools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from factory.model.target import PYTHONS
from factory.publish.reports import Package, Stage
from factory.publish.simple_api import quote_path

MINUTE, HOUR = 60, 3600


def size(count: int) -> str:
    """Format a number of bytes, as in `21.9 MB`."""
    if count < 1000:
        return f"{count} B"
    unit, scale = ("kB", 1e3) if count < 999.5e3 else ("MB", 1e6) if count < 999.5e6 else ("GB", 1e9)
    scaled = count / scale
    return f"{scaled:.1f} {unit}" if scaled < 99.95 else f"{scaled:,.0f} {unit}"


@lru_cache(maxsize=1 << 14)
def duration(seconds: float) -> str:
    """Format seconds, as in `4 min 21 s`."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def day(time: str) -> str:
    """Return the day of an ISO 8601 time."""
    return time[:10]


def since(versions: Mapping[str, str]) -> str:
    """Format the first version for each Python.

    The Pythons are named unless all have the same version.
    """
    if versions.keys() >= set(PYTHONS) and len(set(versions.values())) == 1:
        return versions[PYTHONS[0]]
    return ", ".join([f"{version} for Python {python}" for python, version in versions.items()])


def python_range(pythons: Sequence[str]) -> str:
    """Return the requires-python of some of our Pythons, the first to the last."""
    following = PYTHONS[PYTHONS.index(pythons[-1]) + 1 :]
    return f">={pythons[0]}" + (f",<{following[0]}" if following else "")


def check_id(number: int | str, profile: str, python: str) -> str:
    """Return the HTML id of a check of a page's wheel; `number` is used unquoted."""
    return f"check-{number}-{quote_path(f'{python}-{profile}')}"


def stages(stages: Sequence[Stage]) -> str:
    """Format stages with their costs.

    For example: `source 2.1 s, build 4 min 21 s (8 min 9 s of CPU time, 2.1 GB)`.
    """
    return ", ".join(
        [f"{each.name} {duration(each.seconds)}{_cost(each) if each.processors else ''}" for each in stages]
    )


def _cost(stage: Stage) -> str:
    return f" ({duration(stage.processors)} of CPU time, {size(stage.memory)})"


def tools(toolchain: Mapping[str, str]) -> str:
    """Format the tools of a build with their versions."""
    return _tools(tuple(toolchain.items()))


@lru_cache  # many wheels have the same tools
def _tools(toolchain: Sequence[tuple[str, str]]) -> str:
    return ", ".join([f"{name} {version}" for name, version in sorted(toolchain)])


def library_origin(package: Package | None) -> str:
    """Format the package that a library came from."""
    if package is None:
        return "from an unknown package"
    return f"from {'the Debian package ' if package.kind == 'deb' else ''}{package.name} {package.version}"
