"""Libraries in a process's memory, read from /proc/self/maps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from factory.bench.instructions.trace import Instruction

LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ \S+ \d+ +(/.*\.so\b.*)")
# A distance above the size of any library.
LIBRARY_SPACING = 1 << 40

# path -> addresses
Libraries = Mapping[str, range]


def mapped_libraries(maps: str, wanted: Callable[[str], bool]) -> Libraries:
    """Return the address range of each shared library whose path is `wanted`."""
    found: dict[str, range] = {}
    for match in filter(None, map(LINE.fullmatch, maps.splitlines())):
        start, end, path = int(match[1], 16), int(match[2], 16), match[3]
        if wanted(path):
            known = found.get(path, range(start, end))
            found[path] = range(min(start, known.start), max(end, known.stop))
    return dict(sorted(found.items()))


def relative(counts: Mapping[Instruction, int], libraries: Libraries) -> Counter[Instruction]:
    """Move instructions to addresses that are independent of load addresses."""
    moved: Counter[Instruction] = Counter()
    for instruction, count in counts.items():
        for number, place in enumerate(libraries.values()):
            if instruction.address in place:
                offset = instruction.address - place.start
                moved[replace(instruction, address=number * LIBRARY_SPACING + offset)] += count
    return moved
