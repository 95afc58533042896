"""Tests of the parser of QEMU's execution log."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from factory.bench.instructions.trace import Instruction, TraceCounter
from factory.errors import FactoryError

# Two blocks: a loop of three instructions and the return after it. Bits 7 to 9 of the flags are LMUL, 10 to 12 SEW.
LOOP = """\
----------------
IN: add
0x0000000000010000:  02056407          vle32.v                 v8,(a0)
0x0000000000010004:  15fd              addi                    a1,a1,-1
0x0000000000010006:  fded              bnez                    a1,-6                   # 0x10000

"""
AFTER = """\
----------------
IN: add
0x0000000000010008:  8082              ret

"""
E32_M2, E16_MF2 = 2 << 10 | 1 << 7, 1 << 10 | 7 << 7
VLE32, ADDI, BNEZ, RET = 0x02056407, 0x15FD, 0xFDED, 0x8082


def ran(address: int, flags: int, block: str = "0x7fbbe9e00100") -> str:
    return f"Trace 0: {block} [00000000/{address:016x}/{flags:08x}/00000200] add\n"


LOG = LOOP + 3 * ran(0x10000, E32_M2) + AFTER + ran(0x10008, E32_M2, "0x7fbbe9e00200") + ran(0x10000, E32_M2)


def counted(log: str, piece: int = 10_000) -> Counter[Instruction]:
    counter, data = TraceCounter(), log.encode()
    for start in range(0, len(data), piece):
        counter.feed(data[start : start + piece])
    return counter.instructions()


def by_encoding(counts: Counter[Instruction]) -> dict[int, int]:
    return {instruction.encoding: count for instruction, count in counts.items()}


@pytest.mark.parametrize("piece", [1, 7, 64, 10_000])
def test_counter_log_in_pieces_counts_runs_of_blocks(piece: int) -> None:
    assert by_encoding(counted(LOG, piece)) == {VLE32: 4, ADDI: 4, BNEZ: 4, RET: 1}


def test_counter_instruction_has_address_size_and_vtype() -> None:
    assert Instruction(0x10000, VLE32, 4, 32, Fraction(2)) in counted(LOG)
    assert Instruction(0x10004, ADDI, 2, 32, Fraction(2)) in counted(LOG)


def test_counter_block_with_two_vtypes_counts_each() -> None:
    log = LOOP + 2 * ran(0x10000, E32_M2) + LOOP + 5 * ran(0x10000, E16_MF2, "0x7fbbe9e00300")
    counts = counted(log)
    assert counts[Instruction(0x10000, VLE32, 4, 32, Fraction(2))] == 2
    assert counts[Instruction(0x10000, VLE32, 4, 16, Fraction(1, 2))] == 5


def test_counter_new_translation_replaces_instructions() -> None:
    shorter = LOOP.replace("0x0000000000010006:  fded", "0x0000000000010006:  8082")
    log = LOOP + ran(0x10000, E32_M2) + shorter + 3 * ran(0x10000, E32_M2, "0x7fbbe9e00400")
    assert by_encoding(counted(log)) == {VLE32: 4, ADDI: 4, BNEZ: 1, RET: 3}


def test_counter_stopped_block_does_not_count() -> None:
    stopped = "Stopped execution of TB chain before 0x7fbbe9e00100 [0000000000010000] add\n"
    assert by_encoding(counted(LOG + stopped)) == {VLE32: 3, ADDI: 3, BNEZ: 3, RET: 1}


def test_counter_block_without_listing_is_an_error() -> None:
    with pytest.raises(FactoryError, match=r"no instructions for 1 of the blocks that ran\n  hint: "):
        counted(LOG + ran(0x20000, 0))
