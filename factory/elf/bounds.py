"""Limits and the error of reading untrusted ELF files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

LIMIT = 100_000  # sections, dynamic tags, version entries: far above what any linker writes
HIGHEST = 1 << 62  # above any address of a program

Item = TypeVar("Item")


class MalformedElf(ValueError):
    """A file that starts as an ELF file and cannot be read as one."""


def bounded(items: Iterable[Item], limit: int = LIMIT) -> Iterator[Item]:
    """Yield items up to a limit.

    Raises:
        MalformedElf: there are more.
    """
    for count, item in enumerate(items):
        if count == limit:
            raise MalformedElf(f"a table has more than {limit} entries")
        yield item
