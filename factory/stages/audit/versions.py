"""Symbol versions of glibc and libstdc++, as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Version = tuple[int, ...]
DT_RELR_GLIBC = (2, 36)  # the glibc that defines the version name GLIBC_ABI_DT_RELR


def highest(versions: Iterable[str], family: str) -> str | None:
    """Return the highest version of a family ("GLIBC" of "GLIBC_2.38"), as "2.38"."""
    implied: Mapping[str, Version] = {"GLIBC_ABI_DT_RELR": DT_RELR_GLIBC}
    names = [name for name in versions if name.startswith(f"{family}_")]
    numbers = [implied[name] for name in names if name in implied]
    numbers += [
        version_numbers(name.partition("_")[2])
        for name in names
        if re.fullmatch(rf"{family}_\d{{1,9}}(\.\d{{1,9}})*", name)
    ]
    return dotted(max(numbers)) if numbers else None


def version_numbers(version: str) -> Version:
    """Parse a version such as "2.38" into comparable numbers."""
    return tuple(int(part) for part in version.split("."))


def dotted(version: Version) -> str:
    """Format a version as "2.38"."""
    return ".".join(map(str, version))
