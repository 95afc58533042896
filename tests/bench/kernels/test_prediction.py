"""Tests of predicted cycles: blocks of instructions, and LLVM's model of a real loop."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from factory.bench.instructions.trace import Instruction
from factory.bench.kernels.prediction import Predictor, blocks_of, largest, predictor
from factory.errors import FactoryError
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.stages.environments.layers import LayerStore
from factory.util.paths import Layout
from tests.support.logs import MemoryLog, unreported

# vle32.v v8, (a0); vfmacc.vf v16, fa0, v8; addi a0, a0, 16; bne a0, a1, -12
LOOP = ((0x02056407, 4), (0xB2855857, 4), (0x0541, 2), (0xFEB51AE3, 4))
M1, M8 = Fraction(1), Fraction(8)


def loop(lmul: Fraction, runs: int = 1000) -> dict[Instruction, int]:
    address, found = 0x1000, {}
    for encoding, size in LOOP:
        found[Instruction(address, encoding, size, 32, lmul)] = runs
        address += size
    return found


def test_instructions_that_ran_equally_often_form_a_block() -> None:
    after = Instruction(0x100E, 0x8082, 2, 32, M1)
    apart = Instruction(0x2000, 0x0001, 2, 32, M1)
    found = blocks_of({**loop(M1), after: 1, apart: 1})
    assert [(len(block.instructions), block.runs) for block in found] == [(4, 1000), (1, 1), (1, 1)]


def test_instruction_with_two_vtypes_has_the_more_frequent() -> None:
    (block,) = blocks_of({Instruction(0, 0x0001, 2, 32, M8): 3, Instruction(0, 0x0001, 2, 8, M1): 2})
    assert (block.runs, block.instructions[0].lmul) == (5, M8)


def test_largest_leaves_out_blocks_that_hardly_ran() -> None:
    rare = Instruction(0x2000, 0x0001, 2, 32, M1)
    (block,) = largest(blocks_of({**loop(M1, 100_000), rare: 1}))
    assert block.runs == 100_000


@pytest.fixture
def llvm(layout: Layout, tmp_path: Path) -> Predictor:
    return predictor(LayerStore(layout=layout, open_stage=unreported), DEFAULT_DISTRIBUTION, tmp_path, MemoryLog())


@pytest.mark.environment
def test_cycles_grow_with_lmul(llvm: Predictor) -> None:
    narrow, wide = (llvm.cycles(loop(lmul), "spacemit-x60") for lmul in (M1, M8))
    assert 1000 < narrow < 20_000
    assert wide > 2 * narrow
    assert llvm.cycles(loop(M1, 2000), "spacemit-x60") == 2 * narrow


@pytest.mark.environment
def test_cycles_of_call_and_fence_are_few(llvm: Predictor) -> None:
    """`jalr ra, a0` is a jump, and the model has no fences."""
    call, fence = Instruction(0x1000, 0x9502, 2, 32, M1), Instruction(0x1002, 0x0230000F, 4, 32, M1)
    assert 0 < llvm.cycles({call: 1000, fence: 1000}, "spacemit-x60") < 20_000


@pytest.mark.environment
def test_cycles_with_unknown_instruction_is_an_error(llvm: Predictor) -> None:
    """vfwmaccbf16.vv is of Zvfbfwma, which the processor has not."""
    with pytest.raises(FactoryError, match="llvm-mc"):
        llvm.cycles({Instruction(0, 0xEEA415D7, 4, 16, M1): 1}, "spacemit-x60")
