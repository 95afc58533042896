"""Wheel tags: the Pythons and the glibc that a wheel's file name states."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

RISCV64 = re.compile(r"(?:linux|manylinux_(\d+)_(\d+))_riscv64")
OLDEST_GLIBC = (2, 27)  # the first that runs on riscv64


def glibc_of(platform: str) -> tuple[int, int] | None:
    """Return the glibc that a riscv64 platform tag requires, (0, 0) for plain `linux_riscv64`.

    None for tags of other machines and other C libraries.
    """
    fits = RISCV64.fullmatch(platform)
    if fits is None:
        return None
    major, minor = (int(number or 0) for number in fits.groups())
    return major, minor


def riscv64_platforms(newest: tuple[int, int]) -> tuple[str, ...]:
    """Return the manylinux tags for riscv64 up to this glibc, the newest first.

    pip takes wheels of exactly the platforms that it is given.
    """
    major, oldest = OLDEST_GLIBC
    return tuple(f"manylinux_{major}_{minor}_riscv64" for minor in range(newest[1], oldest - 1, -1))


def serves(wheel: str, python: str) -> bool:
    """Report whether CPython `python` (`3.14`) accepts a wheel by its Python and ABI tags.

    A wheel built for one Python serves no other; `abi3` wheels serve later Pythons too, `py3` wheels all.
    """
    return not _accepted_tags(python).isdisjoint(_tags_of("-".join(wheel.rsplit("-", 3)[1:])))


def is_portable(wheel: str) -> bool:
    """Return whether no platform tag is plain `linux_riscv64`."""
    return all(glibc_of(platform) != (0, 0) for platform in wheel.removesuffix(".whl").rsplit("-", 1)[1].split("."))


@cache
def _accepted_tags(python: str) -> frozenset[tuple[str, str]]:
    version = tuple(int(part) for part in python.split("."))
    own = f"cp{version[0]}{version[1]}"
    platforms = ["any"]  # the platform is not considered
    taken = [*cpython_tags(version, [own], platforms), *compatible_tags(version, own, platforms)]
    return frozenset((tag.interpreter, tag.abi) for tag in taken)


@lru_cache(maxsize=256)
def _tags_of(end: str) -> frozenset[tuple[str, str]]:
    """Parse the tags at the end of a file name; few differ among many wheels."""
    return frozenset((tag.interpreter, tag.abi) for tag in parse_wheel_filename(f"name-1-{end}")[3])
