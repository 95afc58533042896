"""Vector code among read-only data in executable segments."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from factory.stages.audit.isa import Scan, encoding_at, extension_of, jump_distance, label_names
from factory.stages.audit.opcodes import BASELINE, LOAD_FP, STORE_FP, VSET, VSET_MASK

LENGTH = 64  # instructions from a vset to the end of its block
LOOP = 256  # bytes that the branch at the end of a block may lead back
RET = 0x8082
# Masks and matches with the bits that are reserved as zero, from the chapter on "V". vsetvl has the type in a register.
VSETVLI, VSETIVLI, VSETVL = (0xF000707F, 0x00007057), (0xF000707F, 0xC0007057), (0xFE00707F, 0x80007057)
VSETS = (VSETVLI, VSETIVLI, VSETVL)
RESERVED_REGISTERS = (1, 2, 3, 4)  # ra, sp, gp and tp: no code has its vector length in them
RESERVED_LMUL, RESERVED_SEW = 0b100, 0b100  # of the type in vsetvli and vsetivli: bits 20 to 22, 23 to 25
MEW = 1 << 28  # of loads and stores: reserved
# Compressed instructions that change register 0, which no compiler writes but `c.nop`: mask and match.
HINTS = ((0xEF83, 0x0001), (0xEF83, 0x0002))
NOP = 0x0001


def vector_islands(data: bytes) -> Scan:
    """Find blocks of vector code in data: from a vset to a return or a branch back.

    Each encoding in between must be an instruction. None of 755 libraries and programs of Debian has such a block
    outside of its code sections.
    """
    halfwords = np.frombuffer(data, dtype="<u2", count=len(data) // 2).astype(np.uint32)
    words = halfwords[:-1] | halfwords[1:] << np.uint32(16)
    plausible = np.zeros(len(words), dtype=bool)
    for mask, match in VSETS:
        plausible |= words & np.uint32(mask) == match
    plausible &= ~np.isin(words >> np.uint32(7) & np.uint32(31), RESERVED_REGISTERS)
    found: set[int] = set()
    for index in np.flatnonzero(plausible):
        if 2 * int(index) not in found:
            found.update(_block(data, 2 * int(index)))
    return Scan(
        offsets=np.array(sorted(found), dtype=np.int64),
        labels=np.full(len(found), label_names().index("V"), dtype=np.uint8),
    )


def _is_one_of(encoding: int, instructions: Iterable[tuple[int, int]]) -> bool:
    return any(encoding & mask == match for mask, match in instructions)


def _is_reserved(encoding: int) -> bool:
    """Return whether a vector load, store or vset is a reserved encoding."""
    if encoding & 0x7F in (LOAD_FP, STORE_FP):
        return bool(encoding & MEW)
    if encoding & VSET_MASK != VSET or _is_one_of(encoding, [VSETVL]):
        return False
    has_type = encoding >> 20 & 7 != RESERVED_LMUL and not encoding >> 23 & RESERVED_SEW
    return not (has_type and _is_one_of(encoding, VSETS))


def _is_hint(encoding: int, size: int) -> bool:
    return size == 2 and encoding != NOP and _is_one_of(encoding, HINTS)


def _block(data: bytes, offset: int) -> list[int]:
    """Return the offsets of vector instructions in a block; none if it is no code.

    It reads or writes vectors in memory, and ends with a return or a branch back.
    """
    vectors: list[int] = []
    moves = False
    for _ in range(LENGTH):
        encoding, size = encoding_at(data, offset)
        if offset + size > len(data) or encoding == 0 or _is_hint(encoding, size):
            return []
        extension = extension_of(encoding, size)
        if extension == "V":
            if _is_reserved(encoding):
                return []
            vectors.append(offset)
            moves |= encoding & 0x7F in (LOAD_FP, STORE_FP)
        elif extension != BASELINE:
            return []
        elif encoding == RET or (-LOOP <= jump_distance(encoding, size) < 0):
            return vectors if moves else []
        offset += size
    return []
