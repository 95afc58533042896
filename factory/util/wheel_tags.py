"""Which Pythons a wheel is for, as its file name says."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

RISCV64 = re.compile(r"(?:linux|manylinux_(\d+)_(\d+))_riscv64")


def glibc_of(platform: str) -> tuple[int, int] | None:
    """The glibc that a platform tag for riscv64 promises to be content with, (0, 0) for plain `linux_riscv64`.

    None is for tags of other machines and of other C libraries.
    """
    fits = RISCV64.fullmatch(platform)
    if fits is None:
        return None
    major, minor = (int(number or 0) for number in fits.groups())
    return major, minor


def serves(wheel: str, python: str) -> bool:
    """Whether CPython `python` (`3.14`) takes a wheel of this file name, going by the tags for Python and its ABI.

    One that is built for a Python alone serves no other; `abi3` ones serve later Pythons too, `py3` ones all.
    """
    return not _taken_by(python).isdisjoint(_tags_of("-".join(wheel.rsplit("-", 3)[1:])))


@cache
def _taken_by(python: str) -> frozenset[tuple[str, str]]:
    version = tuple(int(part) for part in python.split("."))
    own = f"cp{version[0]}{version[1]}"
    platforms = ["any"]  # the platform is not what is asked here
    taken = [*cpython_tags(version, [own], platforms), *compatible_tags(version, own, platforms)]
    return frozenset((tag.interpreter, tag.abi) for tag in taken)


@lru_cache(maxsize=256)
def _tags_of(end: str) -> frozenset[tuple[str, str]]:
    """The tags at the end of file names: few, of however many wheels."""
    return frozenset((tag.interpreter, tag.abi) for tag in parse_wheel_filename(f"name-1-{end}")[3])
