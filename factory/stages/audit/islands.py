"""Vector code among read-only data in executable segments."""

from __future__ import annotations

import numpy as np

from factory.stages.audit.isa import Scan, encoding_at, extension_of, jump_distance, label_names
from factory.stages.audit.opcodes import BASELINE, LOAD_FP, STORE_FP

LENGTH = 64  # instructions from a vset to the end of its block
LOOP = 256  # bytes that the branch at the end of a block may lead back
RET = 0x8082
# vsetvli, vsetivli and vsetvl: mask and match of the bits that are reserved as zero, from the chapter on "V"
VSETS = ((0xF000707F, 0x00007057), (0xF000707F, 0xC0007057), (0xFE00707F, 0x80007057))
RESERVED_REGISTERS = (1, 2, 3, 4)  # ra, sp, gp and tp: no code has its vector length in them
VSET = 0x7057  # opcode and funct3 of all three
VSETVL = 0x80007057  # the type is in a register, not in the instruction
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
        if 2 * int(index) not in found and _has_type(int(words[index])):
            found.update(_block(data, 2 * int(index)))
    return Scan(
        offsets=np.array(sorted(found), dtype=np.int64),
        labels=np.full(len(found), label_names().index("V"), dtype=np.uint8),
    )


def _has_type(vset: int) -> bool:
    """Return whether a vset sets a vector type that exists, as far as the instruction says."""
    if vset & VSETS[2][0] == VSETVL:
        return True
    return vset >> 20 & 7 != RESERVED_LMUL and not vset >> 23 & RESERVED_SEW


def _is_reserved(encoding: int) -> bool:
    """Return whether a vector instruction is a reserved encoding that its opcode alone does not show."""
    if encoding & 0x7F in (LOAD_FP, STORE_FP):
        return bool(encoding & MEW)
    if encoding & 0x707F != VSET:
        return False
    return not (any(encoding & mask == match for mask, match in VSETS) and _has_type(encoding))


def _is_hint(encoding: int, size: int) -> bool:
    return size == 2 and encoding != NOP and any(encoding & mask == match for mask, match in HINTS)


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
        if extension == "V" and _is_reserved(encoding):
            return []
        if extension == "V":
            vectors.append(offset)
            moves |= encoding & 0x7F in (LOAD_FP, STORE_FP)
        elif extension != BASELINE:
            return []
        elif encoding == RET or (-LOOP <= jump_distance(encoding, size) < 0):
            return vectors if moves else []
        offset += size
    return []
