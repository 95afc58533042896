"""Instructions are counted out of QEMU's log, however it is cut into pieces."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from factory.bench.instructions.trace import Instruction, TraceCounter
from factory.errors import FactoryError

# Two blocks: a loop of three instructions, and what comes after it. Bits 7 to 9 of the flags are LMUL, 10 to 12 SEW.
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
def test_an_instruction_counts_once_for_each_run_of_its_block(piece: int) -> None:
    assert by_encoding(counted(LOG, piece)) == {VLE32: 4, ADDI: 4, BNEZ: 4, RET: 1}


def test_an_instruction_has_its_address_its_size_and_the_vector_type_it_ran_with() -> None:
    assert Instruction(0x10000, VLE32, 4, 32, Fraction(2)) in counted(LOG)
    assert Instruction(0x10004, ADDI, 2, 32, Fraction(2)) in counted(LOG)


def test_the_same_block_counts_apart_for_each_vector_type() -> None:
    log = LOOP + 2 * ran(0x10000, E32_M2) + LOOP + 5 * ran(0x10000, E16_MF2, "0x7fbbe9e00300")
    counts = counted(log)
    assert counts[Instruction(0x10000, VLE32, 4, 32, Fraction(2))] == 2
    assert counts[Instruction(0x10000, VLE32, 4, 16, Fraction(1, 2))] == 5


def test_a_block_that_is_translated_anew_has_its_new_instructions() -> None:
    shorter = LOOP.replace("0x0000000000010006:  fded", "0x0000000000010006:  8082")
    log = LOOP + ran(0x10000, E32_M2) + shorter + 3 * ran(0x10000, E32_M2, "0x7fbbe9e00400")
    assert by_encoding(counted(log)) == {VLE32: 4, ADDI: 4, BNEZ: 1, RET: 3}


def test_a_block_that_was_stopped_before_its_first_instruction_does_not_count() -> None:
    stopped = "Stopped execution of TB chain before 0x7fbbe9e00100 [0000000000010000] add\n"
    assert by_encoding(counted(LOG + stopped)) == {VLE32: 3, ADDI: 3, BNEZ: 3, RET: 1}


def test_blocks_without_their_instructions_are_an_error_and_no_smaller_count() -> None:
    with pytest.raises(
        FactoryError, match=r"no instructions for 1 of the blocks that ran\n  hint: count a program that"
    ):
        counted(LOG + ran(0x20000, 0))
