"""Addresses of a file's functions and data objects, from its symbols and its unwind table.

Read as arrays, since large libraries have hundreds of thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from factory.elf.bounds import HIGHEST, bounded

STT_OBJECT, STT_FUNC = 1, 2
SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
PT_GNU_EH_FRAME = "PT_GNU_EH_FRAME"
# Version and encodings of .eh_frame_hdr as GNU ld and lld write it (Linux Standard Base, "The .eh_frame_hdr section"):
# pointers of 4 bytes, relative to themselves or to the section.
EH_FRAME_HDR = bytes([1, 0x1B, 0x03, 0x3B])

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extents:
    """Ranges of addresses with different starts, sorted; one of unknown size is empty."""

    starts: Numbers
    ends: Numbers

    @classmethod
    def of(cls, starts: npt.NDArray[np.integer], sizes: npt.NDArray[np.integer]) -> Extents:
        """Sort ranges; keep the longest of each start, and drop those that no program has."""
        plausible = (starts < HIGHEST) & (sizes < HIGHEST) & (starts >= 0)
        first, length = starts[plausible].astype(np.int64), sizes[plausible].astype(np.int64)
        order = np.lexsort((length, first))
        last = order[np.diff(first[order], append=HIGHEST) != 0]
        return cls(starts=first[last], ends=first[last] + length[last])

    def within(self, begin: int, end: int) -> Extents:
        """Return the ranges that start from `begin` up to, but without, `end`."""
        first, last = np.searchsorted(self.starts, [min(begin, HIGHEST), min(end, HIGHEST)])
        return Extents(starts=self.starts[first:last], ends=self.ends[first:last])

    def joined(self) -> Extents:
        """Return the ranges with those that overlap joined, without empty ones."""
        reached = np.maximum.accumulate(self.ends)
        alone = np.flatnonzero(self.starts[1:] >= reached[:-1])
        starts = self.starts[np.concatenate([[0], alone + 1])] if len(self.starts) else self.starts
        ends = reached[np.concatenate([alone, [-1]])] if len(self.starts) else self.ends
        return Extents(starts=starts[ends > starts], ends=ends[ends > starts])

    def contain(self, addresses: Numbers) -> npt.NDArray[np.bool_]:
        """Return for each address whether a range contains it."""
        if not len(self.starts):
            return np.zeros(len(addresses), dtype=bool)
        index = np.searchsorted(self.starts, addresses, side="right") - 1
        reached = np.maximum.accumulate(self.ends)[np.maximum(index, 0)]
        inside: npt.NDArray[np.bool_] = (index >= 0) & (addresses < reached)
        return inside


NO_EXTENTS = Extents(starts=np.zeros(0, dtype=np.int64), ends=np.zeros(0, dtype=np.int64))


def read_functions(elf: ELFFile, data: bytes) -> tuple[Extents, Extents]:
    """Return functions and data objects; none of a file that is not 64-bit little-endian."""
    if elf.elfclass != 64 or not elf.little_endian:
        return NO_EXTENTS, NO_EXTENTS
    symbols = np.concatenate([np.zeros(0, dtype=SYMBOL), *_symbol_tables(elf, data)])
    symbols = symbols[symbols["section"] != 0]
    kinds = symbols["info"] & 0xF
    unwound = list(_unwind_tables(elf, data))
    functions, objects = symbols[kinds == STT_FUNC], symbols[kinds == STT_OBJECT]
    entry = np.array([elf.header["e_entry"]] if elf.header["e_entry"] else [], dtype=np.uint64)
    starts = np.concatenate([functions["value"], entry, *(first.astype(np.uint64) for first, _ in unwound)])
    sizes = np.concatenate([functions["size"], entry * 0, *(size.astype(np.uint64) for _, size in unwound)])
    return Extents.of(starts, sizes), Extents.of(objects["value"], objects["size"])


def _symbol_tables(elf: ELFFile, data: bytes) -> Iterator[npt.NDArray[np.void]]:
    """Yield symbol tables; without section headers that of the dynamic segment."""
    found = False
    for section in bounded(elf.iter_sections()):
        if isinstance(section, SymbolTableSection):
            found = True
            yield _table(data, section["sh_offset"], section["sh_size"] // SYMBOL.itemsize)
    for segment in bounded(elf.iter_segments()):
        if isinstance(segment, DynamicSegment) and not found:
            _, offset = segment.get_table_offset("DT_SYMTAB")
            if offset is not None:
                yield _table(data, offset, segment.num_symbols())


def _table(data: bytes, offset: int, count: int) -> npt.NDArray[np.void]:
    """Return a symbol table; only the entries that are in the file."""
    room = max(len(data) - offset, 0) // SYMBOL.itemsize
    return np.frombuffer(data, dtype=SYMBOL, count=max(min(count, room), 0), offset=min(offset, len(data)))


def _unwind_tables(elf: ELFFile, data: bytes) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the starts and sizes of the functions in .eh_frame_hdr; stripped files keep it."""
    for segment in bounded(elf.iter_segments()):
        offset, address = segment["p_offset"], segment["p_vaddr"]
        header = data[offset : offset + segment["p_filesz"]] if segment["p_type"] == PT_GNU_EH_FRAME else b""
        if len(header) < 12 or header[:4] != EH_FRAME_HDR or address >= HIGHEST:
            continue
        count = min(int.from_bytes(header[8:12], "little"), (len(header) - 12) // 8)
        table = np.frombuffer(header, dtype="<i4", count=2 * count, offset=12).astype(np.int64).reshape(-1, 2)
        yield table[:, 0] + address, _sizes(data, table[:, 1] + offset, table[:, 0] + offset)


def _sizes(data: bytes, entries: Numbers, starts: Numbers) -> Numbers:
    """Return the sizes of functions by .eh_frame; 0 for an entry of another form.

    `entries` and `starts` are offsets in the file: both in one segment, as in all files with this table.
    """
    content = np.frombuffer(data, dtype=np.uint8)
    sizes = np.zeros(len(entries), dtype=np.int64)
    inside = np.flatnonzero((entries >= 0) & (entries + 16 <= len(data)))
    fields = content[entries[inside][:, None] + np.arange(8, 16)].copy().view("<i4").astype(np.int64)
    fitting = fields[:, 0] + entries[inside] + 8 == starts[inside]
    sizes[inside] = np.where(fitting, fields[:, 1] & 0xFFFFFFFF, 0)
    return sizes
