"""Python and glibc that a wheel needs, as pages state them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from factory.util.wheel_tags import glibc_of

ANY = "any"
_CPYTHON = re.compile(r"cp(\d)(\d+)")


def needed_glibc(filename: str, floor: str | None) -> str:
    """Return the glibc that a wheel needs: the larger of its tag and of its symbols' floor.

    It is ANY without one, and empty for a wheel of another platform.
    """
    return _needed_glibc(filename.removesuffix(".whl").rpartition("-")[2], floor)


@lru_cache(maxsize=1024)
def _needed_glibc(platform_tag: str, floor: str | None) -> str:
    platforms = platform_tag.split(".")
    tags = [glibc for glibc in map(glibc_of, platforms) if glibc is not None]
    if ANY not in platforms and not tags:
        return ""
    # Installers accept a file by its lowest tag.
    lowest = min(tags) if tags else (0, 0)
    needed = max(lowest, _version(floor))
    return ".".join(map(str, needed)) if needed > (0, 0) else ANY


def _version(text: str | None) -> tuple[int, int]:
    parts = re.fullmatch(r"(?a)(\d{1,3})\.(\d{1,3})", text or "")
    return (int(parts[1]), int(parts[2])) if parts else (0, 0)


def accepted_pythons(filename: str) -> str:
    """Return the Pythons that a wheel's tags accept, as in `3.13` or `3.9 or newer`."""
    pythons, abis, _ = filename.removesuffix(".whl").rsplit("-", 3)[1:]
    return _accepted_pythons(pythons, abis)


@lru_cache(maxsize=1024)
def _accepted_pythons(pythons: str, abis: str) -> str:
    found = dict.fromkeys(_accepted(pythons.split("."), abis.split(".")))
    return ANY if ANY in found else ", ".join(found)


def _accepted(pythons: list[str], abis: list[str]) -> Iterator[str]:
    for python in pythons:
        found = _CPYTHON.fullmatch(python)
        if found is None:
            yield ANY if python == "py3" else python
        elif "abi3" in abis or "none" in abis:
            yield f"{found[1]}.{found[2]} or newer"
        else:
            yield f"{found[1]}.{found[2]}" + (", free-threaded" if any(abi.endswith("t") for abi in abis) else "")
