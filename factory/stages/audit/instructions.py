"""Instructions of a library beyond the baseline, and the data among them.

Not every such encoding is an instruction that a program runs. Assembly files put tables of constants between functions,
and GCC's unwinder, which is in every static libgcc, reads `vlenb` after its own test. These are notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from factory.elf.code import Claim, CodeRange
from factory.elf.reader import ElfFacts
from factory.elf.symbols import SymbolMap
from factory.stages.audit.isa import Scan, encoding_at, label_names, merge, scan
from factory.stages.audit.islands import RET, vector_islands
from factory.stages.audit.opcodes import COUNTERS, PRIVILEGED, UNKNOWN, VSET, VSET_MASK
from factory.stages.audit.report import ExtensionUse, Location

Numbers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

EXAMPLES = 3
# Instructions that no program runs, or that no known extension has: much of what data reads as.
NO_PROGRAM = (UNKNOWN, PRIVILEGED)
# A group of encodings beyond the baseline has less than this distance, in bytes, between two of them.
DISTANCE = 64
# A group reads as data if this share of it is no program's. In two tables of SHA constants in libcrypto: 0.09 and 0.16.
SHARE_OF_DATA = 0.05
# csrrs rd, vlenb, zero; lui rd, 2 and addi rd, rd, -990, which make 0x1c22: DWARF's number of vlenb, that the unwinder
# compares a register's number with (libgcc/config/riscv/value-unwind.h; libunwind's Registers.hpp does the same).
READ_VLENB_MASK, READ_VLENB = 0xFFFFF07F, 0xC2202073
LUI_MASK, LUI_2, C_LUI_MASK, C_LUI_2 = 0xFFFFF07F, 0x00002037, 0xF07F, 0x6009
ADDI_MASK, ADDI_NUMBER = 0xFFF07077, 0xC2200013
TEST_DISTANCE = 4096  # bytes before the instruction; in Debian's libgcc_s 100 to 700


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUse:
    """Encodings beyond the baseline, by extension or harmless reason.

    `tables` are probably data, `unwinder` are reads of `vlenb` by unwinders. `unclaimed` names the places of code in
    executable memory that no executable section has.
    """

    uses: tuple[ExtensionUse, ...] = ()
    counters: ExtensionUse | None = None
    tables: ExtensionUse | None = None
    unwinder: ExtensionUse | None = None
    unclaimed: tuple[str, ...] = ()


def inspect_code(data: bytes, facts: ElfFacts) -> CodeUse:
    """Sum up the encodings beyond the baseline in all that a processor can execute."""
    found: dict[str, list[tuple[CodeRange, Numbers]]] = {}
    for part in facts.code:
        hits, tables = _hits_and_tables(part, facts)
        for name, offsets in _sorted_out(part, hits, tables):
            found.setdefault(name, []).append((part, offsets))
    symbols = SymbolMap(data) if found else None
    uses = {name: _use(name, places, symbols) for name, places in found.items()}
    counts = Counter({name: use.count for name, use in uses.items() if name not in (COUNTERS, TABLES, UNWINDER)})
    outside = {part.name for places in found.values() for part, _ in places if part.claim is not Claim.CODE}
    return CodeUse(
        uses=tuple(uses[name] for name, _ in counts.most_common()),
        counters=uses.get(COUNTERS),
        tables=uses.get(TABLES),
        unwinder=uses.get(UNWINDER),
        unclaimed=tuple(sorted(outside)),
    )


TABLES, UNWINDER = "data", "vlenb"


def _hits_and_tables(part: CodeRange, facts: ElfFacts) -> tuple[Scan, Marks]:
    """Scan code, and mark the encodings in tables.

    Words of a table that read as jumps lead into the middle of instructions: such jumps do not count.
    """
    hits = _hits(part, facts)
    tables = _in_tables(part, hits, facts)
    if tables.any():
        hits = _hits(part, facts, _table_halfwords(part, hits.offsets[tables], facts))
        tables = _in_tables(part, hits, facts)
    return hits, tables


def _hits(part: CodeRange, facts: ElfFacts, tables: Marks | None = None) -> Scan:
    """Scan code; in executable data scan its functions, and search for vector code."""
    functions = facts.functions.within(part.address, part.address + len(part.data))
    starts = functions.starts - part.address
    if part.claim is not Claim.DATA:
        return scan(part.data, starts.tolist(), tables)
    found = [vector_islands(part.data)]
    pieces = functions.joined()
    for begin, end in zip((pieces.starts - part.address).tolist(), (pieces.ends - part.address).tolist(), strict=True):
        inside = starts[(starts >= begin) & (starts < end)] - begin
        piece = scan(part.data[begin:end], inside.tolist())
        found.append(Scan(offsets=piece.offsets + begin, labels=piece.labels))
    return merge(found)


def _sorted_out(part: CodeRange, hits: Scan, tables: Marks) -> Iterator[tuple[str, Numbers]]:
    """Yield the offsets by extension, COUNTERS, TABLES and UNWINDER."""
    names = np.array(label_names(), dtype=object)[hits.labels]
    names[tables] = TABLES
    for index in np.flatnonzero(hits.of("V") & (names == "V")):
        if _is_unwinders(part.data, int(hits.offsets[index])):
            names[index] = UNWINDER
    for name in dict.fromkeys(names.tolist()):
        yield name, hits.offsets[names == name]


def _in_tables(part: CodeRange, hits: Scan, facts: ElfFacts) -> Marks:
    """Mark probable data: groups without a vset in a data object, or outside of functions.

    Outside of functions a share of the group must be no instruction of a program.
    """
    marked = np.zeros(len(hits.offsets), dtype=bool)
    if part.claim is Claim.DATA or not len(marked):
        return marked
    addresses = hits.offsets + part.address
    known = len(facts.functions.within(part.address, part.address + len(part.data)).starts) > 0
    in_function, in_object = facts.functions.contain(addresses), facts.objects.contain(addresses)
    odd = hits.of(*NO_PROGRAM)
    for group in _groups(part.data, hits.offsets, odd):
        looks_so = known and not in_function[group].any() and odd[group].mean() >= SHARE_OF_DATA
        if (looks_so or in_object[group].all()) and not _has_vset(part.data, hits.offsets[group]):
            marked[group] = True
    return marked


def _groups(data: bytes, offsets: Numbers, odd: Marks) -> Iterator[Numbers]:
    """Yield the indexes of encodings that are near each other.

    Those with odd ones are also split at returns: a table often follows the return of the function that reads it.
    """
    for group in np.split(np.arange(len(offsets)), np.flatnonzero(np.diff(offsets) >= DISTANCE) + 1):
        if odd[group].any():
            returns = _returns(data, int(offsets[group[0]]), int(offsets[group[-1]]))
            yield from np.split(group, np.unique(np.searchsorted(offsets[group], returns)))
        else:
            yield group


def _returns(data: bytes, begin: int, end: int) -> list[int]:
    """Return the offsets of the returns among the instructions from `begin` to `end`."""
    found: list[int] = []
    while begin < end:
        encoding, size = encoding_at(data, begin)
        if encoding == RET:
            found.append(begin)
        begin += size
    return found


def _table_halfwords(part: CodeRange, offsets: Numbers, facts: ElfFacts) -> Marks:
    """Mark the halfwords around the encodings in tables.

    They begin after the last return, and are outside of functions.
    """
    marked = np.zeros(len(part.data) // 2, dtype=bool)
    for group in np.split(offsets, np.flatnonzero(np.diff(offsets) >= DISTANCE) + 1):
        first, last = int(group[0]), int(group[-1])
        begin = max(first - DISTANCE, 0)
        begin = max(begin, part.data.rfind(RET.to_bytes(2, "little"), begin, first))
        marked[begin // 2 : (last + DISTANCE) // 2] = True
    at = np.flatnonzero(marked)
    marked[at] = ~facts.functions.contain(2 * at + part.address)
    return marked


def _has_vset(data: bytes, offsets: Numbers) -> bool:
    """Return whether one of the encodings is a vset, which all vector code begins with."""
    return any(encoding_at(data, int(offset))[0] & VSET_MASK == VSET for offset in offsets)


def _is_unwinders(data: bytes, offset: int) -> bool:
    """Return whether code reads `vlenb` after a comparison with DWARF's number of it."""
    if encoding_at(data, offset)[0] & READ_VLENB_MASK != READ_VLENB:
        return False
    before = np.frombuffer(data[max(offset - TEST_DISTANCE, 0) : offset], dtype="<u2").astype(np.uint32)
    words = before[:-1] | before[1:] << np.uint32(16)
    upper = (words & LUI_MASK == LUI_2).any() or (before & C_LUI_MASK == C_LUI_2).any()
    return bool(upper and (words & ADDI_MASK == ADDI_NUMBER).any())


def _use(name: str, places: list[tuple[CodeRange, Numbers]], symbols: SymbolMap | None) -> ExtensionUse:
    """Return number and first examples of instructions."""
    examples = [_location(part, int(offset), symbols) for part, offsets in places for offset in offsets[:EXAMPLES]]
    return ExtensionUse(
        extension=name, count=sum(len(offsets) for _, offsets in places), examples=tuple(examples[:EXAMPLES])
    )


def _location(part: CodeRange, offset: int, symbols: SymbolMap | None) -> Location:
    encoding, size = encoding_at(part.data, offset)
    address = part.address + offset
    return Location(
        section=part.name,
        address=address,
        encoding=f"0x{encoding:0{2 * size}x}",
        symbol=symbols.describe(address) if symbols else None,
    )
