"""Which library lies where in a process's memory, by its /proc/self/maps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from factory.bench.instructions.trace import Instruction

LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ \S+ \d+ +(/.*\.so\b.*)")
# Above the size of any library.
APART = 1 << 40

Libraries = Mapping[str, range]


def mapped_libraries(maps: str, wanted: Callable[[str], bool]) -> Libraries:
    """The addresses of each shared library whose path is wanted, from its first to its last: path -> range."""
    found: dict[str, range] = {}
    for match in filter(None, map(LINE.fullmatch, maps.splitlines())):
        start, end, path = int(match[1], 16), int(match[2], 16), match[3]
        if wanted(path):
            known = found.get(path, range(start, end))
            found[path] = range(min(start, known.start), max(end, known.stop))
    return dict(sorted(found.items()))


def relative(counts: Mapping[Instruction, int], libraries: Libraries) -> Counter[Instruction]:
    """The same instructions at addresses that do not depend on where a run had the libraries."""
    moved: Counter[Instruction] = Counter()
    for instruction, count in counts.items():
        for number, place in enumerate(libraries.values()):
            if instruction.address in place:
                offset = instruction.address - place.start
                moved[replace(instruction, address=number * APART + offset)] += count
    return moved
